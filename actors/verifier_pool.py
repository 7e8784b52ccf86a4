"""The verifier: fetches trajectories, judges them, leaves score columns in the object store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from pydantic import TypeAdapter

from algorithms.objectives import Objective
from algorithms.scoring import ScoredGroup, score_groups
from algorithms.trajectory import Judgement, TrajectoryGroup
from services.spec.job import VerifierSpec
from services.verification.case import Case
from services.verification.pool import CaseLike, VerificationPool
from services.verification.tolerance import Tolerance

_FETCH_SECONDS = 120
_OBJECTIVE: TypeAdapter[Any] = TypeAdapter(Objective)


class VerifierPool:
    """Thin shell around :class:`VerificationPool`: payloads travel by reference only.

    Model output is never evaluated here: whatever needs algebra goes to worker processes that are
    killed when they overrun.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        settings = VerifierSpec.model_validate(spec)
        self._pool = VerificationPool(
            settings.workers, settings.timeout_seconds, settings.memory_mib, kind=settings.kind
        )

    def score(
        self,
        groups: list[tuple[str, list[ray.ObjectRef[dict[str, Any]]]]],
        objective: dict[str, Any],
        contrast: Sequence[dict[str, Any]] = (),
    ) -> list[dict[str, Any]]:
        """Judge and score groups; the order is kept.

        Args:
            groups: group id, and the trajectory reference in a list of its own.
            objective: of the stage that drew them, as JSON-ready fields.
            contrast: further objectives to score the same verdicts by, for analysis.

        Returns:
            One record a group: ``group_id``, ``score_ref`` (the reference to the score columns, in
            a list), ``dispositions``, ``verdicts``, ``lengths`` [G] in tokens, ``rewards`` [G],
            ``finished`` [G], ``entropy_sum`` (minus the sum of the behaviour log-probabilities, in
            nats), ``token_count``, ``zero_advantage``, ``route`` and ``contrast`` (one reference to
            score columns for each further objective).

        Raises:
            GetTimeoutError: a trajectory could not be fetched in time.
        """
        parsed = _OBJECTIVE.validate_python(objective)
        columns = ray.get([ref[0] for _, ref in groups], timeout=_FETCH_SECONDS)
        trajectories = [TrajectoryGroup.from_columns(c) for c in columns]
        found = iter(self.judge_texts([c for g in trajectories for c in _cases(g)]))
        judgements = [[next(found) for _ in range(g.size)] for g in trajectories]
        scored = score_groups(parsed, trajectories, judgements)
        records = [_record(g, s) for g, s in zip(trajectories, scored, strict=True)]
        for other in contrast:
            again = score_groups(_OBJECTIVE.validate_python(other), trajectories, judgements)
            for record, s in zip(records, again, strict=True):
                record["contrast"].append(ray.put(s.columns()))
        return records

    def judge_texts(self, cases: Sequence[CaseLike]) -> list[Judgement]:
        """Judge cases, or their first two, three or four fields; the order is kept."""
        return self._pool.judge(cases)

    def gauges(self) -> dict[str, int]:
        """Return the pool's counters."""
        return self._pool.gauges()

    def pids(self) -> list[int]:
        """Return the process ids of the workers that are up."""
        return self._pool.pids()


def _cases(group: TrajectoryGroup) -> list[Case]:
    """What is asked about each response of a group: strictly, since it is trained on."""
    bounds = None if group.tolerance is None else Tolerance(*group.tolerance)
    return [Case(group.gold, text, "reward", bounds) for text in group.texts]


def _record(group: TrajectoryGroup, scored: ScoredGroup) -> dict[str, Any]:
    """Put the score columns into the object store and return what the driver looks at."""
    return {
        "group_id": group.group_id,
        "score_ref": [ray.put(scored.columns())],
        "dispositions": scored.dispositions,
        "verdicts": scored.verdicts,
        "lengths": group.lengths,
        "rewards": scored.rewards,
        "finished": np.array([f == "stop" for f in group.finish_reasons]),
        "entropy_sum": -float(group.behaviour_logprobs.sum(dtype=np.float64)),
        "token_count": len(group.response_ids),
        "zero_advantage": scored.zero_advantage,
        "route": scored.route,
        "contrast": [],
    }
