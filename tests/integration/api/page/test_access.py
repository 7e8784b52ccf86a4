"""For every reader: by keyboard, on a phone, in the dark, without motion, by voice, with a key."""

from __future__ import annotations

import re

import pytest

from tests.browser import Reader, shows, text
from tests.integration.api.conftest import client_of, make_token, serve
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
    wanted = ["Skip to content", "Laconic", "key-button", "Jobs", "Pause", "Next stage"]
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
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "confirm-reason"
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    shows(page, "#log", "by keyboard")
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


@pytest.fixture
def guarded(tmp_path, body, browser):
    """A control plane that asks for keys, a reader before it, a key to it and one of a stranger."""
    home = tmp_path / "guarded"
    mine, other = (
        make_token(home, "jobs:read", "jobs:write", "jobs:cancel", tenant=t)
        for t in ("mine", "other")
    )
    with serve(home, body) as plane:
        reader = Reader.before(plane.url, browser)
        reader.expected += ["401", "404"]
        yield plane, reader, mine, other
        reader.check()
        reader.page.context.close()


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(guarded):
    plane, reader, mine, _ = guarded
    job = plane.create(client_of(plane, mine))
    page = reader.open(f"/jobs/{job}")
    page.wait_for_selector("#key-dialog", state="visible")
    shows(page, "#key-dialog", "This control plane asks for an API key.")
    shows(page, "#link", "not live")
    assert page.is_hidden("#job")
    assert focused(page) == "key-field"
    page.keyboard.type("lk_wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-dialog", state="hidden")
    page.wait_for_selector("#key-dialog", state="visible")
    page.keyboard.type(mine)
    page.keyboard.press("Enter")
    shows(page, "#name", "tiny-cpu")
    shows(page, "#log", "created from preset")
    assert page.evaluate("sessionStorage.getItem('laconic.key')") == mine
    assert page.evaluate("localStorage.length") == 0
    assert page.input_value("#key-field") == ""
    page.reload()
    shows(page, "#name", "tiny-cpu")
    assert page.is_hidden("#key-dialog")
    assert not any(mine in url for url in reader.requests)
    page.click("#key-button")
    page.click("#key-forget")
    page.wait_for_selector("#key-dialog", state="visible")
    assert page.evaluate("sessionStorage.getItem('laconic.key')") is None


def test_jobs_of_another_tenant_are_not_there(guarded):
    plane, reader, mine, other = guarded
    job = plane.create(client_of(plane, mine))
    page = reader.open("/")
    page.wait_for_selector("#key-dialog", state="visible")
    page.keyboard.type(other)
    page.keyboard.press("Enter")
    shows(page, "#empty", "No jobs yet")
    reader.open(f"/jobs/{job}")
    shows(page, "#absent", f"No job has the id {job}")


def test_with_a_key_the_report_is_fetched_and_saved(guarded):
    """A link cannot carry a key."""
    plane, reader, mine, _ = guarded
    plane.body = {"preset": "tiny-cpu"}  # its tokenizer is read for the report
    job = plane.create(client_of(plane, mine))
    plane.wait_for("submission", lambda: plane.store.get_job(job).ray_submission_id)
    for state in ("starting", "running"):
        plane.store.set_state(job, state, attempt=1)
    RecordedRun(plane, job).begin().succeed()
    page = reader.open("/assets/base.css")
    page.evaluate("key => sessionStorage.setItem('laconic.key', key)", mine)
    reader.open(f"/jobs/{job}")
    with page.expect_download(timeout=180_000) as download:
        page.click("text=Save the report")
    assert download.value.suggested_filename == "report.html"
    assert "Held against the method" in download.value.path().read_text()
