"""What a driver does about the line of steps of its job before it goes on with it: first
:func:`go_back`, which says nothing yet, then :func:`take_up_line`. What an attempt that was killed
between them left undone is done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from actors.attempt import Attempt
from services.home import JobFolder
from services.lineage import REWOUND, Inheritance, rewind, step_to_go_back_to
from services.stores.protocol import EventRecord

_PAGE = 1000


@dataclass(frozen=True)
class WentBack:
    """Where a resume asked to go on from."""

    step: int
    gone: list[int]
    """Steps of the checkpoints that were taken out of the line."""


def go_back(driver: Attempt, folder: JobFolder) -> WentBack | None:
    """Take away what came after the step that a resume asked for; None where none did."""
    step = step_to_go_back_to(_events(driver))
    return None if step is None else WentBack(step, rewind(folder, step))


def take_up_line(driver: Attempt, folder: JobFolder, went_back: WentBack | None) -> None:
    """Write what a fork brought along into the store, and that the job went back."""
    if folder.inheritance.exists():
        brought: Inheritance = json.loads(folder.inheritance.read_text())
        for record in brought["records"]:
            driver.store.append_metrics(driver.job_id, driver.attempt, record["step"], record)
        for evaluation in brought["evaluations"]:
            said = f"{evaluation['label']}: measured before the fork"
            driver.event("evaluation", said, evaluation)
        folder.inheritance.unlink()
    if went_back is not None:
        said = f"back to step {went_back.step}: what came after it is set aside"
        driver.event(REWOUND, said, {"step": went_back.step, "checkpoints": went_back.gone})
        # As long as the store has not got it, another attempt would go back again.
        driver.journal.drain()


def _events(driver: Attempt) -> Iterator[EventRecord]:
    after = 0
    while page := driver.store.events(driver.job_id, after, _PAGE):
        yield from page
        after = page[-1].id
