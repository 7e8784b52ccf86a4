"""The buttons of a job: drawn from the legal actions, confirmed where there is no way back, and
what the API refuses said in words."""

from __future__ import annotations

import json

import pytest

from tests.browser import shows


def buttons(page) -> list[str]:
    return page.locator("#actions button").all_inner_texts()


def events(plane, job: str, kind: str) -> list[str]:
    return [e.message for e in plane.store.events(job, limit=1000) if e.type == kind]


def test_buttons_follow_the_state(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    shows(page, "#state", "running")
    assert buttons(page) == ["Pause", "Next stage", "Cancel job"]
    run.go_to(27)
    page.wait_for_selector("[data-action=stage]", state="detached")
    assert buttons(page) == ["Pause", "Cancel job"]
    plane.store.set_state(run.job, "interrupted", attempt=1)
    shows(page, "#state", "interrupted")
    assert buttons(page) == ["Resume", "Cancel job"]
    plane.store.set_state(run.job, "cancelled", attempt=1)
    shows(page, "#state", "cancelled")
    assert buttons(page) == []


def test_next_stage_is_asked_for_once_confirmed(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Next stage")
    shows(page, "#confirm", "Stage compression ends at the next step boundary.")
    page.click("text=Keep as it is")
    page.wait_for_selector("#confirm", state="hidden")
    assert plane.store.take_commands(run.job, 1) == []
    page.click("text=Next stage")
    page.click("#confirm-yes")
    shows(page, "#log", "stage requested: next")
    shows(page, "#say", "Next stage requested")
    (command,) = plane.store.take_commands(run.job, 1)
    assert (command.kind, command.data) == ("stage", {"to": "next"})


def test_cancelling_is_confirmed_and_its_progress_shown(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Cancel job")
    shows(page, "#confirm", "It ends for good and cannot be resumed.")
    assert page.evaluate("document.activeElement.value") == "no", "Enter does not cancel"
    page.keyboard.press("Escape")
    page.wait_for_selector("#confirm", state="hidden")
    page.wait_for_timeout(300)
    assert events(plane, run.job, "command") == []
    page.click("text=Cancel job")
    page.click("#confirm-yes")
    page.wait_for_selector("#actions [data-action=cancel][aria-disabled]")
    shows(page, "#actions", "Cancelling")
    page.click("text=Cancelling", force=True)
    assert page.is_hidden("#confirm")
    assert events(plane, run.job, "command") == ["cancel requested"]


def test_resuming_needs_no_confirmation(plane, run, reader):
    plane.store.set_state(run.job, "failed", attempt=1, cause="a full disk")
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Resume")
    shows(page, "#state", "queued · attempt 2")
    assert plane.store.get_job(run.job).attempt == 2
    assert page.evaluate("document.activeElement.id") == "main", "focus went with the button"


def test_what_is_not_possible_any_more_is_said_in_words(plane, run, reader):
    """412: the job ended while the question stood on the screen."""
    reader.expected.append("412")
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Next stage")
    plane.store.set_state(run.job, "succeeded", attempt=1)
    page.click("#confirm-yes")
    shows(page, "#refused", "Next stage: The job has changed since this page looked")
    shows(page, "#state", "succeeded")
    assert page.get_attribute("#refused", "role") == "alert"


def answer(page, plane, path: str, **options) -> None:
    """Put an answer in on the way: for what another version of the control plane may say."""
    page.route(plane.url + path, lambda route: route.fulfill(**options))


def refusal(status: int, **problem) -> dict:
    return {
        "status": status,
        "content_type": "application/problem+json",
        "body": json.dumps(problem),
    }


@pytest.mark.parametrize(
    ("status", "problem", "words"),
    [
        (409, {"detail": "job is succeeded"}, "Next stage: Not possible now. Job is succeeded."),
        (412, {"detail": "etag"}, "Next stage: The job has changed since this page looked"),
        (
            422,
            {"detail": "x", "errors": [{"pointer": "/to", "detail": "no such stage"}]},
            "Next stage: Not accepted. /to: no such stage.",
        ),
        (403, {"detail": "it may only read"}, "The API key in use may not do this. It may only"),
        (503, {"detail": "closing", "request_id": "req-7"}, "Closing. (req-7)"),
    ],
)
def test_each_refusal_has_its_words(plane, run, reader, status, problem, words):
    reader.expected.append(str(status))
    page = reader.open(f"/jobs/{run.job}")
    answer(page, plane, f"/v1/jobs/{run.job}/stage", **refusal(status, **problem))
    page.click("text=Next stage")
    page.click("#confirm-yes")
    shows(page, "#refused", words)


def test_pausing_needs_no_confirmation(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Pause")
    shows(page, "#state", "pausing")
    assert [c.kind for c in plane.store.take_commands(run.job, 1)] == ["pause"]
    plane.store.set_state(run.job, "paused", attempt=1, cause="paused on request")
    shows(page, "#state", "paused")
    assert buttons(page) == ["Resume", "Cancel job"]


def test_an_action_the_page_does_not_know_gets_no_button(plane, run, reader):
    """A later version of the control plane may take more."""
    page = reader.page

    def with_another(route):
        job = route.fetch().json()
        job["actions"] = ["an_unknown_action", *job["actions"]]
        route.fulfill(json=job)

    page.route(f"{plane.url}/v1/jobs/{run.job}", with_another)
    reader.open(f"/jobs/{run.job}")
    shows(page, "#actions", "Pause")
    assert buttons(page) == ["Pause", "Next stage", "Cancel job"]


def test_an_action_is_meant_for_the_job_that_was_seen(plane, run, reader):
    """The stage ends by itself while the question stands: to end the next one was not meant."""
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Next stage")
    plane.store.heartbeat(run.job, 1, {**plane.store.get_job(run.job).progress, "stage": "other"})
    shows(page, "#figures", "now: generate")
    page.wait_for_timeout(3000)
    page.click("#confirm-yes")
    shows(page, "#refused", "The job has changed since this page looked, so nothing was done.")
    assert plane.store.take_commands(run.job, 1) == []


def test_the_entity_tag_of_what_was_seen_is_sent(plane, run, reader):
    """The tags are put in on the way, to be told apart. One that is taken anew by itself would let
    two readers end two stages where each meant one."""
    reader.expected.append("412")
    page, job, sent = reader.page, plane.http.get(f"/v1/jobs/{run.job}").json(), []
    tags = iter(range(1000))

    def tagged(route):
        route.fulfill(json=job, headers={"ETag": f'"{next(tags)}"'})

    def guarded(route):
        sent.append(route.request.headers.get("if-match"))
        route.fulfill(**refusal(412, detail="the job has changed"))

    page.route(f"{plane.url}/v1/jobs/{run.job}", tagged)
    page.route(f"{plane.url}/v1/jobs/{run.job}/stage", guarded)
    reader.open(f"/jobs/{run.job}")
    page.click("text=Next stage")
    asked_at = next(tags)
    page.wait_for_timeout(5000)  # the page looks again while the question stands
    assert next(tags) > asked_at + 1
    page.click("#confirm-yes")
    shows(page, "#refused", "The job has changed since this page looked, so nothing was done.")
    (tag,) = sent
    assert int(tag.strip('"')) < asked_at
