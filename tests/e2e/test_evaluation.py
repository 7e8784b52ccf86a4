"""A standalone evaluation through the real control plane, generators and verifier; killed and
resumed it ends with the tokens of the undisturbed one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import psutil
import pytest

from services.evaluation.response import Response
from services.evaluation.response_file import read_responses
from services.evaluation.result_folder import ResultFolder
from tests.e2e.control_plane import Server

pytestmark = pytest.mark.timeout(1200)

SPEC: dict[str, Any] = {
    "model": {"path": "builtin:tiny-reasoner"},
    "benchmarks": [{"path": "builtin:tiny-heldout"}],
    "questions": 24,
    "samples": 2,
    "max_tokens": 200,
    "chunk_responses": 8,
    "generator": {"kv_cache_gib": 0.5, "threads": 1},
}
CHUNKS = 6


def submit(server: Server, **fields: Any) -> str:
    response = server.client.post("/v1/evaluations", json={"spec": {**SPEC, **fields}})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def look(server: Server, evaluation: str) -> dict[str, Any]:
    found = server.client.get(f"/v1/evaluations/{evaluation}").raise_for_status()
    return dict(found.json())


def wait(server: Server, evaluation: str, state: str, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while (found := look(server, evaluation))["state"] != state:
        assert found["state"] in ("queued", "starting", "running"), found
        assert time.monotonic() < deadline, f"waited {seconds} s for {state}: {found}"
        time.sleep(0.3)


def folder(server: Server, evaluation: str) -> ResultFolder:
    return ResultFolder(server.home.job(evaluation).result)


def drawn(server: Server, evaluation: str) -> list[Response]:
    """Every response, without what the clock says."""
    kept, _ = read_responses(folder(server, evaluation).responses("tiny-heldout"))
    return [replace(r, seconds=0.0) for r in kept]


def figures(server: Server, evaluation: str) -> dict[str, Any]:
    result = server.client.get(f"/v1/evaluations/{evaluation}/result").raise_for_status().json()
    assert result["complete"] is True
    apart = ("seconds", "verification_seconds", "tokens_per_second")
    found: dict[str, Any] = result["benchmarks"]["tiny-heldout"]
    return {k: v for k, v in found.items() if k not in apart}


@pytest.fixture(scope="module")
def undisturbed(server: Server) -> str:
    evaluation = submit(server)
    wait(server, evaluation, "succeeded")
    return evaluation


def test_an_evaluation_answers_every_question(server: Server, undisturbed: str) -> None:
    found = figures(server, undisturbed)
    assert (found["questions"], found["samples"], found["responses"]) == (24, 2, 48)
    assert sum(found["verdicts"].values()) == 48
    assert found["unverified"] == 0
    # The shipped model is right on about 77 % of all held-out questions within 500 tokens.
    assert 0.4 < found["accuracy"] < 1
    assert found["thinkless_tokens_mean"] > found["response_tokens_mean"] > 20
    responses = drawn(server, undisturbed)
    assert len({r.token_digest for r in responses}) > 24
    assert all(r.response_tokens <= 200 for r in responses)


def test_killed_and_resumed_it_has_the_same_tokens(server: Server, undisturbed: str) -> None:
    evaluation = submit(server, restarts={"limit": 0})
    chunks = folder(server, evaluation).root / "chunks" / "tiny-heldout"
    deadline = time.monotonic() + 600
    while len(list(chunks.glob("*.parquet"))) < 2:
        assert time.monotonic() < deadline, f"no second chunk within 600 s: {evaluation}"
        assert look(server, evaluation)["state"] in ("queued", "starting", "running")
        time.sleep(0.02)
    driver = next(
        p
        for p in psutil.process_iter(["cmdline"])
        if "actors.evaluation_driver" in (p.info["cmdline"] or []) and evaluation in p.cmdline()
    )
    driver.kill()
    wait(server, evaluation, "failed")
    kept = {p.name: p.stat().st_mtime_ns for p in chunks.glob("*.parquet")}
    assert 2 <= len(kept) < CHUNKS, "the kill came too late to show anything"
    resumed = server.client.post(f"/v1/evaluations/{evaluation}/resume")
    assert resumed.status_code == 202, resumed.text
    wait(server, evaluation, "running")
    assert {n: (chunks / n).stat().st_mtime_ns for n in kept} == kept
    wait(server, evaluation, "succeeded")
    assert drawn(server, evaluation) == drawn(server, undisturbed)
    assert figures(server, evaluation) == figures(server, undisturbed)


def test_another_seed_has_other_tokens(server: Server, undisturbed: str) -> None:
    evaluation = submit(server, seed=1, questions=4, policy="thinkless-parity", samples=None)
    wait(server, evaluation, "succeeded")
    found = figures(server, evaluation)
    assert (found["samples"], found["length"]) == (1, "thinkless_tokens")
    assert found["length_mean"] == found["thinkless_tokens_mean"]
    first = {r.question_id: r.token_digest for r in drawn(server, undisturbed) if r.sample == 0}
    assert all(r.token_digest != first[r.question_id] for r in drawn(server, evaluation))
