"""Hands the events of jobs to everybody who follows them.

One task asks the store about all jobs that are followed, in one go, and wakes their followers; so
the store is asked once a tick, however many follow. The newest events are kept, encoded as they go
out; a follower that is further behind reads the store, at its own pace. Nothing is queued for a
follower, so a slow one costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.schemas import Event
from services.stores.lifecycle import ACTIVE
from services.stores.protocol import EventRecord, JobNotFound, JobStore

log = logging.getLogger("laconic.feed")

RETRY_MILLISECONDS: Final = 2000
"""When a reader whose stream ended comes back."""
_BATCH: Final = 200
_KEPT: Final = 1000
"""Encoded events of a followed job that stay in memory."""


@dataclass(frozen=True)
class Encoded:
    """One event as it goes out."""

    id: int
    block: bytes
    ended: bool | None
    """Whether the job has ended from here on; None where this changes nothing about it."""


@dataclass
class Topic:
    """A job that is followed."""

    head: int
    """Id of the newest event that was seen."""
    recent: deque[Encoded] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """The newest events, up to ``head``."""
    gone: bool = False
    """Whether the job was removed."""
    lost: bool = False
    """Whether the log no longer has what was seen: the store lost its last moments."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    followers: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes by this topic."""
        return self.gone or self.lost

    def after(self, position: int) -> list[Encoded] | None:
        """The events behind a position; None where memory does not reach back that far."""
        if position >= self.head:
            return []
        if not self.recent or self.recent[0].id > position + 1:
            return None
        return [e for e in self.recent if e.id > position]


class EventFeed:
    """All jobs that are followed. Lives in the event loop of the server."""

    def __init__(self, store: JobStore, poll_seconds: float, closing: threading.Event) -> None:
        """``closing``: followers are to end."""
        self._store, self._poll_seconds, self.closing = store, poll_seconds, closing
        self._topics: dict[str, Topic] = {}
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """End the task, once nobody follows any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def topic(self, job_id: str, position: int) -> AsyncIterator[Topic]:
        """Follow a job, for as long as the context is open.

        Args:
            job_id: of a job there is.
            position: of an event that the store has; what a reader says must be checked first
                (:meth:`has`), for all who follow the job begin where the first of them does.
        """
        topic = self._topics.setdefault(job_id, Topic(position))
        topic.followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._poll(), name="event feed")
        try:
            yield topic
        finally:
            topic.followers -= 1
            if topic.followers == 0 and self._topics.get(job_id) is topic:
                del self._topics[job_id]

    async def has(self, job_id: str, position: int) -> bool:
        """Whether the log reaches as far as a position that somebody says they have read to."""
        return await asyncio.to_thread(reaches, self._store, job_id, position)

    async def read(self, job_id: str, position: int) -> list[Encoded]:
        """A batch of events behind a position, from the store."""
        return await asyncio.to_thread(self._read, job_id, position)

    def _read(self, job_id: str, position: int) -> list[Encoded]:
        return [encode(e) for e in self._store.events(job_id, position, _BATCH)]

    async def _poll(self) -> None:
        more = False
        while True:
            await asyncio.sleep(0 if more else self._poll_seconds)
            positions = {job_id: topic.head for job_id, topic in self._topics.items()}
            try:
                found = await asyncio.to_thread(self._read_all, positions)
            except Exception:
                log.exception("the events of followed jobs cannot be read; the next try follows")
                found = {}
            more = any(events and len(events) == _BATCH for events in found.values())
            for job_id, topic in list(self._topics.items()):
                events = found.get(job_id)
                topic.gone = topic.gone or (job_id in found and events is None)
                # Another topic of the same job may have begun meanwhile, at another place.
                if events is None or topic.head != positions.get(job_id):
                    is_news = False
                elif topic.head > 0 and not _continues(topic, events):
                    topic.lost = is_news = True
                    del self._topics[job_id]  # who follows from here on begins anew
                else:
                    fresh = [e for e in events if e.id > topic.head]
                    topic.recent.extend(fresh)
                    topic.head = fresh[-1].id if fresh else topic.head
                    is_news = bool(fresh)
                if is_news or topic.gone or self.closing.is_set():
                    async with topic.changed:
                        topic.changed.notify_all()

    def _read_all(self, positions: dict[str, int]) -> dict[str, list[Encoded] | None]:
        """The events of each job from its position on, that one included; None where the job has
        been removed."""
        found: dict[str, list[Encoded] | None] = {}
        for job_id, position in positions.items():
            try:
                found[job_id] = self._read(job_id, max(position - 1, 0))
            except JobNotFound:
                found[job_id] = None
        return found


def reaches(store: JobStore, job_id: str, position: int) -> bool:
    """Whether a job's log reaches as far as a position, though what stood there may be trimmed."""
    return position == 0 or bool(store.events(job_id, position - 1, 1))


def _continues(topic: Topic, events: list[Encoded]) -> bool:
    """Whether what the store has from the head of a topic on goes on from what was seen there."""
    if not events:
        return False
    last = topic.recent[-1] if topic.recent else None
    return last is None or events[0].id > last.id or events[0].block == last.block


async def follow(
    feed: EventFeed, job_id: str, position: int, ended: bool, max_lag: int, heartbeat: float
) -> AsyncIterator[bytes]:
    """Yield the events behind a position as server-sent events, until the job has ended.

    Args:
        feed: of the control plane.
        job_id: of a job there is.
        position: id of the last event the reader says it has. Where the log does not reach that
            far, it is told so and gets the log from its beginning.
        ended: whether the job had ended, asked before any event was read.
        max_lag: how far a reader that has caught up once may fall behind.
        heartbeat: seconds of silence after which a comment is sent.
    """
    reader = _Reader(position, ended)
    yield format_sse_event(retry=RETRY_MILLISECONDS)
    if not await feed.has(job_id, position):
        yield reader.start_over()
    while True:
        # First what is in the log, page by page: however long it takes, nothing is left out.
        while batch := await feed.read(job_id, reader.position):
            for block in reader.take(batch):
                yield block
            if feed.closing.is_set():
                break
        async with feed.topic(job_id, reader.position) as topic:
            async for block in _live(feed, topic, job_id, reader, max_lag, heartbeat):
                yield block
        if topic.lost and not feed.closing.is_set():
            yield reader.start_over()
            continue
        break
    if feed.closing.is_set():
        yield format_sse_event(
            retry=RETRY_MILLISECONDS, comment="the control plane is shutting down"
        )


async def _live(
    feed: EventFeed, topic: Topic, job_id: str, reader: _Reader, max_lag: int, heartbeat: float
) -> AsyncIterator[bytes]:
    """Yield events as they happen, until there are no more or the topic is lost."""
    while not (feed.closing.is_set() or topic.lost):
        if topic.head - reader.position > max_lag:
            yield reader.skip_to(topic.head - max_lag)
        found = topic.after(reader.position)
        found = await feed.read(job_id, reader.position) if found is None else found
        for block in reader.take(found):
            yield block
        if reader.position < topic.head:
            if not found:  # What was seen has left the log since.
                yield reader.skip_to(topic.head)
            continue
        if reader.ended or topic.gone:
            return
        if not await _changed(feed, topic, reader.position, heartbeat):
            yield KEEPALIVE_COMMENT


@dataclass
class _Reader:
    """How far one stream has come."""

    position: int
    """Id of the last event that was sent, or left out."""
    ended: bool
    """Whether the job had ended by then."""

    def take(self, batch: list[Encoded]) -> Iterator[bytes]:
        """Yield what goes out for a batch."""
        for event in batch:
            if event.id > self.position + 1:
                # The log no longer reaches back to what comes next.
                yield self.skip_to(event.id - 1)
            self.position = event.id
            self.ended = self.ended if event.ended is None else event.ended
            yield event.block

    def skip_to(self, last: int) -> bytes:
        """Leave events out; return the event that stands for them. It carries the id of the last of
        them, so that a reader that comes back goes on behind it."""
        data = json.dumps({"from": self.position + 1, "to": last})
        self.position = last
        return format_sse_event(data_str=data, event="gap", id=str(last))

    def start_over(self) -> bytes:
        """Go back to the beginning of the log, for it is not the one that was read; return the
        event that says so."""
        self.position = 0
        data = json.dumps({"from": 1, "to": 0, "reset": True})
        return format_sse_event(data_str=data, event="gap", id="0")


def encode(event: EventRecord) -> Encoded:
    """An event as it goes out on a stream."""
    ended = None
    if event.type == "state":
        ended = event.data.get("to") not in ACTIVE
    block = format_sse_event(
        data_str=Event.of(event).model_dump_json(), event=event.type, id=str(event.id)
    )
    return Encoded(event.id, block, ended)


async def _changed(feed: EventFeed, topic: Topic, position: int, patience: float) -> bool:
    """Wait for events behind a position; False when none came in time."""

    def is_news() -> bool:
        return topic.head > position or topic.is_over or feed.closing.is_set()

    try:
        async with asyncio.timeout(patience), topic.changed:
            await topic.changed.wait_for(is_news)
    except TimeoutError:
        return False
    return True
