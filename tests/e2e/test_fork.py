"""Going on from a chosen checkpoint on a real run: a fork, and the same job again."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest
from safetensors.numpy import load_file

from services.reports.write import write_report
from tests.e2e.control_plane import SHORT, Server

pytestmark = pytest.mark.timeout(1800)

KEPT: dict[str, Any] = {**SHORT, "checkpoint": {"every_steps": 1, "keep": 10}}


@pytest.fixture(scope="module")
def source(server: Server) -> str:
    job_id = server.submit(KEPT)
    server.wait(job_id, lambda j: j["state"] == "succeeded", 600)
    return job_id


def same(server: Server, one: str, other: str, label: str) -> bool:
    a, b = (
        load_file(server.home.job(job).model(label) / "model.safetensors") for job in (one, other)
    )
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def figures(server: Server, job: str) -> list[tuple[Any, ...]]:
    names = ("step", "stage", "entropy", "loss", "response_length_mean", "samples")
    return [tuple(r.get(n) for n in names) for r in server.metrics(job)]


def fork(server: Server, job: str, **body: Any) -> dict[str, Any]:
    answer = server.client.post(f"/v1/jobs/{job}/fork", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_fork_without_a_change_ends_with_the_weights_of_its_source(
    server: Server, source: str
) -> None:
    made = fork(server, source, step=2, name="again")
    assert made["forked_from"] == {"job": source, "step": 2}
    server.wait(made["id"], lambda j: j["state"] == "succeeded", 600)
    assert same(server, made["id"], source, "compression")
    assert same(server, made["id"], source, "exploration")
    assert figures(server, made["id"]) == figures(server, source)
    report = write_report(server.home.root, made["id"], server.home.job(made["id"]).report)
    assert report.exists()


def test_a_fork_may_train_further_without_its_source(server: Server, source: str) -> None:
    copy = fork(server, source, step=5, overrides={"stages": {"exploration": {"steps": 3}}})
    again = fork(server, copy["id"], step=5)
    server.client.post(f"/v1/jobs/{again['id']}/cancel").raise_for_status()
    server.wait(copy["id"], lambda j: j["state"] == "succeeded", 600)
    records = server.metrics(copy["id"])
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5, 6]
    assert figures(server, copy["id"])[:5] == figures(server, source)
    assert not same(server, copy["id"], source, "exploration")
    assert same(server, copy["id"], source, "compression")


def test_a_job_that_goes_back_is_one_line_again(server: Server, source: str) -> None:
    """Runs last: it takes the source's files away."""
    made = fork(server, source, step=1)
    shutil.rmtree(server.home.job(source).checkpoints)
    server.wait(made["id"], lambda j: (j["progress"] or {}).get("step", 0) >= 3, 600)
    server.client.post(f"/v1/jobs/{made['id']}/pause").raise_for_status()
    paused = server.wait(made["id"], lambda j: j["state"] == "paused", 120)
    answer = server.client.post(f"/v1/jobs/{made['id']}/resume", json={"from_step": 2})
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + 600
    while server.job(made["id"])["state"] != "succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert server.job(made["id"])["attempt"] == paused["attempt"] + 1
    (rewound,) = [e["data"] for e in server.events(made["id"]) if e["type"] == "rewound"]
    assert (rewound["step"], rewound["checkpoints"][-1]) == (2, 3)
    assert figures(server, made["id"]) == figures(server, source)
    assert same(server, made["id"], source, "exploration")
