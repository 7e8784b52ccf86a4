"""A real disk that is full: a small one of the test's own, where the machine lets it be mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from services.checkpoints import CheckpointStore
from services.journal.entry import Entry
from services.journal.spool_file import SpoolFile
from services.storage_full import is_storage_full
from services.stores.journal_mark import JournalMark

ROOM = 4 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs privileges that this machine does not give")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def plain(path: Path) -> None:
    path.write_bytes(bytes(2 * ROOM))


def by_torch(path: Path) -> None:
    torch.save({"a": torch.zeros(ROOM // 2)}, path)


def by_safetensors(path: Path) -> None:
    save_file({"a": torch.zeros(ROOM // 2)}, path)


def by_parquet(path: Path) -> None:
    table = pa.table({"a": list(range(ROOM // 4))})
    pq.write_table(table, path, compression=None, use_dictionary=False)


@pytest.mark.parametrize("write", [plain, by_torch, by_safetensors, by_parquet])
def test_whatever_writes_to_a_full_disk_is_known_by_it(disk: Path, write: object) -> None:
    assert callable(write)
    with pytest.raises(Exception, match=r".") as caught:
        write(disk / "file")
    assert is_storage_full(caught.value, disk)


def test_another_fault_on_a_disk_with_room_is_not_taken_for_it(disk: Path) -> None:
    assert not is_storage_full(OSError(5, "Input/output error"), disk)
    assert not is_storage_full(ValueError("a wrong shape"), disk)


def test_a_checkpoint_that_finds_no_room_leaves_the_last_one_whole(disk: Path) -> None:
    store = CheckpointStore(disk / "checkpoints")
    folder = store.begin(1)
    (folder / "weights").write_bytes(bytes(ROOM // 2))
    store.seal(folder, 1, {"n": 1})
    folder = store.begin(2)
    with pytest.raises(OSError, match="No space left"):
        (folder / "weights").write_bytes(bytes(ROOM))
    store.recover()
    found, problems = store.latest()
    assert found is not None
    assert (found.step, problems) == (1, [])


def test_a_spool_on_a_full_disk_stays_whole_and_goes_on_with_room(disk: Path) -> None:
    def entry(number: int) -> Entry:
        body = {"type": "note", "message": "x" * 50_000, "data": {}}
        return Entry(JournalMark(1, number), "event", body)

    file, kept = SpoolFile(disk / "spool", 1), []

    def fill() -> None:
        for number in range(1, 200):
            file.add(entry(number))
            kept.append(number)

    ballast = disk / "ballast"
    ballast.write_bytes(bytes(ROOM * 3 // 4))
    with pytest.raises(OSError, match="No space left"):
        fill()
    assert kept
    full = SpoolFile(disk / "spool", 2)
    with pytest.raises(OSError, match="No space left"):
        full.take_over(lambda _: True)
    assert full.is_awaited
    ballast.unlink()
    file.add(entry(500))
    found = SpoolFile(disk / "spool", 2).take_over(lambda _: True)
    assert [e.mark.number for e in found] == [*kept, 500]
