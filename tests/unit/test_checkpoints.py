"""Checkpoints: sealed by a manifest, damaged ones passed over, old ones removed."""

from __future__ import annotations

from pathlib import Path

from services.checkpoints import Checkpoint, CheckpointStore, link_tree


def write(store: CheckpointStore, step: int, text: str = "weights") -> Checkpoint:
    folder = store.begin(step)
    (folder / "model").mkdir()
    (folder / "model" / "model.safetensors").write_text(text)
    return store.seal(folder, step, {"machine": {"global_step": step}})


def test_the_newest_checkpoint_is_found_with_its_state(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 9)
    write(store, 10)
    found, passed = store.latest()
    assert found is not None
    assert (found.step, found.state["machine"]["global_step"]) == (10, 10)
    assert (found.model / "model.safetensors").read_text() == "weights"
    assert passed == []


def test_an_unsealed_checkpoint_does_not_exist(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 1)
    (store.begin(2) / "model.safetensors").write_text("half")
    found, _ = store.latest()
    assert found is not None
    assert found.step == 1


def test_a_changed_or_missing_file_disqualifies(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for step in (1, 2, 3, 4):
        write(store, step)
    (tmp_path / "step-000004" / "model" / "model.safetensors").write_text("weightz")
    (tmp_path / "step-000003" / "driver.json").unlink()
    (tmp_path / "step-000002" / "manifest.json").write_text("{")
    found, passed = store.latest()
    assert found is not None
    assert found.step == 1
    assert ["digest" in passed[0], "missing" in passed[1], "manifest" in passed[2]] == [True] * 3


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "none").latest() == (None, [])


def test_the_same_step_again_replaces_the_old_one(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 5, "old")
    write(store, 5, "new")
    found, _ = store.latest()
    assert found is not None
    assert (found.model / "model.safetensors").read_text() == "new"


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 5, "old").folder.rename(tmp_path / ".replaced-000005")
    debris = store.begin(6)
    store.recover()
    assert not debris.exists()
    found, passed = store.latest()
    assert passed == []
    assert found is not None
    assert (found.step, (found.model / "model.safetensors").read_text()) == (5, "old")


def test_pruning_keeps_the_newest(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for step in range(1, 6):
        write(store, step)
    assert store.prune(2) == ["step-000003", "step-000002", "step-000001"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000004", "step-000005"]


def test_pruning_spares_the_steps_it_is_told(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for step in range(1, 6):
        write(store, step)
    assert store.prune(1, steps={2, 5, 7}) == ["step-000004", "step-000003", "step-000001"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000002", "step-000005"]


def test_the_checkpoint_of_one_step(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for step in (1, 2):
        write(store, step)
    found, problem = store.at(1)
    assert found is not None
    assert (found.step, found.state["machine"]["global_step"], problem) == (1, 1, "")
    (tmp_path / "step-000002" / "model" / "model.safetensors").unlink()
    assert store.at(2) == (None, "step-000002: model/model.safetensors is missing")
    found, problem = store.at(3)
    assert found is None
    assert "step-000003: manifest unreadable" in problem


def test_a_linked_tree_survives_the_removal_of_its_source(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    checkpoint = write(store, 1)
    link_tree(checkpoint.model, tmp_path / "models" / "compression")
    write(store, 2)
    store.prune(1)
    kept = tmp_path / "models" / "compression" / "model.safetensors"
    assert kept.read_text() == "weights"
