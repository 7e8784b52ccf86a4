"""The replay ledger: balance, leases, acknowledgement; no group is lost or trained twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from services.replay_ledger import ReplayLedger
from services.replay_records import (
    TRAIN,
    IllegalMove,
    Lease,
    LeaseLost,
    LedgerError,
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


PICK = st.integers(0, 7)
"""Which of the newest groups or leases a rule takes: small numbers, so that they meet."""
DISPOSITIONS = st.lists(st.sampled_from([TRAIN, "truncated", "incorrect"]), min_size=4, max_size=4)


class LedgerMachine(RuleBasedStateMachine):
    """Any order of moves, refused or not, beside a model of who was trained on what."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ReplayLedger(max_staleness=2)
        self.now = 0.0
        self.version = 0
        self.sizes: dict[str, int] = {}
        self.leases: list[Lease] = []
        self.foreign: set[str] = set()
        """Leases given before the last restart."""
        self.holder: dict[str, str] = {}
        """Newest lease of each group."""
        self.trained: Counter[str] = Counter()

    @initialize(
        sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3), dispositions=DISPOSITIONS
    )
    def some_are_ready(self, sizes: list[int], dispositions: list[str]) -> None:
        for size in sizes:
            self.admit(size)
            self.to_ready(0, dispositions)

    def group(self, pick: int) -> str:
        newest = list(self.sizes)[::-1]
        return newest[pick % len(newest)]

    @rule(size=st.integers(1, 4))
    def admit(self, size: int) -> None:
        group_id = f"g{len(self.sizes)}"
        self.ledger.admit(group_id, size, STAGE, self.version)
        self.sizes[group_id] = size

    @rule(pick=PICK)
    def start(self, pick: int) -> None:
        self.attempt(lambda: self.ledger.start_generating([self.group(pick)]))

    @rule(pick=PICK)
    def generated(self, pick: int) -> None:
        self.attempt(lambda: self.ledger.commit_generated(self.group(pick), object(), self.version))

    @rule(pick=PICK, dispositions=DISPOSITIONS)
    def scored(self, pick: int, dispositions: list[str]) -> None:
        group = self.group(pick)
        own = dispositions[: self.sizes[group]]
        self.attempt(lambda: self.ledger.commit_scored(group, object(), own))

    @rule(pick=PICK, dispositions=DISPOSITIONS)
    def to_ready(self, pick: int, dispositions: list[str]) -> None:
        self.start(pick)
        self.generated(pick)
        self.scored(pick, dispositions)

    @rule(count=st.integers(1, 2))
    def lease(self, count: int | list[str]) -> None:
        lease = self.ledger.lease(count, "learner", self.now, 10)
        if lease is None:
            return
        for group in lease.groups:
            assert not self.trained[group], "a trained group was leased"
            self.holder[group] = lease.id
        self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def lease_to_a_successor(self, pick: int) -> None:
        """The holder is slow: its groups go to another, and it does not know."""
        slow = self.leases[-1 - pick % len(self.leases)]
        self.now += 11
        self.ledger.expire(self.now)
        ready_again = set(slow.groups) & set(self.ledger.in_state("ready"))
        if ready_again:
            self.lease(sorted(ready_again))

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def acknowledge(self, pick: int) -> None:
        lease = self.leases[-1 - pick % len(self.leases)]
        if lease.id in self.foreign:
            with pytest.raises(LeaseLost):
                self.ledger.acknowledge(lease.id)
            return
        answer = self.ledger.acknowledge(lease.id)
        assert sorted(answer.trained + answer.repeated + answer.refused) == sorted(lease.groups)
        for group in answer.trained:
            assert self.holder[group] == lease.id, "trained under a lease that was lost"
            self.trained[group] += 1

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, renewed=st.booleans())
    def release_or_renew(self, pick: int, renewed: bool) -> None:
        lease = self.leases[-1 - pick % len(self.leases)]
        if renewed:
            self.attempt(lambda: self.ledger.renew(lease.id, self.now, 10))
        else:
            self.ledger.release(lease.id)

    @rule(publishes=st.booleans())
    def time_passes(self, publishes: bool) -> None:
        self.now += 4
        self.ledger.expire(self.now)
        self.version += publishes
        self.ledger.set_version(self.version)

    @rule(pick=PICK, how=st.sampled_from(["cancelled", "worker_lost", "withdraw"]))
    def lose(self, pick: int, how: str) -> None:
        group = self.group(pick)
        if how == "withdraw":
            self.attempt(lambda: self.ledger.withdraw([group]))
        else:
            self.ledger.exclude([group], how)

    @precondition(lambda self: len(self.sizes) > 5)
    @rule()
    def restart(self) -> None:
        before = self.ledger.counts()
        state = json.loads(json.dumps(self.ledger.state_dict()))
        self.ledger = ReplayLedger(max_staleness=2)
        self.ledger.load_state_dict(state)
        self.foreign |= {lease.id for lease in self.leases}
        after = self.ledger.counts()
        assert (after["trained"], after["in_flight"]) == (before["trained"], 0)

    def attempt(self, move: Callable[[], object]) -> None:
        """Make a move; a refused one must leave the counts as they were."""
        before = self.ledger.counts()
        try:
            move()
        except LedgerError:
            assert self.ledger.counts() == before

    @invariant()
    def balanced(self) -> None:
        c = self.ledger.counts()
        assert c["generated"] == c["trained"] + sum(c["excluded"].values()) + c["in_flight"]
        assert min(c["generated"], c["trained"], c["in_flight"], *c["excluded"].values()) >= 0

    @invariant()
    def none_trained_twice(self) -> None:
        assert max(self.trained.values(), default=0) <= 1

    @invariant()
    def none_lost(self) -> None:
        gauges = self.ledger.gauges()
        states = ("pending", "generating", "verifying", "ready", "leased", "trained", "excluded")
        assert sum(gauges[s] for s in states) == len(self.sizes)
        assert gauges["trained"] == sum(self.trained.values())

    @invariant()
    def leased_groups_have_a_lease(self) -> None:
        held = {g for lease in self.leases if self.ledger.held(lease.id) for g in lease.groups}
        assert set(self.ledger.in_state("leased")) <= held


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
