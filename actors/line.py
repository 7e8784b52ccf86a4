"""What a driver does about the line of steps of its job before it goes on with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from actors.attempt import Attempt
from services.home import JobFolder
from services.lineage import REWOUND, Inheritance, rewind, step_to_go_back_to
from services.stores.protocol import EventRecord

_PAGE = 1000


def take_up_line(driver: Attempt, folder: JobFolder) -> None:
    """Write what a fork brought along into the store, and go back where a resume asked for it.
    What an attempt that was killed in it left undone is done again."""
    if folder.inheritance.exists():
        brought: Inheritance = json.loads(folder.inheritance.read_text())
        for record in brought["records"]:
            driver.store.append_metrics(driver.job_id, driver.attempt, record["step"], record)
        for evaluation in brought["evaluations"]:
            said = f"{evaluation['label']}: measured before the fork"
            driver.event("evaluation", said, evaluation)
        folder.inheritance.unlink()
    step = step_to_go_back_to(_events(driver))
    if step is not None:
        gone = rewind(folder, step)
        said = f"back to step {step}: what came after it is set aside"
        driver.event(REWOUND, said, {"step": step, "checkpoints": gone})


def _events(driver: Attempt) -> Iterator[EventRecord]:
    after = 0
    while page := driver.store.events(driver.job_id, after, _PAGE):
        yield from page
        after = page[-1].id
