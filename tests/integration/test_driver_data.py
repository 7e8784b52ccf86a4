"""A driver whose data cannot be used says so in the job's record, before it asks for a cluster."""

from __future__ import annotations

import pytest
import ray

from actors.driver import Driver
from services.home import Home
from services.presets.registry import resolve
from services.stores.sqlite import SqliteJobStore


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"question": "q", "answer": "x +"}\n', "'train-1' ('x +': string_only)"),
        ('{"question": "q"}\n', "'answer' is missing"),
    ],
)
def test_the_cause_names_data_and_remedy(tmp_path, content, words):
    (tmp_path / "train.jsonl").write_text(content)
    home = Home(tmp_path / "home").create()
    store = SqliteJobStore(home.database)
    data = {"path": str(tmp_path / "train.jsonl")}
    job = store.create_job(resolve("tiny-cpu", {"data": data, "evaluation": None}), None)
    assert Driver(store, home, job.id, 1).main() == 1
    ended = store.get_job(job.id)
    assert ended.state == "failed"
    assert words in (ended.cause or "")
    assert not ray.is_initialized()
