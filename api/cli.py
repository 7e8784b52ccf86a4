"""The command ``laconic``: a client of the REST API, and the server itself.

Exit codes: 0 done, 1 the job did not succeed or the server refused, 2 bad input.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api import evaluation_commands, report_commands
from api.client import ApiError, Client, Unreachable
from api.data import data
from api.overrides import BadInput, parse_settings, read_spec
from api.progress_view import ProgressView, job_table, print_outcome
from api.settings import DEFAULT_HOST, DEFAULT_PORT
from api.verify import verify
from api.watching import view_of
from api.watching import watch as watch_job
from services.home import Home
from services.stores.lifecycle import ACTIVE

if TYPE_CHECKING:
    # Reading specifications takes a third of a second, which most commands never need.
    from services.spec.job import JobSpec

BAD_INPUT_STATUS = frozenset({400, 404, 405, 409, 422})

app = typer.Typer(
    help="Trains a reasoning model to think shorter.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evaluation_commands.register(app)
report_commands.register(app)
app.add_typer(data, name="data")
out = Console()
err = Console(stderr=True)

JobId = Annotated[str, typer.Argument(help="Id of the job.", metavar="JOB")]
Url = Annotated[
    str | None, typer.Option("--url", envvar="LACONIC_URL", help="Address of the control plane.")
]
HomeFolder = Annotated[
    Path | None, typer.Option("--home", envvar="LACONIC_HOME", help="Home folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app.command()(verify)


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
        out.print("stopping: running jobs are left where they can be resumed (again: at once)")
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


@app.command("resolve")
def resolve_(
    preset: Annotated[str, typer.Argument(help="Name of a preset.", metavar="PRESET")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override.", metavar="P=V")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every value a preset resolves to and where it comes from; nothing is submitted."""
    from api.resolved_view import print_resolved

    print_resolved(out, _resolved(preset, set_), as_json=as_json)


@app.command()
def ablate(
    study: Annotated[
        str, typer.Argument(help="order, clip, shaping, entanglement or guided.", metavar="STUDY")
    ],
    preset: Annotated[str, typer.Option(help="Preset the arms are variations of.")] = "tiny-cpu",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override of the preset.", metavar="P=V")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions: seeds 0, 1, ...")] = 3,
    parallel: Annotated[
        int, typer.Option(min=1, help="Runs handed in at a time; the others wait their turn.")
    ] = 1,
    to: Annotated[Path, typer.Option("--out", help="Folder for table and plots.")] = Path(
        "ablation"
    ),
    home: HomeFolder = None,
    url: Url = None,
) -> None:
    """Run a study of the paper over several seeds; go on where an earlier run of it stopped."""
    from api.ablate import RunFailed, Sweep, run_ablation
    from services.ablation.arms import NotTwoStages
    from services.ablation.studies import STUDIES
    from services.spec.problems import SpecError

    if study not in STUDIES:
        raise BadInput(f"no study {study!r}; there are {', '.join(STUDIES)}")
    try:
        sweep = Sweep(study, _resolved(preset, set_), range(seeds), Home.resolve(home), parallel)
    except (SpecError, NotTwoStages) as error:
        raise BadInput(str(error)) from error
    try:
        raise typer.Exit(run_ablation(out, sweep, url, to))
    except RunFailed as error:
        err.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error


@app.command()
def submit(
    preset: Annotated[str | None, typer.Option(help="Name of a preset.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override, e.g. stages.compression.steps=3.", metavar="P=V"),
    ] = None,
    spec: Annotated[
        str | None, typer.Option(help="Job specification, YAML or JSON (-: standard input).")
    ] = None,
    follow: Annotated[bool, typer.Option("--watch", help="Watch the job afterwards.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Submit a job from a preset or a specification."""
    if (preset is None) == (spec is None):
        raise BadInput("give either --preset NAME or --spec FILE; laconic presets lists the names")
    if spec is not None and set_:
        raise BadInput("--set goes with --preset; put the values into the specification itself")
    body: dict[str, Any] = (
        {"preset": preset, "overrides": parse_settings(set_ or [])}
        if spec is None
        else {"spec": read_spec(spec)}
    )
    with Client(url) as client:
        job = client.submit(body)
        if as_json:
            print(json.dumps(job))
        else:
            out.print(f"submitted {job['id']}")
        if follow:
            _watch(client, job["id"])


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(help="Id of the job.", metavar="[JOB]")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show one job, or the newest ones."""
    with Client(url) as client:
        if job is None:
            page = client.jobs()
            if as_json:
                print(json.dumps(page))
                return
            newest = [*page["data"], *client.evaluations()["data"]]
            out.print(job_table(newest) if newest else "no jobs yet")
            return
        found = client.job(job)
        if as_json:
            print(json.dumps(found))
            return
        view = view_of(found)
        if isinstance(view, ProgressView):
            view.see_metrics(client.metrics(job))
        for event in client.events(job, limit=1000):
            view.see_event(event)
        out.print(view)


@app.command()
def watch(job: JobId, url: Url = None) -> None:
    """Follow a job until it ends."""
    with Client(url) as client:
        _watch(client, job)


def _watch(client: Client, job_id: str) -> None:
    try:
        job = watch_job(client, job_id, out)
    except KeyboardInterrupt:
        out.print(f"the job goes on; see it again with: laconic watch {job_id}")
        return
    print_outcome(out, job)
    if job["state"] not in ACTIVE and job["state"] != "succeeded":
        raise typer.Exit(1)


@app.command()
def cancel(job: JobId, url: Url = None) -> None:
    """End a job for good."""
    with Client(url) as client:
        state = client.cancel(job)["state"]
        out.print(f"{job} cancelled" if state == "cancelled" else f"{job} was asked to end")


@app.command()
def stage(
    job: JobId,
    to: Annotated[str, typer.Argument(help="next, or the name of a stage ahead.")],
    url: Url = None,
) -> None:
    """Move a job to another stage after the step it is in."""
    with Client(url) as client:
        client.change_stage(job, to)
        out.print(f"{job} was asked to go on with stage {to}")


@app.command()
def resume(job: JobId, url: Url = None) -> None:
    """Go on with an interrupted or failed job from its last checkpoint."""
    with Client(url) as client:
        out.print(f"{job} queued, attempt {client.resume(job)['attempt']}")


@app.command()
def presets(as_json: AsJson = False, url: Url = None) -> None:
    """List the presets."""
    with Client(url) as client:
        found = client.presets()
    if as_json:
        print(json.dumps(found))
        return
    for preset in found:
        stages = ", ".join(f"{s['name']} {s['steps']} steps" for s in preset["spec"]["stages"])
        out.print(Text(f"{preset['name']} (version {preset['version']}): {stages}", "bold"))
        out.print(f"  {preset['description']}", soft_wrap=True)


@app.command(name="make-tiny-reasoner")
def make_tiny_reasoner(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and data.")] = None,
) -> None:
    """Train the tiny reasoner again: model, question files, and the figures of the run."""
    from services.tiny_reasoner.recipe import make
    from services.tiny_reasoner.train import Recipe

    chosen = {k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None}
    record = make(out_folder, Recipe(**chosen))
    out.print_json(json.dumps(record["heldout"]))


def _resolved(preset: str, settings: list[str] | None) -> JobSpec:
    from services.presets.registry import UnknownPreset, resolve
    from services.spec.problems import SpecError

    try:
        return resolve(preset, parse_settings(settings or []))
    except (UnknownPreset, SpecError) as error:
        raise BadInput(str(error)) from error


def _fail(lines: list[str], code: int) -> int:
    for line in lines:
        err.print(Text("error: ", "red").append(line, "default"), soft_wrap=True)
    return code


def main() -> None:
    """Entry point of the console script."""
    sys.exit(_run())


def _run() -> int:
    try:
        app(standalone_mode=True)
    except BadInput as error:
        return _fail([str(error)], 2)
    except ApiError as error:
        return _fail(error.lines, 2 if error.status in BAD_INPUT_STATUS else 1)
    except Unreachable as error:
        return _fail([str(error)], 1)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, ValueError, OSError) as error:
        # What the server's own start may raise: each says what to do.
        return _fail([str(error)], 1)
    return 0


if __name__ == "__main__":
    main()
