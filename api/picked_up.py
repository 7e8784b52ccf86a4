"""Streams that are picked up where they ended, until the job has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from api.client import ApiError, Client, Unreachable
from api.patience import LOOK_SECONDS, Patience
from services.stores.lifecycle import ACTIVE

T = TypeVar("T")


def picked_up(
    client: Client, job: str, place: int, begin: Callable[[int], Iterable[tuple[T, int]]]
) -> Iterator[tuple[T, int]]:
    """What a job's streams give, one after another, until the job has ended. A stream may end
    before, for one because the control plane starts again.

    Args:
        client: for the state of the job.
        job: its id. One that is not there from the start is not waited for.
        place: where the first stream begins.
        begin: opens a stream at a place; of each piece it says which place is behind it.
    """
    patience = Patience()
    client.job(job)
    while True:
        try:
            for piece, behind in begin(place):
                patience.there()
                place = behind
                yield piece, behind
            # Ended by the server: either the job has ended or the server is about to.
            if client.job(job).state not in ACTIVE:
                return
            patience.there()
        except (ApiError, Unreachable) as error:
            patience.missed(error)
        time.sleep(LOOK_SECONDS)
