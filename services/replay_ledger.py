"""Sample accounting and leases of the replay queue: a state machine without Ray, clock or payload.

A prompt group moves ``pending -> generating -> verifying -> ready -> leased -> trained``, or ends
once with a reason. A *sample* is one response of a group. At all times, in samples::

    generated = trained + sum(excluded) + in_flight

Time comes in as ``now`` (seconds, any monotonic origin); a passed deadline takes effect at the next
:meth:`ReplayLedger.expire`, which :meth:`ReplayLedger.lease` calls first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from services.replay_records import (
    TRAIN,
    Acknowledgement,
    End,
    Group,
    IllegalMove,
    Lease,
    LeaseLost,
    State,
    UnknownGroup,
)

SCHEMA = 1
"""Version of the saved state; loading refuses what it does not know."""

ENDS_KEPT = 4096
"""Ended groups and past leases remembered, the newest: enough to recognise a repeated or late
message, and a bound on the state, which is saved at every step."""


class ReplayLedger:
    """See the module. Not thread-safe: one owner calls it. An id may not be used again while its
    group is in flight or among the :data:`ENDS_KEPT` that ended last.

    References are opaque: they are kept, handed out and forgotten, never looked into.
    """

    def __init__(self, max_staleness: int = 0) -> None:
        """``max_staleness``: oldest policy version leased, counted back from the current one."""
        self._max_staleness = max_staleness
        self._version = 0
        self._groups: dict[str, Group] = {}
        self._ended: dict[str, End] = {}
        self._leases: dict[str, Lease] = {}
        self._past_leases: dict[str, Lease] = {}
        self._next_lease = 1
        self._generated = 0
        self._trained = 0
        self._excluded: Counter[str] = Counter()
        self._groups_ended: Counter[str] = Counter()

    # -- the way of a group -------------------------------------------------------------------

    def admit(self, group_id: str, size: int, stage: str, version: int) -> None:
        """Enter a group of ``size`` samples to come. Repeating it while pending changes nothing.

        Raises:
            IllegalMove: the id is taken by another group, or by one that has ended.
            ValueError: ``size`` is not positive.
        """
        if size < 1:
            raise ValueError(f"group {group_id!r}: size must be at least 1, not {size}")
        if (end := self._ended.get(group_id)) is not None:
            raise IllegalMove(f"group {group_id!r} has ended ({end.reason}); use a new id")
        known = self._groups.get(group_id)
        if known is not None and (known.state, known.size, known.stage) != ("pending", size, stage):
            raise IllegalMove(
                f"group {group_id!r} is already {known.state} with {known.size} samples of stage "
                f"{known.stage!r}; use a new id"
            )
        self._groups[group_id] = Group(size, stage, version)
        self._version = max(self._version, version)

    def start_generating(self, group_ids: Iterable[str]) -> None:
        """Record that a generator works on these pending groups."""
        for group in [self._in(g, "pending") for g in group_ids]:
            group.state = "generating"

    def commit_generated(self, group_id: str, ref: Any, version: int | None = None) -> bool:
        """Take the responses of a group: its samples are now generated.

        Args:
            ref: opaque reference to the trajectory group.
            version: policy version that really drew it, where it is not the admitted one.

        Returns:
            False if they are not wanted: the group has its responses already (they are dropped
            uncounted), or it ended first (they count as generated and excluded for its reason).
        """
        if (end := self._ended.get(group_id)) is not None:
            if not end.counted:
                self._ended[group_id] = End(end.reason, end.size, True, None)
                self._generated += end.size
                self._excluded[end.reason] += end.size
            return False
        group = self._find(group_id)
        if group.counted:
            return False
        self._in(group_id, "generating")
        group.trajectory_ref, group.state = ref, "verifying"
        group.version = group.version if version is None else version
        self._generated += group.size
        return True

    def commit_scored(self, group_id: str, ref: Any, dispositions: Sequence[str]) -> bool:
        """Take the scores of a group; samples not to be trained on are excluded by reason.

        A group without a sample left to train on becomes ready all the same: the learner counts
        its sequences in the mean of the mini-batch.

        Args:
            ref: opaque reference to the score columns.
            dispositions: one a sample, :data:`TRAIN` or an exclusion reason.

        Returns:
            False if the group ended or was scored before: nothing has changed.
        """
        if group_id in self._ended or self._find(group_id).state in ("ready", "leased"):
            return False
        group = self._in(group_id, "verifying")
        if len(dispositions) != group.size:
            raise ValueError(
                f"group {group_id!r}: {len(dispositions)} dispositions for {group.size} samples"
            )
        group.score_ref, group.dispositions, group.state = ref, tuple(dispositions), "ready"
        self._excluded += group.dropped
        return True

    def exclude(self, group_ids: Iterable[str], reason: str) -> int:
        """End groups for a reason; return how many samples that excluded. Ended ones are skipped.

        A leased group is taken from its holder: the acknowledgement will be refused for it.
        """
        if reason == TRAIN:
            raise ValueError(f"{TRAIN!r} is not a reason to exclude")
        ids = [g for g in dict.fromkeys(group_ids) if g not in self._ended]
        groups = [self._find(g) for g in ids]
        before = self._excluded.total()
        for group_id, group in zip(ids, groups, strict=True):
            if group.counted:
                self._excluded[reason] += group.size - group.dropped.total()
            self._end(group_id, reason)
        self._excluded = +self._excluded
        return self._excluded.total() - before

    def withdraw(self, group_ids: Iterable[str]) -> None:
        """Send groups whose responses or scores were lost back to pending.

        Their samples leave ``generated`` and ``excluded`` again, so that the next attempt does not
        count them twice.

        Raises:
            IllegalMove: a group is leased; release or expire the lease first.
        """
        ids = list(group_ids)
        for group_id in ids:
            self._in(group_id, "pending", "generating", "verifying", "ready")
        for group_id in ids:
            group = self._groups[group_id]
            self._generated -= group.counted
            self._excluded -= group.dropped
            self._groups[group_id] = Group(group.size, group.stage, group.version)

    # -- leases -------------------------------------------------------------------------------

    def set_version(self, version: int) -> None:
        """Say which policy version is current: leases measure staleness against the newest one
        said here or admitted."""
        self._version = max(self._version, version)

    def lease(
        self, groups: int | Sequence[str], consumer: str, now: float, seconds: float
    ) -> Lease | None:
        """Give ready groups to a consumer. Groups that are too old end as ``stale`` instead.

        Args:
            groups: how many (first admitted, first leased; all or none), or which.
            seconds: the lease expires at ``now + seconds``.

        Returns:
            The lease (of no group, if all of those named were stale); None if fewer than the
            number asked for are ready.

        Raises:
            IllegalMove: a group named is not ready.
        """
        self.expire(now)
        if isinstance(groups, int):
            wanted = [g for g, group in self._groups.items() if group.state == "ready"]
        else:
            wanted = list(dict.fromkeys(groups))
            for group_id in wanted:
                self._in(group_id, "ready")
        oldest = self._version - self._max_staleness
        self.exclude([g for g in wanted if self._groups[g].version < oldest], "stale")
        fresh = [g for g in wanted if g in self._groups]
        if isinstance(groups, int):
            if len(fresh) < groups:
                return None
            fresh = fresh[:groups]
        lease = Lease(f"lease-{self._next_lease}", consumer, tuple(fresh), now + seconds)
        self._next_lease += 1
        self._leases[lease.id] = lease
        for group_id in fresh:
            self._groups[group_id].state, self._groups[group_id].lease = "leased", lease.id
        return lease

    def renew(self, lease_id: str, now: float, seconds: float) -> Lease:
        """Move the end of a lease to ``now + seconds``.

        Raises:
            LeaseLost: it has expired; its groups may be another consumer's.
        """
        lease = self._leases.get(lease_id)
        if lease is None:
            raise LeaseLost(f"{lease_id} has ended; lease the groups again")
        self._leases[lease_id] = Lease(lease.id, lease.consumer, lease.groups, now + seconds)
        return self._leases[lease_id]

    def held(self, lease_id: str) -> bool:
        """Whether the lease is neither acknowledged in full, released nor expired."""
        return lease_id in self._leases

    def acknowledge(self, lease_id: str, group_ids: Sequence[str] | None = None) -> Acknowledgement:
        """Record groups of a lease as trained; idempotent by group id.

        An expired lease is still good for groups that nobody else has leased since.

        Args:
            group_ids: the groups; all those of the lease if None.

        Raises:
            LeaseLost: no such lease was ever given by this ledger.
        """
        lease = self._leases.get(lease_id) or self._past_leases.get(lease_id)
        if lease is None:
            raise LeaseLost(f"{lease_id} is unknown; lease the groups again")
        ids = lease.groups if group_ids is None else tuple(dict.fromkeys(group_ids))
        trained, repeated, refused = [], [], []
        for group_id in ids:
            end, group = self._ended.get(group_id), self._groups.get(group_id)
            if end is not None and (end.reason, end.lease) == (TRAIN, lease_id):
                repeated.append(group_id)
            elif group is None or group.lease != lease_id:
                refused.append(group_id)
            else:
                self._trained += group.size - group.dropped.total()
                self._end(group_id, TRAIN)
                trained.append(group_id)
        if not any(g in self._groups for g in lease.groups):
            self._close(lease_id)
        return Acknowledgement(tuple(trained), tuple(repeated), tuple(refused))

    def release(self, lease_id: str) -> tuple[str, ...]:
        """Give a lease up before its time, e.g. because its holder died; return its groups."""
        lease = self._leases.get(lease_id)
        if lease is None:
            return ()
        self._close(lease_id)
        back = [g for g in lease.groups if g in self._groups]
        for group_id in back:
            self._groups[group_id].state = "ready"
        return tuple(back)

    def expire(self, now: float) -> tuple[str, ...]:
        """End leases whose time is up; return the groups that are ready again."""
        late = [lease.id for lease in self._leases.values() if lease.expires_at <= now]
        return tuple(g for lease_id in late for g in self.release(lease_id))

    # -- reading ------------------------------------------------------------------------------

    def refs(self, group_id: str) -> tuple[Any, Any]:
        """Return the trajectory and the score reference of a ready or leased group."""
        group = self._in(group_id, "ready", "leased")
        return group.trajectory_ref, group.score_ref

    def ended(self, group_id: str) -> bool:
        """Whether the group was trained or excluded."""
        return group_id in self._ended

    def in_state(self, state: State) -> tuple[str, ...]:
        """Return the ids of the groups in a state, in order of admission."""
        return tuple(g for g, group in self._groups.items() if group.state == state)

    def counts(self) -> dict[str, Any]:
        """Return ``generated``, ``trained``, ``excluded`` by reason, ``in_flight``: in samples."""
        in_flight = sum(g.counted - g.dropped.total() for g in self._groups.values())
        return {
            "generated": self._generated,
            "trained": self._trained,
            "excluded": dict(sorted((+self._excluded).items())),
            "in_flight": in_flight,
        }

    def gauges(self) -> dict[str, int]:
        """Return groups by state, groups ended, and leases held."""
        states = Counter(g.state for g in self._groups.values())
        trained = self._groups_ended[TRAIN]
        return {
            **{s: states[s] for s in get_args(State)},
            "trained": trained,
            "excluded": self._groups_ended.total() - trained,
            "leases": len(self._leases),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what a later run needs, JSON-ready.

        References do not outlive the run, so groups in flight are recorded as to be issued again
        and their samples leave ``generated`` and ``excluded``: the saved counts balance with
        nothing in flight.
        """
        excluded = self._excluded.copy()
        for group in self._groups.values():
            excluded -= group.dropped
        return {
            "schema": SCHEMA,
            "version": self._version,
            "next_lease": self._next_lease,
            "generated": self._generated - sum(g.counted for g in self._groups.values()),
            "trained": self._trained,
            "excluded": dict(+excluded),
            "groups_ended": dict(self._groups_ended),
            "reissue": [[i, g.size, g.stage, g.version] for i, g in self._groups.items()],
            "ended": [[i, e.reason, e.size, e.counted] for i, e in self._ended.items()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Replace everything by a saved state; return the groups to be issued again (pending).

        Raises:
            ValueError: the state is of a schema this version does not know.
        """
        if state.get("schema") != SCHEMA:
            raise ValueError(f"replay ledger schema {state.get('schema')!r}, expected {SCHEMA}")
        self._version, self._next_lease = state["version"], state["next_lease"]
        self._generated, self._trained = state["generated"], state["trained"]
        self._excluded = Counter(state["excluded"])
        self._groups_ended = Counter(state["groups_ended"])
        self._groups = {i: Group(size, stage, v) for i, size, stage, v in state["reissue"]}
        self._ended = {i: End(reason, n, c, None) for i, reason, n, c in state["ended"]}
        self._leases, self._past_leases = {}, {}
        return tuple(self._groups)

    # -- inside -------------------------------------------------------------------------------

    def _find(self, group_id: str) -> Group:
        group = self._groups.get(group_id)
        if group is not None:
            return group
        if (end := self._ended.get(group_id)) is not None:
            raise IllegalMove(f"group {group_id!r} has ended ({end.reason})")
        raise UnknownGroup(f"group {group_id!r} was never admitted")

    def _in(self, group_id: str, *states: State) -> Group:
        group = self._find(group_id)
        if group.state not in states:
            raise IllegalMove(
                f"group {group_id!r} is {group.state}, and this move starts from "
                f"{' or '.join(states)}"
            )
        return group

    def _end(self, group_id: str, reason: str) -> None:
        group = self._groups.pop(group_id)
        lease = group.lease if reason == TRAIN else None
        self._ended[group_id] = End(reason, group.size, bool(group.counted), lease)
        self._groups_ended[reason] += 1
        if len(self._ended) > ENDS_KEPT:
            del self._ended[next(iter(self._ended))]

    def _close(self, lease_id: str) -> None:
        if (lease := self._leases.pop(lease_id, None)) is not None:
            self._past_leases[lease_id] = lease
            if len(self._past_leases) > ENDS_KEPT:
                del self._past_leases[next(iter(self._past_leases))]
