"""``laconic eval``: an evaluation through the control plane, from submission to its folder."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from api.client import AnyJob, ApiError, Client
from api.evaluation_view import result_table
from api.overrides import BadInput
from api.serving import ControlPlane
from api.watching import watch
from services.atomic_write import replacing, write_whole
from services.evaluation.result_folder import EVALUATION
from services.home import Home
from services.stores.lifecycle import ACTIVE, RESUMABLE

SUBMITTED: Final = "submitted.json"
"""Which evaluation a folder is for: the same command goes on with it."""


def run_evaluation(
    console: Console, spec: Mapping[str, Any], out: Path, home: Home, url: str | None
) -> int:
    """Evaluate on the control plane at ``url``, or on one of its own, and fetch what came out.

    Ctrl-C leaves the evaluation where it can go on; the same command takes it up.

    Returns:
        Exit code: 0 when it succeeded, 130 after an interruption, else 1.

    Raises:
        BadInput: ``out`` holds another evaluation.
    """
    _refuse_other(out, spec)
    ending, hurry = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        (hurry if ending.is_set() else ending).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with ExitStack() as stack:
        if url is None:
            console.print("starting Ray and the control plane ...")
        plane = None if url else stack.enter_context(ControlPlane(home, port=0, takes_up=False))
        own = (plane.url, plane.key) if plane else (url, None)
        client = stack.enter_context(Client(*own))
        job = _job(client, spec, out, console)
        if job.state in ACTIVE:
            job = watch(client, job.id, console, stop=_stop(plane, ending))
        if ending.is_set() and job.state in ACTIVE:
            if plane is not None:
                console.print("stopping where it can go on (Ctrl-C again: at once) ...")
                plane.drain(give_up=hurry.is_set)
            console.print("the same command goes on where this one stopped")
            return 130
        if job.state != "succeeded":
            console.print(f"{job.id} {job.state}: {job.cause}", style="red", markup=False)
            console.print("the same command goes on where this one stopped")
            return 1
        result = fetch(client, job.id, out)
    console.print(result_table(result))
    console.print(f"{EVALUATION} and every response: {out}", soft_wrap=True, highlight=False)
    return 0


def _stop(plane: ControlPlane | None, ending: threading.Event) -> Any:
    def stop() -> bool:
        if plane is not None:
            plane.check()  # raises when Ray or the API has ended by itself
        return ending.is_set()

    return stop


def _refuse_other(out: Path, spec: Mapping[str, Any]) -> None:
    """Keep the results of two evaluations from getting into one folder."""
    noted = _noted(out)
    if noted is not None and noted["spec"] != json.loads(json.dumps(spec)):
        changed = [k for k in {**noted["spec"], **spec} if noted["spec"].get(k) != spec.get(k)]
        raise BadInput(
            f"{out} holds {noted['id']}, an evaluation with another {', '.join(changed)}; give "
            "this one a folder of its own with --out"
        )


def _noted(out: Path) -> dict[str, Any] | None:
    file = out / SUBMITTED
    if not file.exists():
        return None
    noted: dict[str, Any] = json.loads(file.read_text())
    return noted


def _job(client: Client, spec: Mapping[str, Any], out: Path, console: Console) -> AnyJob:
    """Return the evaluation that ``out`` is for: the one there is, resumed if it has stopped, or a
    new one."""
    noted = _noted(out)
    if noted is not None and (job := _known(client, noted["id"])) is not None:
        if job.state in RESUMABLE:
            job = client.resume(job.id)
        if job.state != "cancelled":
            console.print(f"{job.id} goes on", highlight=False)
            return job
    made = client.evaluate(spec)
    write_whole(out / SUBMITTED, json.dumps({"id": made.id, "spec": dict(spec)}, indent=1))
    console.print(f"{made.id} submitted", highlight=False)
    return made


def _known(client: Client, job_id: str) -> AnyJob | None:
    """The evaluation, if this control plane has it."""
    try:
        return client.job(job_id)
    except ApiError as error:
        if error.code == "job_not_found":
            return None
        raise


def fetch(client: Client, job_id: str, out: Path) -> dict[str, Any]:
    """Write the responses and then ``evaluation.json`` into ``out``; return what that holds."""
    result = client.result(job_id)
    for name in result["benchmarks"]:
        with replacing(out / f"{name}.parquet") as file:
            for part in client.responses(job_id, name):
                file.write(part)
    write_whole(out / EVALUATION, json.dumps(result, indent=1))
    return result
