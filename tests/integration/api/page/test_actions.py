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
    page.fill("#confirm-reason", "short enough by now")
    page.click("#confirm-yes")
    shows(page, "#log", "stage requested: next")
    shows(page, "#log", "short enough by now")
    shows(page, "#say", "Next stage requested")
    (command,) = plane.store.take_commands(run.job, 1)
    assert (command.kind, command.data["to"]) == ("stage", "next")


def test_a_job_is_paused_and_taken_up_again(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Pause")
    shows(page, "#confirm", "It finishes the step it is in, leaves a checkpoint")
    page.click("#confirm-yes")
    shows(page, "#state", "pausing")
    (command,) = plane.store.take_commands(run.job, 1)
    assert command.kind == "pause"
    plane.store.set_state(run.job, "paused", attempt=1, cause="paused on request after step 0")
    shows(page, "#state", "paused")
    shows(page, "#end", "It can be resumed from its last checkpoint.")
    shows(page, "#end", "paused on request after step 0")
    assert buttons(page) == ["Resume", "Cancel job"]
    page.click("text=Resume")
    shows(page, "#state", "queued · attempt 2")


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


def test_what_somebody_else_has_asked_for_meanwhile_is_not_asked_for_twice(plane, run, reader):
    """412: of two readers who both mean to end this stage, one does, and the next one stays."""
    reader.expected.append("412")
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Next stage")
    assert plane.http.post(f"/v1/jobs/{run.job}/stage", json={"to": "next"}).status_code == 202
    shows(page, "#log", "stage requested: next")
    page.wait_for_timeout(3000)  # the page has looked again, and the question still stands
    page.click("#confirm-yes")
    shows(page, "#refused", "The job has changed since this page looked, so nothing was done.")
    assert len(plane.store.take_commands(run.job, 1)) == 1


def test_a_heartbeat_is_no_change(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    page.click("text=Next stage")
    run.go_to(2)
    page.click("#confirm-yes")
    shows(page, "#say", "Next stage requested")
    assert page.is_hidden("#refused")


def test_who_asked_and_why_stands_in_the_log(plane, run, reader):
    page = reader.open(f"/jobs/{run.job}")
    plane.store.send_command(run.job, "stage", {"to": "next"}, author="ops", reason="it is short")
    shows(page, "#log", "stage requested: next by ops: it is short")
