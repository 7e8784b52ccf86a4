"""A control plane in this process: ``serve``, and ``demo`` with a job in it."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from api.commands.options import HomeFolder, out
from api.overrides import parse_settings
from api.settings import DEFAULT_HOST, DEFAULT_PORT
from services.home import Home

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = DEFAULT_PORT,
    home: HomeFolder = None,
) -> None:
    """Run the control plane, with a Ray of its own unless RAY_ADDRESS is set."""
    from api.serving import ControlPlane

    ending, hurry, started = threading.Event(), threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        first = not ending.is_set()
        (ending if first else hurry).set()
        if first and not started.is_set():
            raise KeyboardInterrupt  # The context manager below cleans up what has started.

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    place = Home.resolve(home)
    out.print(f"starting; home folder {place.root}", soft_wrap=True)
    with ControlPlane(place, host=host, port=port) as plane:
        started.set()
        out.print(f"control plane at {plane.url} (documentation: {plane.url}/docs)")
        while not ending.wait(1):
            plane.check()
        out.print("stopping: jobs go on with the next start (again: at once)")
        plane.drain(give_up=hurry.is_set)
    out.print("stopped")


@app.command()
def demo(
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override of the preset, e.g. seed=1.", metavar="P=V"),
    ] = None,
    preset: Annotated[str, typer.Option(help="Name of a preset.")] = "tiny-cpu",
    resume_: Annotated[
        str | None, typer.Option("--resume", help="Go on with this job.", metavar="JOB")
    ] = None,
    home: HomeFolder = None,
) -> None:
    """Run a whole job on this machine: control plane, live view, report, clean end."""
    from api.demo import run_demo

    body = {"preset": preset, "overrides": parse_settings(set_ or [])}
    raise typer.Exit(run_demo(out, Home.resolve(home), body, resume_))
