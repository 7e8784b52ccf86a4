"""Going back to an earlier policy when an accuracy guard asks for it."""

from __future__ import annotations

from typing import Any

from actors.learner_work import LearnerWork
from actors.run_journal import RunJournal
from algorithms.stage_machine import Decision
from services.checkpoints import CheckpointStore


def roll_back(
    decision: Decision,
    version: int,
    checkpoints: CheckpointStore,
    learners: LearnerWork,
    journal: RunJournal,
) -> bool:
    """Have the learners load the checkpoint a decision names and publish it as ``version``.

    Only weights and optimiser go back. A checkpoint that is damaged or gone is no reason to fail
    the job, which would then fail at every resume: the weights stay and the event log says so.

    Returns:
        Whether ``version`` was published.
    """
    assert decision.rollback_to is not None
    found, problem = checkpoints.at(decision.rollback_to)
    data: dict[str, Any] = {
        "step": decision.rollback_to,
        "cause": decision.cause,
        "evidence": dict(decision.evidence),
    }
    if found is None:
        message = f"no rollback, the weights stay as they are: {problem}"
        journal.event("rollback_skipped", message, data, "warning")
        return False
    item = {"kind": "load", "folder": str(found.folder), "version": version}
    learners.do(item, f"the learners to go back to the weights of step {found.step}")
    message = f"{decision.stage} cost too much accuracy: back to the weights of step {found.step}"
    journal.event("rollback", message, data)
    return True
