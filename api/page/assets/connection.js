// Whether the page is live: the sign in the bar, the banner when it is not, and the API key.

import { Bell, byId, rest } from "/assets/dom.js";
import { Refused, Unreachable, key, words } from "/assets/api.js";

const HIDDEN_SECONDS = 15;
const LONGEST_SECONDS = 15;

/** Rings when a look is wanted at once. */
export const wake = new Bell();

/** Tell readers of the page by voice; what is said stands on the page as well. */
export function say(text) {
  byId("say").textContent = text;
}

function sign(state, text) {
  byId("link").dataset.state = state;
  byId("link-text").textContent = text;
}

function lost(text) {
  const banner = byId("lost");
  if (banner.hidden) say(text);
  banner.hidden = false;
  banner.textContent = text;
  sign("lost", "not live");
}

function live() {
  const banner = byId("lost");
  if (!banner.hidden) {
    banner.hidden = true;
    say("Connected again.");
  }
  sign("live", "live");
}

/** Look again and again, `pace()` seconds apart; back off while nobody answers.
 *
 * Ends when a look finds that there is nothing to look at: then the error is thrown. */
export async function keepLooking(look, pace) {
  let failures = 0;
  for (;;) {
    let wait;
    try {
      await look();
      failures = 0;
      live();
      wait = document.hidden ? HIDDEN_SECONDS : pace();
    } catch (error) {
      const refused = error instanceof Refused;
      if (!refused && !(error instanceof Unreachable)) throw error;
      if (refused && error.status === 404) {
        live();
        throw error;
      }
      failures += 1;
      wait = (refused && error.retryAfter) || Math.min(2 ** (failures - 1), LONGEST_SECONDS);
      if (refused && (error.status === 401 || error.status === 403)) {
        wait = LONGEST_SECONDS * 4;
        askForKey(words(error));
      }
      lost(`${words(error)} What is shown may be out of date; this page looks again by itself.`);
    }
    await rest(wait, wake);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) wake.ring();
});
addEventListener("online", () => wake.ring());

// -- the key ------------------------------------------------------------------------------------

const dialog = byId("key-dialog");
let asked = false;

function askForKey(why) {
  byId("key-why").textContent =
    `${why} It is kept in this tab until the tab is closed, and sent to this control plane only.`;
  if (asked || dialog.open) return; // once; after that the button is there
  asked = true;
  openKey();
}

function openKey() {
  byId("key-field").value = "";
  byId("key-forget").hidden = key.get() === null;
  dialog.showModal();
}

byId("key-button").addEventListener("click", openKey);
dialog.addEventListener("close", () => {
  const value = byId("key-field").value.trim();
  byId("key-field").value = "";
  if (dialog.returnValue === "forget") key.forget();
  else if (dialog.returnValue === "use" && value) key.use(value);
  else return;
  asked = false;
  wake.ring();
});
