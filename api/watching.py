"""Follows a job until it ends: events by stream, figures by asking, shown on the terminal."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.live import Live

from api.client import AnyJob, ApiError, Client, Unreachable, is_evaluation
from api.evaluation_view import EvaluationView
from api.patience import LOOK_SECONDS, Patience
from api.progress_view import ProgressView, step_line
from api.schemas import Event
from services.stores.lifecycle import ACTIVE

View = ProgressView | EvaluationView


def view_of(job: AnyJob) -> View:
    """The view that suits a job."""
    return EvaluationView(shown(job)) if is_evaluation(job.id) else ProgressView(shown(job))


def shown(answer: BaseModel) -> dict[str, Any]:
    """What views are fed with."""
    return answer.model_dump(mode="json")


def watch(
    client: Client,
    job_id: str,
    console: Console,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> AnyJob:
    """Show the job until it has ended, or ``stop()``; return it as it is then.

    On a terminal a live view, elsewhere one line an event and a step.

    Raises:
        ApiError: there is no such job.
        Unreachable: no control plane answered for :data:`~api.patience.PATIENCE_SECONDS`.
    """
    job = client.job(job_id)
    view = view_of(job)
    events: queue.Queue[Event] = queue.Queue()
    done = threading.Event()
    follower = threading.Thread(
        target=_follow, args=(client.another(), job_id, events, done), name="events", daemon=True
    )
    follower.start()
    live = (
        Live(view, console=console, refresh_per_second=4, transient=False)
        if console.is_terminal
        else nullcontext()
    )
    patience = Patience()
    try:
        with live:
            while True:
                try:
                    job = _look(client, job_id, view, console)
                    patience.there()
                except (ApiError, Unreachable) as error:
                    if view.ended_as:
                        # The server has gone after the job's last word: nothing more will come.
                        return job.model_copy(update=view.ended_as)
                    patience.missed(error)
                _take(events, view, console)
                if job.state not in ACTIVE:
                    # What happened last may still be on its way.
                    follower.join(timeout=5)
                    _take(events, view, console)
                    return job
                if stop():
                    return job
                time.sleep(LOOK_SECONDS)
    finally:
        done.set()


def _look(client: Client, job_id: str, view: View, console: Console) -> AnyJob:
    job = client.job(job_id)
    view.see_job(shown(job))
    if isinstance(view, EvaluationView):
        lines = view.new_lines()
    else:
        records = client.metrics(job_id, view.last_step)
        view.see_metrics(records)
        total = str((job.progress or {}).get("total_steps", "?"))
        lines = [step_line(record, total) for record in records]
    if not console.is_terminal:
        for line in lines:
            console.print(line, soft_wrap=True)
    return job


def _take(events: queue.Queue[Event], view: View, console: Console) -> None:
    while True:
        try:
            event = events.get_nowait()
        except queue.Empty:
            return
        view.see_event(shown(event))
        if not console.is_terminal:
            clock = time.strftime("%H:%M:%S", time.localtime(event.time))
            console.print(f"{clock} {event.message}", soft_wrap=True, markup=False)


def _follow(client: Client, job_id: str, events: queue.Queue[Event], done: threading.Event) -> None:
    """Fill the queue from the event stream; comes back to it where it broke."""
    last, patience = 0, Patience()
    with client:
        while not done.is_set():
            try:
                for event in client.follow(job_id, last):
                    if done.is_set():
                        return
                    patience.there()
                    if event is not None:
                        last = event.id
                        events.put(event)
                # Ended by the server: either the job has ended or the server is about to.
                if client.job(job_id).state not in ACTIVE:
                    return
                patience.there()
            except (ApiError, Unreachable) as error:
                try:
                    patience.missed(error)
                except (ApiError, Unreachable):
                    return
            done.wait(LOOK_SECONDS)
