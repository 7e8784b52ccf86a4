"""In which order the learners are given their work."""

from __future__ import annotations

import pytest

from actors.learner_work import LearnerWork


class Work(LearnerWork):
    """Learners that train for ten seconds and note what is asked of them."""

    def __init__(self):
        super().__init__(None, None, 1.0)
        self.said = []

    def begin(self, item):
        self.last_id += 1
        self.said.append((item["kind"], item.get("publish"), item["version"]))
        return self.last_id

    def finish(self, work_id, what):
        self.said.append(("done", work_id))
        return {"train_seconds": 10.0}


def test_a_step_is_published_by_itself():
    work = Work()
    result = work.train({"kind": "train", "version": 4}, "")
    assert work.said == [("train", True, 4), ("done", 1)]
    assert "held_up_seconds" not in result


def test_what_runs_beside_a_step_has_the_policy_of_before():
    work = Work()
    result = work.train({"kind": "train", "version": 4}, "", lambda: work.said.append("beside"))
    assert work.said == [
        *(("train", False, 4), "beside", ("done", 1)),
        *(("publish", None, 4), ("done", 2)),
    ]
    assert result["held_up_seconds"] == 0.0


def test_how_long_training_waited_is_measured(monkeypatch):
    times = iter([100.0, 112.5])
    monkeypatch.setattr("actors.learner_work.time.monotonic", lambda: next(times))
    result = Work().train({"kind": "train", "version": 1}, "", lambda: None)
    assert result["held_up_seconds"] == pytest.approx(2.5)
