"""What waits for a store that is away: order, bound, when it is tried again, and the file."""

from __future__ import annotations

import os

import pytest

from services.journal.entry import Entry, is_held
from services.journal.spool import Spool
from services.journal.spool_file import SpoolFile
from services.stores.journal_mark import JournalMark


def entry(number, attempt=1, **body):
    return Entry(JournalMark(attempt, number), "event", {"type": "note", "data": {}, **body})


def everything(_):
    return True


def test_entries_leave_in_their_order():
    spool = Spool(10_000)
    for n in (1, 2, 5):
        spool.add(entry(n))
    found = []
    while spool.first is not None:
        found.append(spool.first.mark.number)
        spool.written()
    assert (found, len(spool)) == ([1, 2, 5], 0)
    spool.add(entry(7))
    with pytest.raises(ValueError, match="does not follow"):
        spool.add(entry(7))


def test_what_waits_is_bounded_and_room_comes_back():
    spool = Spool(3 * len(entry(1).line()))
    for n in (1, 2, 3):
        assert spool.has_room_for(entry(n))
        spool.add(entry(n))
    assert not spool.has_room_for(entry(4))
    spool.written()
    assert spool.has_room_for(entry(4))
    assert not spool.has_room_for(entry(4, message="x" * 100))


def test_what_another_attempt_left_counts():
    spool = Spool(len(entry(1).line()), [entry(1), entry(2)])
    assert len(spool) == 2
    assert not spool.has_room_for(entry(1, attempt=2))


def test_a_store_that_is_away_is_tried_less_and_less_often():
    spool, now, tries = Spool(1), 100.0, []
    while now < 130:
        if spool.may_try(now):
            tries.append(now - 100)
            spool.lost(now)
        now += 0.25
    assert tries == [0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5, 27.5]
    assert spool.away_for(now) == 30
    spool.found()
    assert spool.away_for(now) is None
    assert spool.may_try(now)
    spool.lost(now)
    assert [spool.may_try(now + s) for s in (0.25, 0.5)] == [False, True]


def test_a_file_holds_what_was_added_and_the_next_attempt_makes_it_its_own(tmp_path):
    first = SpoolFile(tmp_path, 1)
    for n in range(1, 6):
        first.add(entry(n, message=f"é{n}\n"))
    second = SpoolFile(tmp_path, 2)
    kept = second.take_over(lambda e: e.mark.number != 4)
    assert kept == [entry(n, message=f"é{n}\n") for n in (1, 2, 3, 5)]
    assert [p.name for p in tmp_path.iterdir()] == ["000002.jsonl"]
    second.add(entry(1, attempt=2))
    third = SpoolFile(tmp_path, 3)
    assert [e.mark for e in third.take_over(everything)][-2:] == [
        JournalMark(1, 5),
        JournalMark(2, 1),
    ]
    third.clear()
    assert SpoolFile(tmp_path, 4).take_over(everything) == []


def test_an_attempt_killed_while_it_takes_over_changes_nothing(tmp_path):
    """It had written its file and not removed the other: what it dropped stays dropped."""
    SpoolFile(tmp_path, 1).add(entry(1))
    SpoolFile(tmp_path, 1).add(entry(2))
    before = (tmp_path / "000001.jsonl").read_bytes()
    assert len(SpoolFile(tmp_path, 2).take_over(lambda e: e.mark.number == 1)) == 1
    (tmp_path / "000001.jsonl").write_bytes(before)
    assert SpoolFile(tmp_path, 3).take_over(everything) == [entry(1)]
    assert [p.name for p in tmp_path.iterdir()] == ["000003.jsonl"]


def test_nothing_is_kept_where_nothing_counts(tmp_path):
    SpoolFile(tmp_path, 1).add(entry(1))
    assert SpoolFile(tmp_path, 2).take_over(lambda _: False) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 5, -1])
def test_a_line_that_was_being_written_does_not_count(tmp_path, cut):
    file = SpoolFile(tmp_path, 1)
    file.add(entry(1))
    whole = (tmp_path / "000001.jsonl").read_bytes()
    with (tmp_path / "000001.jsonl").open("ab") as stream:
        stream.write(entry(2).line()[:cut])
    assert SpoolFile(tmp_path, 2).take_over(everything) == [entry(1)]
    assert (tmp_path / "000002.jsonl").read_bytes() == whole


def test_a_disk_that_is_full_leaves_the_file_whole(tmp_path, monkeypatch):
    """``os.write`` takes half a line, then there is no room: as a disk does that fills up."""
    file, write = SpoolFile(tmp_path, 1), os.write
    file.add(entry(1))
    room = [10]

    def short(descriptor, data):
        if not room:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: room.pop()])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space left"):
        file.add(entry(2))
    monkeypatch.undo()
    file.add(entry(3))
    assert SpoolFile(tmp_path, 2).take_over(everything) == [entry(1), entry(3)]


def test_a_checkpoint_holds_what_came_before_its_state_and_the_word_of_itself():
    newest = JournalMark(2, 5)
    assert is_held(entry(9, attempt=1), newest, 3)
    assert is_held(entry(5, attempt=2), newest, 3)
    assert not is_held(entry(6, attempt=2), newest, 3)
    written = {"type": "checkpoint", "data": {"step": 3}}
    assert is_held(entry(6, attempt=2, **written), newest, 3)
    assert not is_held(entry(6, attempt=2, **written), newest, 2)
    assert not is_held(entry(1), None, 0)
    record = Entry(JournalMark(2, 6), "metrics", {"step": 3, "record": {}})
    assert not is_held(record, newest, 3)
