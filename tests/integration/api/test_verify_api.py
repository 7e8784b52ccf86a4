"""``POST /v1/verify`` of a served control plane, with real workers."""

from __future__ import annotations

import threading
import time

import psutil
import pytest

from api.body_limit import MAX_BODY
from tests.integration.waiting import wait_until
from tests.verifier_distribution import install

SLOW = r"\int_0^{7} \cos(\cos(\sin(\exp(x^x)))) dx"
"""Passes the static guards and keeps sympy busy beyond the limit."""


def boxed(answer):
    return f"<think>so</think> \\boxed{{{answer}}}"


def ask(plane, body):
    """The first answer waits for the imports of the workers, on a machine that may be busy."""
    return plane.http.post("/v1/verify", json=body, timeout=120)


def workers():
    mine = psutil.Process().children(recursive=True)
    return [p for p in mine if "services.verification.nursery" in p.cmdline()]


def test_each_case_gets_a_verdict_in_order(plane):
    cases = [
        {"id": "a", "gold": "7", "output": boxed("7")},
        {"gold": ["y", "x+1"], "output": boxed("1+x")},
        {"id": "c", "gold": "7", "output": boxed("8")},
        {"id": "d", "gold": "7", "output": "cut off"},
    ]
    answer = ask(plane, {"cases": cases})
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert [(v["id"], v["verdict"]) for v in found] == [
        ("a", "correct"),
        (None, "correct"),
        ("c", "incorrect"),
        ("d", "unparsable"),
    ]
    assert [v["well_formed"] for v in found] == [True, True, True, False]
    assert set(found[0]) == {"id", "verdict", "reason", "well_formed", "seconds"}


def test_plain_numbers_start_no_process_and_shutting_down_ends_those_that_run(plane):
    case = {"gold": "7", "output": boxed("7")}
    assert ask(plane, {"cases": [case]}).status_code == 200
    assert not workers()
    case = {"gold": "x+1", "output": boxed("1+x")}
    assert ask(plane, {"cases": [case]}).status_code == 200
    running = workers()
    assert running
    plane.context.verification.close()
    assert not any(p.is_running() for p in running)
    answer = ask(plane, {"cases": [case]})
    assert (answer.status_code, answer.json()["code"]) == (503, "closing")


def test_other_requests_are_answered_while_an_answer_overruns(plane):
    ask(plane, {"cases": [{"gold": "x+1", "output": boxed("1+x")}]})
    found = []
    case = {"gold": r"\int_0^1 x^x dx", "output": boxed(SLOW)}
    caller = threading.Thread(target=lambda: found.append(ask(plane, {"cases": [case]})))
    caller.start()
    answered = 0
    while caller.is_alive():
        assert plane.http.get("/livez").status_code == 200
        answered += caller.is_alive()
        time.sleep(0.05)
    assert answered > 5
    [verdict] = found[0].json()["data"]
    assert (verdict["verdict"], verdict["reason"]) == ("timeout", "wall_clock")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"cases": []}, "/cases"),
        ({"cases": [{"gold": "1", "output": "x"}] * 1001}, "/cases"),
        ({}, "/cases"),
        ({"cases": [{"gold": "1", "output": "x"}, {"output": "x"}]}, "/cases/1/gold"),
        ({"cases": [{"gold": " ", "output": "x"}]}, "/cases/0/gold"),
        ({"cases": [{"gold": ["1", ""], "output": "x"}]}, "/cases/0/gold"),
        ({"cases": [{"gold": [], "output": "x"}]}, "/cases/0/gold"),
        ({"cases": [{"gold": "1", "output": "x", "note": ""}]}, "/cases/0/note"),
        (
            {"cases": [{"gold": "1", "output": "x", "tolerance": {"absolute": -1}}]},
            "/cases/0/tolerance",
        ),
        ({"cases": [{"gold": "1", "output": "x"}], "policy": "kind"}, "/policy"),
        ({"cases": [{"gold": "1", "output": "x"}], "kind": "nobody"}, "/kind"),
    ],
)
def test_bad_input_is_named(plane, body, pointer):
    answer = ask(plane, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [e["pointer"] for e in answer.json()["errors"]]


def test_policy_and_tolerance_reach_the_verifier(plane):
    case = {"gold": "100", "output": boxed("101")}
    wide = {**case, "tolerance": {"relative": 0.05}}
    found = ask(plane, {"cases": [case, wide]}).json()["data"]
    assert [v["verdict"] for v in found] == ["incorrect", "correct"]


def test_a_body_that_is_too_long_is_refused(plane):
    case = {"gold": "1", "output": "x" * (MAX_BODY + 1)}
    answer = ask(plane, {"cases": [case]})
    assert answer.status_code == 413
    assert answer.json()["code"] == "request_entity_too_large"
    assert "4 MiB" in answer.json()["detail"]


def test_an_installed_verifier_can_be_named_and_an_unknown_one_is_refused(
    plane, tmp_path, monkeypatch
):
    install(tmp_path, monkeypatch)
    body = {"cases": [{"gold": "oak", "output": "it is oak"}], "kind": "last-word"}
    [verdict] = ask(plane, body).json()["data"]
    assert verdict["verdict"] == "correct"
    answer = ask(plane, {**body, "kind": "last-words"})
    assert answer.json()["code"] == "unknown_verifier"
    assert "math, last-word" in answer.json()["detail"]


def test_a_job_with_a_verifier_that_is_not_installed_is_refused(plane):
    plane.body["overrides"]["verifier"] = {"kind": "last-word"}
    answer = plane.http.post("/v1/jobs", json=plane.body)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/verifier/kind"
    assert "there are math" in error["detail"]


def test_more_requests_than_can_wait_are_told_to_come_back(plane, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    body = {"cases": [{"gold": "oak", "output": "sleep oak"}], "kind": "last-word"}
    answers = []

    def call(i):
        cases = [{"gold": "oak", "output": f"sleep {i} oak"}]
        answers.append(ask(plane, {**body, "cases": cases}))

    callers = [threading.Thread(target=call, args=(i,)) for i in range(20)]
    for caller in callers:
        caller.start()
    refused = wait_until(
        "one to be refused", lambda: [a for a in answers if a.status_code == 503], 15
    )
    assert refused[0].json()["code"] == "verification_busy"
    assert refused[0].headers["Retry-After"] == "5"
    plane.context.verification.close()  # the others need not overrun one by one
    for caller in callers:
        caller.join(30)
    assert len(answers) == 20
