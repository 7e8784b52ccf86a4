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
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    followers: int = 0

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
        """Follow a job, for as long as the context is open, behind a position that was read."""
        topic = self._topics.setdefault(job_id, Topic(position))
        topic.followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._poll(), name="event feed")
        try:
            yield topic
        finally:
            topic.followers -= 1
            if topic.followers == 0:
                self._topics.pop(job_id, None)

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
                events = found.get(job_id, [])
                topic.gone = topic.gone or events is None
                # Another topic of the same job may have begun meanwhile, at another place.
                if events and topic.head == positions.get(job_id):
                    topic.recent.extend(events)
                    topic.head = events[-1].id
                elif not (topic.gone or self.closing.is_set()):
                    continue
                async with topic.changed:
                    topic.changed.notify_all()

    def _read_all(self, positions: dict[str, int]) -> dict[str, list[Encoded] | None]:
        """The new events of each job; None where the job has been removed."""
        found: dict[str, list[Encoded] | None] = {}
        for job_id, position in positions.items():
            try:
                found[job_id] = self._read(job_id, position)
            except JobNotFound:
                found[job_id] = None
        return found


async def follow(
    feed: EventFeed, job_id: str, position: int, ended: bool, max_lag: int, heartbeat: float
) -> AsyncIterator[bytes]:
    """Yield the events behind a position as server-sent events, until the job has ended.

    Args:
        feed: of the control plane.
        job_id: of a job there is.
        position: id of the last event the reader has.
        ended: whether the job had ended, asked before any event was read.
        max_lag: how far a reader that has caught up once may fall behind.
        heartbeat: seconds of silence after which a comment is sent.
    """
    reader = _Reader(position, ended)
    yield format_sse_event(retry=RETRY_MILLISECONDS)
    # First what is in the log, page by page: however long it takes, nothing is left out.
    while batch := await feed.read(job_id, reader.position):
        for block in reader.take(batch):
            yield block
        if feed.closing.is_set():
            break
    async with feed.topic(job_id, reader.position) as topic:
        while not feed.closing.is_set():
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
    yield format_sse_event(retry=RETRY_MILLISECONDS, comment="the control plane is shutting down")


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
        return topic.head > position or topic.gone or feed.closing.is_set()

    try:
        async with asyncio.timeout(patience), topic.changed:
            await topic.changed.wait_for(is_news)
    except TimeoutError:
        return False
    return True
