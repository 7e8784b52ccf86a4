"""The state of a stage machine, carried over to stages that differ from those it ran with in what
is yet to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from algorithms.criterion_watch import CriterionWatch
from algorithms.guard_watch import GuardWatch
from algorithms.schedule import Cycles, Occurrence, occurrences
from algorithms.stage import Stage
from algorithms.stage_machine import SCHEMA

Stages = tuple[Sequence[Stage], Cycles | None]
"""The stages of a job and how they are repeated."""


class CannotCarry(ValueError):
    """The state does not fit the stages; the message names the stage and the remedy."""


def carry(state: Mapping[str, Any], old: Stages, new: Stages) -> dict[str, Any]:
    """Return a state for ``new`` that goes on where ``state`` is.

    What was trained must be the same in both: the stages before the one at hand. Of that one, the
    steps must leave some to train. Criteria and guards that are changed begin anew. A job that had
    finished goes on with the steps its last stage has now, else with the stage behind it.

    Args:
        state: what :meth:`~algorithms.stage_machine.StageMachine.state_dict` returned.
        old: what it was returned with.
        new: what it is for.

    Raises:
        CannotCarry: the stages differ in what was trained, or leave nothing to train.
    """
    if state.get("schema") != SCHEMA:
        raise CannotCarry("another version of Laconic wrote this checkpoint; choose a newer one")
    was, will_be = occurrences(*old), occurrences(*new)
    labels = [o.label for o in will_be]
    position = [o.label for o in was].index(state["stage"])
    _refuse_other_past(was, will_be, position)
    before, now = was[position].stage, will_be[position].stage
    done, carried = int(state["stage_step"]), dict(state) | {"stages": labels}
    # What has ended as it was asked to does not go on for being asked the same again.
    reopened = state["finished"] and now != before
    if state["requested"] not in labels[position + 1 :]:
        carried["requested"] = None
    if now.steps > done and (reopened or not state["finished"]):
        closing = state["closing"]
        if state["finished"]:
            # The stage has not ended after all: its guard is still on watch.
            guard = closing["guard"] if closing else GuardWatch(before.guard).state_dict()
            carried |= {"finished": False, "closing": None, "guard": guard}
        return carried | _watches(carried, (before, old[1]), (now, new[1]))
    if state["finished"] and was != will_be and position + 1 < len(will_be):
        following = will_be[position + 1]
        carried |= {"finished": False, "stage": following.label, "stage_step": 0}
        if now.guard != before.guard:
            carried["closing"] = None
        return carried | _fresh(following.stage, new[1])
    raise CannotCarry(
        f"nothing is left to train: stage {state['stage']!r} has run {done} of its {now.steps} "
        "steps; give it more, add a stage if it has ended, or fork from an earlier checkpoint"
    )


def _refuse_other_past(was: Sequence[Occurrence], will_be: Sequence[Occurrence], at: int) -> None:
    labels, wanted = [o.label for o in was[: at + 1]], [o.label for o in will_be[: at + 1]]
    if labels != wanted:
        raise CannotCarry(
            f"the checkpoint has been through {', '.join(labels)}, the stages begin with "
            f"{', '.join(wanted)}; keep what is trained and change what comes after"
        )
    for before, after in zip(was[:at], will_be[:at], strict=True):
        if before.stage != after.stage:
            raise CannotCarry(
                f"stage {before.label!r} is trained already and cannot be changed; fork from a "
                "checkpoint before it"
            )


def _watches(
    state: Mapping[str, Any], old: tuple[Stage, Cycles | None], new: tuple[Stage, Cycles | None]
) -> dict[str, Any]:
    """What the criteria and the guard of the stage at hand have seen, of those that stay."""
    fresh = _fresh(*new)
    kept = dict(zip(map(repr, old[0].until), state["until"], strict=True))
    until = [
        kept.get(repr(criterion), unseen)
        for criterion, unseen in zip(new[0].until, fresh["until"], strict=True)
    ]
    same_target = _target(old[1]) == _target(new[1])
    return {
        "until": until,
        "target": state["target"] if same_target else fresh["target"],
        "guard": state["guard"] if old[0].guard == new[0].guard else fresh["guard"],
    }


def _fresh(stage: Stage, cycles: Cycles | None) -> dict[str, Any]:
    target = _target(cycles)
    return {
        "until": [CriterionWatch(c).state_dict() for c in stage.until],
        "target": None if target is None else CriterionWatch(target).state_dict(),
        "guard": GuardWatch(stage.guard).state_dict(),
    }


def _target(cycles: Cycles | None) -> Any:
    return cycles.length if cycles else None
