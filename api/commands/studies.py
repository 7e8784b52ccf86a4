"""Specifications without a job: resolve one, vary one in a study, make the tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.options import AsJson, HomeFolder, Url, err, out
from api.overrides import BadInput, parse_settings
from services.home import Home

if TYPE_CHECKING:
    # Reading specifications takes a third of a second, which most commands never need.
    from services.spec.job import JobSpec

app = typer.Typer()


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
