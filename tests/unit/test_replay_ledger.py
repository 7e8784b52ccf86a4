"""The replay ledger: balance, leases, acknowledgement; no group is lost or trained twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.replay_ledger import ENDS_KEPT, ReplayLedger
from services.replay_records import (
    TRAIN,
    IllegalMove,
    Lease,
    LeaseLost,
    UnknownGroup,
)

STAGE = "compression"


def ready(*ids: str, size: int = 2, version: int = 0, staleness: int = 0) -> ReplayLedger:
    ledger = ReplayLedger(staleness)
    for group_id in ids:
        ledger.admit(group_id, size, STAGE, version)
        ledger.start_generating([group_id])
        ledger.commit_generated(group_id, f"t-{group_id}")
        ledger.commit_scored(group_id, f"s-{group_id}", [TRAIN] * size)
    return ledger


def counts(
    generated: int, trained: int, in_flight: int, excluded: dict[str, int] | None = None
) -> dict[str, Any]:
    return {
        "generated": generated,
        "trained": trained,
        "excluded": excluded or {},
        "in_flight": in_flight,
    }


def leased(ledger: ReplayLedger, ids: int | list[str], now: float = 0) -> Lease:
    lease = ledger.lease(ids, "learner", now, 10)
    assert lease is not None
    return lease


def test_samples_count_from_generation_to_training():
    ledger = ReplayLedger()
    ledger.admit("a", 3, STAGE, 0)
    assert ledger.counts() == counts(0, 0, 0)
    ledger.start_generating(["a"])
    assert ledger.commit_generated("a", "t")
    assert ledger.counts() == counts(3, 0, 3)
    assert ledger.commit_scored("a", "s", [TRAIN, "truncated", TRAIN])
    assert ledger.counts() == counts(3, 0, 2, {"truncated": 1})
    assert ledger.refs("a") == ("t", "s")
    assert ledger.acknowledge(leased(ledger, 1).id).trained == ("a",)
    assert ledger.counts() == counts(3, 2, 0, {"truncated": 1})


def test_a_group_without_a_trainable_sample_is_still_leased():
    ledger = ReplayLedger()
    ledger.admit("a", 2, STAGE, 0)
    ledger.start_generating(["a"])
    ledger.commit_generated("a", "t")
    ledger.commit_scored("a", "s", ["incorrect", "truncated"])
    ledger.acknowledge(leased(ledger, ["a"]).id)
    assert ledger.counts() == counts(2, 0, 0, {"incorrect": 1, "truncated": 1})


def test_repeated_commits_count_once():
    ledger = ready("a")
    assert not ledger.commit_generated("a", "again")
    assert not ledger.commit_scored("a", "again", ["error", "error"])
    assert ledger.refs("a") == ("t-a", "s-a")
    assert ledger.counts() == counts(2, 0, 2)


def test_scores_must_cover_the_group():
    ledger = ReplayLedger()
    ledger.admit("a", 2, STAGE, 0)
    ledger.start_generating(["a"])
    ledger.commit_generated("a", "t")
    with pytest.raises(ValueError, match="1 dispositions for 2 samples"):
        ledger.commit_scored("a", "s", [TRAIN])
    assert ledger.in_state("verifying") == ("a",)


def test_lease_by_count_is_first_come_and_all_or_nothing():
    ledger = ready("a", "b", "c")
    assert leased(ledger, 2).groups == ("a", "b")
    assert ledger.lease(2, "other", 0, 10) is None
    assert leased(ledger, 1).groups == ("c",)


def test_a_leased_group_cannot_be_leased_again():
    ledger = ready("a")
    leased(ledger, ["a"])
    with pytest.raises(IllegalMove, match="is leased"):
        ledger.lease(["a"], "other", 5, 10)


def test_an_expired_lease_returns_its_groups():
    ledger = ready("a", "b")
    lease = leased(ledger, 2)
    assert ledger.expire(9.9) == ()
    assert ledger.expire(10) == ("a", "b")
    assert not ledger.held(lease.id)
    assert ledger.in_state("ready") == ("a", "b")


def test_a_renewed_lease_lives_on():
    ledger = ready("a")
    lease = leased(ledger, ["a"])
    assert ledger.renew(lease.id, 9, 10).expires_at == 19
    assert ledger.expire(18) == ()
    ledger.expire(19)
    with pytest.raises(LeaseLost):
        ledger.renew(lease.id, 19, 10)


def test_late_acknowledgement_of_a_lease_given_to_another_trains_nothing():
    ledger = ready("a")
    first = leased(ledger, ["a"])
    second = leased(ledger, ["a"], now=10)
    assert ledger.acknowledge(first.id).refused == ("a",)
    assert ledger.counts() == counts(2, 0, 2)
    assert ledger.acknowledge(second.id).trained == ("a",)
    assert ledger.acknowledge(first.id).refused == ("a",)
    assert ledger.counts() == counts(2, 2, 0)


def test_late_acknowledgement_is_good_while_nobody_else_has_the_groups():
    ledger = ready("a")
    lease = leased(ledger, ["a"])
    ledger.expire(10)
    assert ledger.acknowledge(lease.id).trained == ("a",)
    assert ledger.counts() == counts(2, 2, 0)


def test_acknowledgement_is_idempotent_by_group():
    ledger = ready("a", "b")
    lease = leased(ledger, 2)
    assert ledger.acknowledge(lease.id, ["a"]).trained == ("a",)
    again = ledger.acknowledge(lease.id)
    assert (again.trained, again.repeated) == (("b",), ("a",))
    assert ledger.acknowledge(lease.id).repeated == ("a", "b")
    assert ledger.counts() == counts(4, 4, 0)


def test_foreign_groups_and_unknown_leases_are_not_acknowledged():
    ledger = ready("a", "b")
    lease = leased(ledger, ["a"])
    assert ledger.acknowledge(lease.id, ["b"]).refused == ("b",)
    with pytest.raises(LeaseLost):
        ledger.acknowledge("lease-99")
    assert ledger.counts()["trained"] == 0


@pytest.mark.parametrize(
    ("staleness", "newest", "stale"), [(0, 1, True), (1, 1, False), (1, 2, True)]
)
def test_groups_too_old_are_excluded_at_the_lease(staleness: int, newest: int, stale: bool):
    ledger = ready("a", staleness=staleness)
    ledger.set_version(newest)
    lease = leased(ledger, ["a"])
    assert lease.groups == (() if stale else ("a",))
    assert ledger.counts()["excluded"] == ({"stale": 2} if stale else {})


def test_the_version_that_drew_a_group_decides_its_age():
    ledger = ReplayLedger(0)
    ledger.admit("a", 1, STAGE, 0)
    ledger.start_generating(["a"])
    ledger.commit_generated("a", "t", version=3)
    ledger.commit_scored("a", "s", [TRAIN])
    ledger.set_version(3)
    assert leased(ledger, 1).groups == ("a",)


def test_an_excluded_group_leaves_its_lease():
    ledger = ready("a", "b")
    lease = leased(ledger, 2)
    assert ledger.exclude(["a", "a"], "cancelled") == 2
    assert ledger.exclude(["a"], "stage_switch") == 0
    answer = ledger.acknowledge(lease.id)
    assert (answer.trained, answer.refused) == (("b",), ("a",))
    assert ledger.counts() == counts(4, 2, 0, {"cancelled": 2})


def test_a_group_excluded_before_its_responses_came_is_counted_when_they_come():
    ledger = ReplayLedger()
    ledger.admit("a", 2, STAGE, 0)
    ledger.start_generating(["a"])
    ledger.exclude(["a"], "stage_switch")
    assert ledger.counts() == counts(0, 0, 0)
    for _ in range(2):
        assert not ledger.commit_generated("a", "t")
        assert ledger.counts() == counts(2, 0, 0, {"stage_switch": 2})


def test_withdrawn_groups_are_generated_anew_and_counted_once():
    ledger = ReplayLedger()
    ledger.admit("a", 2, STAGE, 0)
    for ref in ("lost", "t"):
        ledger.start_generating(["a"])
        ledger.commit_generated("a", ref)
        ledger.commit_scored("a", "s", [TRAIN, "truncated"])
        if ref == "lost":
            ledger.withdraw(["a"])
            assert ledger.counts() == counts(0, 0, 0)
    assert ledger.refs("a") == ("t", "s")
    assert ledger.counts() == counts(2, 0, 1, {"truncated": 1})


def test_a_leased_group_is_not_withdrawn():
    ledger = ready("a", "b")
    leased(ledger, ["b"])
    with pytest.raises(IllegalMove, match="'b' is leased"):
        ledger.withdraw(["a", "b"])
    assert ledger.in_state("ready") == ("a",)


def test_ids_are_used_once():
    ledger = ready("a")
    with pytest.raises(IllegalMove, match="already ready"):
        ledger.admit("a", 2, STAGE, 0)
    ledger.exclude(["a"], "cancelled")
    with pytest.raises(IllegalMove, match=r"has ended \(cancelled\)"):
        ledger.admit("a", 2, STAGE, 0)
    with pytest.raises(UnknownGroup):
        ledger.start_generating(["nobody"])


def test_saved_state_balances_without_what_was_in_flight():
    ledger = ready("a", "b", "c")
    ledger.acknowledge(leased(ledger, ["a"]).id)
    ledger.exclude(["b"], "cancelled")
    ledger.admit("d", 2, STAGE, 0)
    ledger.start_generating(["d"])
    ledger.commit_generated("d", "t-d")
    ledger.commit_scored("d", "s-d", [TRAIN, "truncated"])
    fresh = ReplayLedger()
    assert fresh.load_state_dict(json.loads(json.dumps(ledger.state_dict()))) == ("c", "d")
    assert fresh.counts() == counts(4, 2, 0, {"cancelled": 2})
    assert fresh.in_state("pending") == ("c", "d")
    fresh.admit("c", 2, STAGE, 0)
    with pytest.raises(IllegalMove, match="has ended"):
        fresh.admit("a", 2, STAGE, 0)


def test_a_foreign_schema_is_refused():
    with pytest.raises(ValueError, match="schema"):
        ReplayLedger().load_state_dict({"schema": 99})


def test_what_has_ended_long_ago_is_forgotten_but_stays_counted():
    ledger = ReplayLedger()
    for i in range(ENDS_KEPT + 10):
        group_id = f"g{i}"
        ledger.admit(group_id, 1, STAGE, 0)
        ledger.start_generating([group_id])
        ledger.commit_generated(group_id, "t")
        ledger.commit_scored(group_id, "s", [TRAIN])
        ledger.acknowledge(leased(ledger, [group_id]).id)
    assert ledger.counts() == counts(ENDS_KEPT + 10, ENDS_KEPT + 10, 0)
    assert ledger.gauges()["trained"] == ENDS_KEPT + 10
    assert len(ledger.state_dict()["ended"]) == ENDS_KEPT
    assert ledger.ended(f"g{ENDS_KEPT + 9}")
    with pytest.raises(LeaseLost):
        ledger.acknowledge("lease-1")
