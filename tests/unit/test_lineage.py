"""What is set aside when a job goes back, and whether it still has to."""

from __future__ import annotations

import json

from services.checkpoints import CheckpointStore
from services.home import JobFolder
from services.lineage import evaluations_of, rewind, step_to_go_back_to
from services.stores.protocol import EventRecord
from tests.unit.test_checkpoints import write


def event(kind, **data):
    return EventRecord(1, 0.0, kind, "", "info", 1, data)


def resumed(step=None):
    return event("state", to="queued", **({} if step is None else {"from_step": step}))


def test_a_wish_to_go_back_holds_until_a_driver_has_done_so():
    assert step_to_go_back_to([resumed(), event("state", to="running")]) is None
    asked = [resumed(20), event("state", to="interrupted"), resumed()]
    assert step_to_go_back_to(asked) == 20
    assert step_to_go_back_to([*asked, event("rewound", step=20)]) is None
    assert step_to_go_back_to([*asked, resumed(10)]) == 10
    assert step_to_go_back_to([resumed(20), event("rewound", step=20), resumed(10)]) == 10


def test_evaluations_of_a_line_that_was_left_do_not_count():
    first, second = {"step": 5, "label": "a"}, {"step": 8, "label": "b"}
    events = [event("evaluation", **first), event("evaluation", **second)]
    assert evaluations_of(events) == [first, second]
    again = [*events, event("rewound", step=5), event("evaluation", **second)]
    assert evaluations_of(again) == [first, second]
    assert evaluations_of(again[:3]) == [first]


def test_what_came_after_the_step_is_set_aside(tmp_path):
    folder = JobFolder(tmp_path)
    store = CheckpointStore(folder.checkpoints)
    for step in (2, 4, 6, 8):
        write(store, step)
    store.pin(6)
    folder.evaluations.mkdir()
    for label, step in (("base", 0), ("compression", 4), ("exploration", 8)):
        folder.evaluation(label).write_text(json.dumps({"label": label, "step": step}))
        folder.evaluation(label).with_suffix(".parquet").write_text("")
        folder.model(label).mkdir(parents=True)
    (folder.root / "analysis").mkdir()
    for step in (4, 8):
        (folder.root / "analysis" / f"step-{step:06d}.npz").write_text("")
    assert rewind(folder, 4) == [8, 6]
    assert store.steps() == [4, 2]
    assert [p.name for p in store.root.glob("aside-*")] == ["aside-step-000006"]
    assert sorted(p.name for p in folder.evaluations.iterdir()) == [
        "base.json",
        "base.parquet",
        "compression.json",
        "compression.parquet",
    ]
    assert sorted(p.name for p in folder.models.iterdir()) == ["base", "compression"]
    assert [p.name for p in (folder.root / "analysis").iterdir()] == ["step-000004.npz"]
    assert rewind(folder, 4) == []
