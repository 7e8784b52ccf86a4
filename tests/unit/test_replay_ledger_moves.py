"""Any order of moves through the replay ledger: balanced, nothing lost or trained twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

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
from services.replay_records import TRAIN, Lease, LeaseLost, LedgerError

STAGE = "compression"

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
