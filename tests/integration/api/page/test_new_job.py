"""Submitting a job from the page: checked, refused field by field, and made once."""

from __future__ import annotations

import json

import pytest

from tests.browser import Reader, shows, text
from tests.integration.api.conftest import client_of, make_token, serve


@pytest.fixture
def form(plane, reader):
    """The form, open, with paths that are in order."""
    page = reader.open("/")
    page.click("#new-open")
    page.wait_for_selector("#new-preset option[value=tiny-cpu]", state="attached")
    given = plane.body["overrides"]
    page.fill("#new-model", given["model"]["path"])
    page.fill("#new-data", given["data"]["path"])
    page.fill("#new-evaluation", given["evaluation"]["path"])
    return page


def jobs(plane):
    return plane.store.list_jobs(100)[0]


def at(page, field: str) -> str:
    """What is said to be wrong at a field."""
    page.wait_for_selector(f"#{field}[aria-invalid=true]")
    note = page.get_attribute(f"#{field}", "aria-describedby")
    return text(page, f"#{note}")


def test_a_job_is_submitted_and_followed(plane, form):
    form.fill("#new-name", "from-the-page")
    form.fill("#new-labels", "team=reasoning, run=7")
    form.fill("#new-steps-0", "3")
    form.fill("#new-more", '{"seed": 11, "stages": {"exploration": {"steps": 2}}}')
    form.click("text=Submit")
    shows(form, "#name", "from-the-page")
    (job,) = jobs(plane)
    assert form.url == f"{plane.url}/jobs/{job.id}"
    assert (job.preset, job.labels) == ("tiny-cpu", {"team": "reasoning", "run": "7"})
    assert job.spec.seed == 11
    assert [(s.name, s.steps) for s in job.spec.stages] == [("compression", 3), ("exploration", 2)]
    assert job.spec.model.path == plane.body["overrides"]["model"]["path"]


def test_what_stays_empty_is_the_presets(plane, reader):
    page = reader.open("/")
    page.click("#new-open")
    page.wait_for_selector("#new-preset option[value=tiny-cpu]", state="attached")
    assert page.get_attribute("#new-steps-0", "placeholder") == "26"
    page.select_option("#new-preset", "paper-7b")
    shows(page, "#new-preset-about", "DeepSeek-R1-Distill-Qwen-7B")
    assert page.get_attribute("#new-steps-0", "placeholder") == "400"
    page.select_option("#new-preset", "tiny-cpu")
    page.click("text=Submit")
    shows(page, "#name", "tiny-cpu")
    (job,) = jobs(plane)
    assert job.spec.model.path == "builtin:tiny-reasoner"
    assert [s.steps for s in job.spec.stages] == [26, 12]


def test_objections_stand_at_their_fields(plane, form, reader):
    reader.expected.append("422")
    form.fill("#new-model", "/nowhere/model")
    form.fill("#new-steps-1", "many")
    form.fill("#new-labels", "Team=x")
    form.fill("#new-more", '{"temprature": 1}')
    form.click("text=Submit")
    # A body that is wrong in itself is refused before the specification is looked at.
    assert "pattern" in at(form, "new-labels")
    assert form.evaluate("document.activeElement.id") == "new-labels"
    form.fill("#new-labels", "")
    form.click("text=Submit")
    assert "integer" in at(form, "new-steps-1")
    shows(form, "#new-refused", "/temprature")
    assert form.locator("#new-labels[aria-invalid]").count() == 0, "what is mended is not accused"
    form.fill("#new-steps-1", "4")
    form.fill("#new-more", "{")
    form.click("text=Submit")
    assert "this is not JSON" in at(form, "new-more")
    form.fill("#new-more", "")
    form.click("text=Submit")
    assert "/nowhere/model does not exist" in at(form, "new-model")
    assert jobs(plane) == []


def test_checking_creates_nothing_and_says_what_it_takes(plane, form):
    form.fill("#new-steps-0", "5")
    form.click("text=Check and estimate")
    shows(form, "#new-found", "In order. 17 steps, about")
    shows(form, "#new-found", "It would start at once.")
    assert jobs(plane) == []


def test_an_answer_that_was_lost_makes_no_second_job(plane, form, reader):
    reader.expected.append("ERR_FAILED")
    keys = []

    def lose(route):
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # It reaches the control plane; its answer reaches nobody.
            route.abort()
        else:
            route.continue_()

    form.route("**/v1/jobs", lambda r: lose(r) if r.request.method == "POST" else r.continue_())
    form.click("text=Submit")
    shows(form, "#new-refused", "The control plane does not answer.")
    assert len(jobs(plane)) == 1
    form.click("text=Submit")
    shows(form, "#name", "tiny-cpu")
    assert len(set(keys)) == 1
    assert len(jobs(plane)) == 1


def test_another_request_has_another_key(form, reader):
    reader.expected.append("422")
    keys = []
    form.on(
        "request",
        lambda r: r.method == "POST" and keys.append(r.headers["idempotency-key"]),
    )
    for steps in ("0", "-1"):
        form.fill("#new-steps-0", steps)
        with form.expect_response("**/v1/jobs"):
            form.click("text=Submit")
        at(form, "new-steps-0")
        form.wait_for_selector("form:not([aria-busy])")
    assert len(set(keys)) == len(keys) == 2


def test_the_form_by_keyboard(plane, reader):
    page = reader.open("/")
    page.wait_for_selector("#empty", state="visible")
    page.focus("#new-open")
    page.keyboard.press("Enter")
    page.wait_for_selector("#new-preset option[value=tiny-cpu]", state="attached")
    page.wait_for_selector("#new-preset:focus")
    page.keyboard.press("Tab")
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    shows(page, "#name", "by-keyboard")


def test_a_key_that_may_only_read_is_told_so(tmp_path, body, browser):
    token = make_token(tmp_path / "guarded", "jobs:read")
    with serve(tmp_path / "guarded", body) as plane:
        reader = Reader.before(plane.url, browser)
        reader.expected += ["401", "403"]  # 401: an icon, before the page has the key
        page = reader.open("/assets/base.css")
        page.evaluate("key => sessionStorage.setItem('laconic.key', key)", token)
        reader.open("/")
        page.click("#new-open")
        page.wait_for_selector("#new-preset option[value=tiny-cpu]", state="attached")
        page.click("text=Submit")
        shows(page, "#new-refused", "it lacks the scope jobs:write")
        assert client_of(plane, token).get("/v1/jobs").json()["data"] == []
        reader.check()
        page.context.close()


def test_on_a_phone_the_form_is_whole(form, reader):
    form.set_viewport_size({"width": 360, "height": 740})
    form.fill("#new-name", "n" * 80)
    assert form.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_body_is_what_the_documentation_says(form):
    with form.expect_request("**/v1/jobs:validate") as asked:
        form.fill("#new-steps-0", "9")
        form.click("text=Check and estimate")
    sent = json.loads(asked.value.post_data)
    assert sent["overrides"]["stages"] == {"compression": {"steps": 9}}
    assert sent["labels"] == {}
