"""How much of its jobs a store keeps."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final

from pydantic import Field, ValidationError

from algorithms.strict import Strict
from services.stores.lifecycle import ACTIVE
from services.stores.protocol import JobStore

_DAY: Final = 86_400.0
_PAGE: Final = 100
_VARIABLES: Final = {
    "events_per_job": "LACONIC_KEEP_EVENTS",
    "steps_per_job": "LACONIC_KEEP_STEPS",
    "ended_days": "LACONIC_KEEP_ENDED_DAYS",
}


class Retention(Strict):
    """Settings of the control plane, each with its environment variable; None, in a variable
    ``all``, keeps everything."""

    events_per_job: int | None = Field(default=100_000, ge=1)
    """The newest events of a job that are kept (``LACONIC_KEEP_EVENTS``). A reader that comes
    later finds a gap in the ids. A report counts only the time of the events that are left."""
    steps_per_job: int | None = Field(default=None, ge=1)
    """The newest step records of a job that are kept (``LACONIC_KEEP_STEPS``)."""
    ended_days: float | None = Field(default=None, gt=0)
    """Days after which a job that succeeded, failed or was cancelled is removed from the store
    (``LACONIC_KEEP_ENDED_DAYS``). Its folder, with its checkpoints, stays."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Retention:
        """Read the variables.

        Raises:
            ValueError: one of them is no number in its range; the message names it.
        """
        given = os.environ if environment is None else environment
        texts = {field: given.get(variable, "").strip() for field, variable in _VARIABLES.items()}
        values = {field: text for field, text in texts.items() if text not in ("", "all")}
        try:
            found = cls.model_validate_strings(values)
            return found.model_copy(update={f: None for f, text in texts.items() if text == "all"})
        except ValidationError as error:
            wrong = str(error.errors()[0]["loc"][0])
            number = "number" if wrong == "ended_days" else "whole number"
            raise ValueError(
                f"{_VARIABLES[wrong]} must be a {number} above 0, or all, not {values[wrong]!r}"
            ) from error

    def trim(self, store: JobStore, job_id: str) -> None:
        """Bring the records of one job within bounds."""
        if self.events_per_job is not None or self.steps_per_job is not None:
            store.trim(job_id, events=self.events_per_job, metrics=self.steps_per_job)

    def apply(self, store: JobStore) -> list[str]:
        """Trim every job that may still be written to and remove those that ended too long ago,
        some at a time; return the ids of the removed."""
        cursor: str | None = None
        while True:
            page, cursor = store.list_jobs(_PAGE, cursor, ACTIVE)
            for job in page:
                self.trim(store, job.id)
            if cursor is None:
                break
        if self.ended_days is None:
            return []
        return store.remove_ended(time.time() - self.ended_days * _DAY, _PAGE)
