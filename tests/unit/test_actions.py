"""What may be asked of a job, by the state it is in and the stages before it."""

from __future__ import annotations

from typing import Any

import pytest

from api.actions import actions_of, stages_ahead
from services.presets.registry import PRESETS
from services.stores.protocol import JobRecord


def job(state: Any, progress: dict[str, Any] | None = None, **changes: Any) -> JobRecord:
    spec = PRESETS["tiny-cpu"].resolve().model_copy(update=changes)
    return JobRecord(
        id="job-1",
        kind="training",
        name="one",
        spec=spec,
        preset=None,
        state=state,
        cause=None,
        attempt=1,
        created_at=0,
        updated_at=0,
        started_at=None,
        finished_at=None,
        heartbeat_at=None,
        progress=progress,
        ray_submission_id=None,
    )


@pytest.mark.parametrize(
    ("state", "legal"),
    [
        ("queued", {"pause", "cancel", "stage"}),
        ("starting", {"pause", "cancel", "stage"}),
        ("running", {"pause", "cancel", "stage"}),
        ("pausing", {"cancel", "stage"}),
        ("paused", {"resume", "cancel"}),
        ("stopping", {"cancel"}),
        ("interrupted", {"resume", "cancel"}),
        ("failed", {"resume"}),
        ("succeeded", set()),
        ("cancelled", set()),
    ],
)
def test_the_state_says_what_is_legal(state, legal):
    assert set(actions_of(job(state))) == legal


def test_in_the_last_stage_there_is_none_to_go_to():
    last = job("running", {"stage_index": 1, "cycle": 1})
    assert stages_ahead(last) == []
    assert set(actions_of(last)) == {"pause", "cancel"}
