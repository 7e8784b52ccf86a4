"""For every reader: by keyboard, on a phone, in the dark, without motion, by voice, with a key."""

from __future__ import annotations

import re

import pytest

from tests.browser import shows, text
from tests.integration.api.page.recorded_run import RecordedRun
from tests.integration.api.page.test_job_page import read

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DARK = {"color_scheme": "dark"}


def focused(page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.innerText")


def walk(page, most: int = 60) -> list[str]:
    """Press Tab until the page is left, and name what had the focus; each must be seen."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return seen
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        box = page.evaluate("document.activeElement.getBoundingClientRect().width")
        assert outline != "none", f"no visible focus on {focused(page)}"
        assert box > 0
        seen.append(focused(page))
    raise AssertionError(f"Tab never left the page: {seen}")


def test_the_whole_page_is_reached_by_keyboard(run, reader):
    run.go_to(14)
    page = reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#accuracy .uplot")
    order = walk(page)
    wanted = ["Skip to content", "Laconic", "key-button", "Jobs", "Next stage", "Cancel job"]
    assert order[: len(wanted)] == wanted
    curves = [order.index(name) for name in ("entropy", "length", "accuracy")]
    assert curves == sorted(curves)
    assert "The last steps as a table" in order
    assert order[-1] == "API"


def test_a_stage_is_ended_without_a_mouse(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#actions", "Next stage")
    page.focus("[data-action=stage]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm", state="visible")
    assert focused(page) == "Keep as it is"
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "confirm-yes"
    page.keyboard.press("Enter")
    shows(page, "#log", "stage requested: next")
    assert page.evaluate("document.activeElement.dataset.action") == "stage", "focus comes back"


def test_curves_are_read_by_keyboard(run, reader):
    run.go_to(38)
    page = reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#accuracy .uplot")
    page.wait_for_timeout(300)
    assert read(page, "accuracy", "Home").startswith("step 1 compression, training samples 69.9 %")
    assert read(page, "accuracy", "ArrowRight").startswith("step 2 ")
    assert read(page, "accuracy", "ArrowLeft").startswith("step 1 ")
    assert "held out, after exploration 93.4 %" in read(page, "accuracy", "End")
    assert page.get_attribute("#accuracy .unseen", "aria-live") == "polite"
    assert page.is_visible("#entropy .tip"), "the other curves follow"
    page.keyboard.press("Escape")
    page.wait_for_selector("#entropy .tip", state="hidden")


def test_changes_are_spoken(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#log", "base: accuracy")
    assert page.get_attribute("#say", "aria-live") == "polite"
    plane.store.set_state(run.job, "failed", attempt=1, cause="a full disk")
    shows(page, "#say", "failed: a full disk")


@pytest.mark.parametrize("options", [PHONE, {**PHONE, **DARK}], ids=["light", "dark"])
@pytest.mark.parametrize("which", ["job", "jobs"])
def test_on_a_phone_nothing_is_cut_off(run, reader_with, options, which):
    run.go_to(30)
    run.event("note", "a" * 300, {})
    reader = reader_with(**options)
    page = reader.open("/" if which == "jobs" else f"/jobs/{run.job}")
    page.wait_for_selector("#accuracy .uplot" if which == "job" else "#rows tr")
    page.wait_for_timeout(200)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, f"scrolls sideways: {width} pixels"
    small = page.evaluate(
        """[...document.querySelectorAll("#actions button")]
          .map((b) => b.getBoundingClientRect().height).filter((h) => h < 36)"""
    )
    assert small == []
    if which == "job":
        page.tap("#length .u-over")
        assert text(page, "#length .tip").startswith("step ")


def luminance(colour: str) -> float:
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(plane, run, reader_with, scheme):
    """WCAG 2.2 AA: 4.5 to 1 for every text shown, in both schemes."""
    run.go_to(14)
    run.event("note", "mind this", {"a": 1}, "warning")
    run.event("note", "and this", {"a": 1}, "error")
    plane.store.set_state(run.job, "failed", attempt=1, cause="a full disk")
    page = reader_with(color_scheme=scheme).open(f"/jobs/{run.job}")
    shows(page, "#log", "and this")
    shows(page, "#end", "a full disk")
    dark = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) < 0.5
    assert dark == (scheme == "dark")
    pairs = page.evaluate(
        """() => {
          const ground = (n) => {
            for (; n; n = n.parentElement) {
              const colour = getComputedStyle(n).backgroundColor;
              if (colour !== "rgba(0, 0, 0, 0)") return colour;
            }
          };
          const found = new Set();
          for (const n of document.querySelectorAll("body *")) {
            const own = [...n.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
            if (own && n.checkVisibility())
              found.add(`${getComputedStyle(n).color}|${ground(n)}|${n.innerText.slice(0, 30)}`);
          }
          return [...found];
        }"""
    )
    assert len(pairs) > 40
    for pair in pairs:
        front, back, words = pair.split("|", 2)
        light, low = sorted((luminance(front), luminance(back)), reverse=True)
        assert (light + 0.05) / (low + 0.05) >= 4.5, f"{words!r}: {front} on {back}"


def test_nothing_moves_for_who_asks_for_rest(run, reader_with):
    moving = "document.getAnimations().length"
    for motion, some in (("reduce", False), ("no-preference", True)):
        page = reader_with(reduced_motion=motion).open(f"/jobs/{run.job}")
        shows(page, "#link", "live")
        assert (page.evaluate(moving) > 0) == some


def test_what_is_on_the_page_has_a_name(run, reader):
    """For screen readers: headings in order, names on regions, controls and pictures."""
    run.go_to(14)
    page = reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#accuracy .uplot")
    tree = page.locator("body").aria_snapshot()
    for part in (
        'heading "tiny-cpu running" [level=1]',
        'group "Actions"',
        'list "Stages"',
        'progressbar "compression: 14 of 26 steps"',
        'region "Workers"',
        'region "Events"',
        'group "Entropy nats per token, chart. Left and right arrows read the steps."',
    ):
        assert part in tree, f"{part} is not in\n{tree}"


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(plane, run, reader):
    """The control plane of this version asks for none: its 401 is put in on the way."""
    reader.expected.append("401")
    page, sent = reader.page, []

    def guarded(route):
        held = route.request.headers.get("authorization")
        sent.append(held)
        if held == "Bearer lac_secret":
            route.continue_()
        else:
            route.fulfill(status=401, content_type="application/problem+json", body="{}")

    page.route(f"{plane.url}/v1/**", guarded)
    reader.open(f"/jobs/{run.job}")
    page.wait_for_selector("#key-dialog", state="visible")
    shows(page, "#key-dialog", "This control plane asks for an API key.")
    shows(page, "#link", "not live")
    assert focused(page) == "key-field"
    page.keyboard.type("lac_secret")
    page.keyboard.press("Enter")
    shows(page, "#state", "running")
    shows(page, "#log", "base: accuracy")
    assert page.evaluate("sessionStorage.getItem('laconic.key')") == "lac_secret"
    assert page.evaluate("localStorage.length") == 0
    assert page.input_value("#key-field") == ""
    sent.clear()
    page.reload()
    shows(page, "#state", "running")
    assert set(sent) == {"Bearer lac_secret"}
    assert not any("lac_secret" in url for url in reader.requests)
    page.click("#key-button")
    page.click("#key-forget")
    page.wait_for_selector("#key-dialog", state="visible")
    assert page.evaluate("sessionStorage.getItem('laconic.key')") is None


def test_with_a_key_the_report_is_fetched_and_saved(plane, reader):
    """A link cannot carry a key."""
    plane.body = {"preset": "tiny-cpu"}  # its tokenizer is read for the report
    run = RecordedRun(plane, plane.running()).begin().succeed()
    page = reader.open("/")
    page.evaluate("sessionStorage.setItem('laconic.key', 'lac_secret')")
    reader.open(f"/jobs/{run.job}")
    with page.expect_download(timeout=180_000) as download:
        page.click("text=Save the report")
    assert download.value.suggested_filename == "report.html"
    assert "Held against the method" in download.value.path().read_text()
