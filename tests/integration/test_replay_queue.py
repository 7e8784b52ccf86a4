"""The replay queue and the verifier as real Ray actors: references, leases, work, results."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import ray

from actors.replay_queue import ReplayQueue
from actors.replay_watch import ReplayWatch
from actors.verifier_pool import VerifierPool
from algorithms.objectives import Compress
from algorithms.scoring import ScoredGroup
from algorithms.trajectory import TrajectoryGroup

WAIT = 30.0
"""Longest wait for one call, in seconds."""


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    before = os.environ.get("RAY_AUTH_MODE")
    # A private cluster of this process: no token is needed, whatever the machine is set to.
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    if before is None:
        del os.environ["RAY_AUTH_MODE"]
    else:
        os.environ["RAY_AUTH_MODE"] = before


def start_queue(lease_seconds: float = 60) -> Any:
    actor = ray.remote(ReplayQueue).options(num_cpus=0, max_concurrency=8)
    return actor.remote({"lease_seconds": lease_seconds})


@pytest.fixture
def queue() -> Iterator[Any]:
    actor = start_queue()
    yield actor
    ray.kill(actor)


@pytest.fixture
def hasty_queue() -> Iterator[Any]:
    """Its leases last half a second."""
    actor = start_queue(0.5)
    yield actor
    ray.kill(actor)


def call(method: Any, *args: Any) -> Any:
    return ray.get(method.remote(*args), timeout=WAIT)


def fill(queue: Any, *ids: str) -> None:
    """Bring groups of two samples, one of them truncated, to ready."""
    call(queue.admit_all, [(i, 2, "compression", 0) for i in ids])
    call(queue.commit_generated_all, [(i, [ray.put({"trajectory": i})]) for i in ids])
    call(
        queue.commit_scored_all,
        [(i, [ray.put({"scores": i})], ("train", "truncated")) for i in ids],
    )


def train_item(work_id: int, *groups: str) -> dict[str, Any]:
    return {"kind": "train", "work_id": work_id, "groups": list(groups), "temperature": 0.6}


def counts(generated: int, trained: int, excluded: int, in_flight: int) -> dict[str, Any]:
    return {
        "generated": generated,
        "trained": trained,
        "excluded": {"truncated": excluded} if excluded else {},
        "in_flight": in_flight,
    }


def test_work_carries_the_references_of_its_groups_and_training_is_counted(queue: Any):
    fill(queue, "a", "b", "c")
    call(queue.put_work, train_item(1, "c", "a", "b"))
    item = call(queue.next_work, "learner", 5.0)
    assert (item["kind"], item["groups"], item["temperature"]) == ("train", ["c", "a", "b"], 0.6)
    for group_id in "abc":
        trajectory, scores = item["refs"][group_id]
        assert isinstance(trajectory, ray.ObjectRef)
        assert ray.get([trajectory, scores], timeout=WAIT) == [
            {"trajectory": group_id},
            {"scores": group_id},
        ]
    assert call(queue.counts) == counts(6, 0, 3, 3)
    gauges = ReplayWatch(queue).gauges()
    assert (gauges["leased"], gauges["ready"]) == (3, 0)
    for _ in range(2):
        assert call(queue.complete_work, 1, {"loss": 0.5})
        assert call(queue.counts) == counts(6, 3, 3, 0)
    assert call(queue.wait_result, 1, 5.0)["loss"] == 0.5


def test_waits_end_by_themselves_and_wake_early(queue: Any):
    started = time.monotonic()
    assert call(queue.next_work, "learner", 0.5) is None
    assert call(queue.wait_result, 9, 0.5) is None
    assert call(queue.wait_lease, "learner", 0.5) is None
    assert time.monotonic() - started >= 1.5
    waiting = queue.next_work.remote("learner", 20.0)
    started = time.monotonic()
    call(queue.put_work, {"kind": "publish", "work_id": 1, "version": 1})
    assert ray.get(waiting, timeout=WAIT)["kind"] == "publish"
    assert time.monotonic() - started < 5


def test_items_come_in_order_and_once(queue: Any):
    fill(queue, "a")
    items = [
        train_item(1, "a"),
        {"kind": "checkpoint", "work_id": 2, "folder": "x"},
        {"kind": "stop", "work_id": -1},
    ]
    for item in [*items, *items]:
        call(queue.put_work, item)
    for item in items:
        got = call(queue.next_work, "learner", 5.0)
        assert (got["kind"], got["work_id"]) == (item["kind"], item["work_id"])
        call(queue.complete_work, got["work_id"], {}, got["lease_id"])
    assert call(queue.next_work, "learner", 0.3) is None


def test_an_expired_lease_goes_to_a_successor_and_the_late_answer_is_refused(hasty_queue: Any):
    queue = hasty_queue
    fill(queue, "a")
    call(queue.put_work, train_item(1, "a"))
    slow = call(queue.next_work, "slow", 5.0)
    assert call(queue.next_work, "successor", 0.1) is None
    successor = call(queue.next_work, "successor", 5.0)
    assert successor["work_id"] == slow["work_id"]
    assert successor["lease_id"] != slow["lease_id"]
    assert not call(queue.complete_work, 1, {"by": "slow"}, slow["lease_id"])
    assert not call(queue.complete_work, 1, {"by": "nobody knows"})
    assert call(queue.wait_result, 1, 0.0) is None
    assert call(queue.counts)["trained"] == 0
    assert call(queue.complete_work, 1, {"by": "successor"}, successor["lease_id"])
    assert call(queue.wait_result, 1, 5.0)["by"] == "successor"
    assert call(queue.counts) == counts(2, 1, 1, 0)


def test_a_late_answer_counts_while_nobody_has_taken_over(hasty_queue: Any):
    fill(hasty_queue, "a")
    call(hasty_queue.put_work, train_item(1, "a"))
    call(hasty_queue.next_work, "slow", 5.0)
    time.sleep(0.8)
    assert call(hasty_queue.complete_work, 1, {})
    assert call(hasty_queue.counts)["trained"] == 1
    assert call(hasty_queue.next_work, "other", 0.3) is None


def test_a_learner_that_starts_over_gets_its_item_again_at_once(queue: Any):
    fill(queue, "a")
    call(queue.put_work, train_item(1, "a"))
    first = call(queue.next_work, "learner", 5.0)
    again = call(queue.next_work, "learner", 1.0)
    assert (again["work_id"], again["refs"].keys()) == (1, first["refs"].keys())
    assert not call(queue.complete_work, 1, {}, first["lease_id"])
    assert call(queue.complete_work, 1, {}, again["lease_id"])
    assert call(queue.counts)["trained"] == 1


def test_a_failed_item_trains_nothing(queue: Any):
    fill(queue, "a")
    call(queue.put_work, train_item(1, "a"))
    call(queue.next_work, "learner", 5.0)
    call(queue.complete_work, 1, {"error": "loss is not finite", "where": "here"})
    assert call(queue.wait_result, 1, 5.0)["error"] == "loss is not finite"
    assert call(queue.counts) == counts(2, 0, 1, 1)
    assert call(queue.in_state, "ready") == ("a",)


def test_groups_ended_before_delivery_are_left_out(queue: Any):
    fill(queue, "a", "b")
    call(queue.put_work, train_item(1, "a", "b"))
    call(queue.exclude, ["a"], "cancelled")
    item = call(queue.next_work, "learner", 5.0)
    assert (item["groups"], item["dropped"], set(item["refs"])) == (["b"], ["a"], {"b"})


def test_work_on_groups_that_are_not_ready_is_refused(queue: Any):
    call(queue.admit_all, [("a", 2, "compression", 0)])
    with pytest.raises(Exception, match="is generating"):
        call(queue.put_work, train_item(1, "a"))
    assert call(queue.next_work, "learner", 0.3) is None


def test_accounting_survives_the_actor(queue: Any):
    fill(queue, "a", "b")
    call(queue.put_work, train_item(1, "a"))
    call(queue.next_work, "learner", 5.0)
    call(queue.complete_work, 1, {})
    state = call(queue.state_dict)
    successor = start_queue()
    assert call(successor.load_state_dict, state) == ("b",)
    assert call(successor.counts) == counts(2, 1, 1, 0)
    fill(successor, "b")
    assert call(successor.counts) == counts(4, 1, 2, 1)
    ray.kill(successor)


def trajectory(group_id: str, texts: list[str]) -> TrajectoryGroup:
    n = len(texts)
    return TrajectoryGroup(
        group_id=group_id,
        question_id="q",
        gold=("7",),
        prompt_ids=np.arange(3, dtype=np.int32),
        response_ids=np.arange(4 * n, dtype=np.int32),
        behaviour_logprobs=np.full(4 * n, -0.5, dtype=np.float32),
        offsets=np.arange(0, 4 * n + 1, 4, dtype=np.int64),
        think_lengths=np.full(n, 4),
        finish_reasons=("stop",) * (n - 1) + ("length",),
        texts=tuple(texts),
        policy_version=0,
        temperature=0.6,
    )


def test_the_verifier_scores_trajectories_that_travel_by_reference():
    verifier = ray.remote(VerifierPool).options(num_cpus=0).remote({"timeout_seconds": 5.0})
    good, wrong, cut = "a</think>\\boxed{7}", "a</think>\\boxed{8}", "a so far"
    groups = {
        "g1": trajectory("g1", [good, wrong, cut]),
        "g2": trajectory("g2", [wrong, good, "b</think>\\boxed{x+7-x}", cut]),
    }
    refs = [(i, [ray.put(g.columns())]) for i, g in groups.items()]
    objective = Compress(length_clip=64).model_dump(mode="json")
    first, second = ray.get(verifier.score.remote(refs, objective), timeout=120)
    assert (first["group_id"], second["group_id"]) == ("g1", "g2")
    assert first["verdicts"] == ("correct", "incorrect", "unparsable")
    assert first["dispositions"][0] == "train"
    assert "train" not in first["dispositions"][1:]
    assert second["dispositions"][1] == "train"
    assert first["lengths"].tolist() == [4, 4, 4]
    assert first["finished"].tolist() == [True, True, False]
    assert first["rewards"][0] > 0 == first["rewards"][1]
    assert (first["entropy_sum"], first["token_count"]) == (6.0, 12)
    scored = ScoredGroup.from_columns(ray.get(first["score_ref"][0], timeout=WAIT))
    assert scored.group_id == "g1"
    assert scored.dispositions == first["dispositions"]
    assert call(verifier.gauges)["verdict_correct"] >= 2
    ray.kill(verifier)


def test_training_is_paid_within_the_tolerance_of_its_question():
    verifier = ray.remote(VerifierPool).options(num_cpus=0).remote({})
    near, strict = (trajectory(i, ["a</think>\\boxed{7.05}", "cut"]) for i in ("near", "strict"))
    groups = [replace(near, tolerance=(0.1, 0.0)), strict]
    refs = [(g.group_id, [ray.put(g.columns())]) for g in groups]
    objective = Compress(length_clip=64).model_dump(mode="json")
    first, second = ray.get(verifier.score.remote(refs, objective), timeout=120)
    assert first["verdicts"][0] == "correct"
    assert second["verdicts"][0] == "incorrect"
    ray.kill(verifier)


def test_workers_of_a_killed_verifier_end_with_it():
    import psutil

    verifier = ray.remote(VerifierPool).options(num_cpus=0).remote({"workers": 2})
    items = [(("x+1",), "</think>\\boxed{1+x}"), (("x+2",), "</think>\\boxed{2+x}")]
    judgements = ray.get(verifier.judge_texts.remote(items), timeout=120)
    assert [j.verdict for j in judgements] == ["correct", "correct"]
    workers = [psutil.Process(pid) for pid in call(verifier.pids)]
    assert workers
    ray.kill(verifier)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
