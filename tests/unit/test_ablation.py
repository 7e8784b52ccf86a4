"""Studies vary what they name and nothing else; sweeps go on; tables pool what they should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from algorithms.metrics import l_acc, wilson_interval
from services.ablation.arms import Arm, NotTwoStages, fingerprint
from services.ablation.figures import course_figure, routing_figure, tradeoff_figure
from services.ablation.kept_runs import KeptRuns
from services.ablation.studies import STUDIES
from services.ablation.sweep import Ledger, in_flight, in_order, specification
from services.ablation.table import markdown, table
from services.presets.registry import resolve

TINY = resolve("tiny-cpu")


def arms(study: str) -> dict[str, Arm]:
    return {arm.name: arm for arm in STUDIES[study](TINY)}


def differences(a: Any, b: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Leaves in which two plain structures differ."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return {k: v for key in a for k, v in differences(a[key], b[key], f"{path}/{key}").items()}
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return {
            k: v
            for i, pair in enumerate(zip(a, b, strict=True))
            for k, v in differences(*pair, f"{path}/{i}").items()
        }
    return {} if a == b else {path: (a, b)}


def changes(arm: Arm) -> dict[str, tuple[Any, Any]]:
    return differences(TINY.model_dump(mode="json"), arm.spec.model_dump(mode="json"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_the_preset_itself_as_an_arm(study: str) -> None:
    assert changes(arms(study)["separated"]) == {}
    labels = {o.label for o in TINY.schedule}
    for arm in arms(study).values():
        known = {o.label for o in arm.spec.schedule} | {"last"}
        assert set(arm.checkpoints) <= known
        assert labels


def test_order_swaps_the_stages_and_nothing_else() -> None:
    swapped = arms("order")["order-ec"]
    assert [s.name for s in swapped.spec.stages] == ["exploration", "compression"]
    assert set(swapped.spec.stages) == set(TINY.stages)
    assert list(swapped.checkpoints) == ["exploration", "compression"]


def test_runs_are_handed_in_ahead_but_never_before_their_budget_is_known() -> None:
    runs = list(in_order(STUDIES["guided"](TINY), range(2)))
    names = [r.arm.name for r in runs]
    assert names[:3] == ["separated", "plateau", "cycles"]
    assert in_flight(runs, 0, 1, {}) == runs[:1]
    assert [r.arm.name for r in in_flight(runs, 0, 4, {})] == ["separated", "spared-0.5"]
    assert in_flight(runs, 1, 2, {("separated", 0): 7}) == runs[1:3]
    assert in_flight(runs, 1, 2, {("separated", 1): 7}) == []
    assert in_flight(runs, len(runs) - 1, 4, {}) == []  # budgeted, and nothing is known
    assert in_flight(runs, len(runs) - 1, 4, {("separated", 1): 7}) == runs[-1:]


def test_clip_halves_and_doubles_and_the_threshold_follows() -> None:
    found = arms("clip")
    assert set(found) == {"separated", "clip-150", "clip-600"}
    assert {p: new for p, (_, new) in changes(found["clip-150"]).items()} == {
        "/stages/0/objective/length_clip": 150,
        "/stages/0/sampling/max_tokens": 150,
        "/stages/1/objective/length_threshold": 150,
        "/stages/1/sampling/max_tokens": 200,
    }
    # Twice the cap of 400 does not fit a context of 640.
    assert found["clip-600"].spec.stages[1].sampling.max_tokens == 639


def test_shaping_changes_the_form_alone() -> None:
    found = arms("shaping")
    for form in ("linear", "cosine"):
        assert {p: new for p, (_, new) in changes(found[f"shaping-{form}"]).items()} == {
            "/stages/0/objective/shaping": form
        }


def test_entanglement_has_the_budget_of_both_stages_and_then_one_more() -> None:
    spec = arms("entanglement")["entangled"].spec
    first, more = spec.stages
    assert (first.steps, more.steps) == (TINY.total_steps, TINY.stages[1].steps)
    assert first.objective.type == more.objective.type == "entangled"
    assert first.objective.compress == TINY.stages[0].objective
    assert first.objective.explore == TINY.stages[1].objective
    assert (first.optimizer, more.optimizer) == ("reset", "keep")


def test_guided_arms_get_the_tokens_of_the_preset_itself() -> None:
    found = arms("guided")
    tokens = {("separated", 1): 12345}
    runs = {run.arm.name: run for run in in_order(list(found.values()), [1])}
    assert next(iter(runs)) == "separated"
    for name in ("plateau", "cycles", "fixed-short", "fixed-long"):
        cycles = specification(runs[name], tokens).cycles
        assert cycles is not None
        assert cycles.token_budget == 12345
    spared = specification(runs["spared-0.5"], tokens)
    assert spared.stages[0].objective.loss.high_entropy_weight == 0.5
    assert spared.cycles is None
    compression = [runs[f"fixed-{n}"].arm.spec.stages[0].steps for n in ("short", "long")]
    assert compression == [TINY.stages[0].steps // 2, TINY.stages[0].steps * 2]


def test_a_preset_without_the_two_stages_has_no_studies() -> None:
    only = resolve("tiny-cpu", {"stages": [{"name": "x", "objective": {"type": "compress"}}]})
    with pytest.raises(NotTwoStages, match="has compress"):
        STUDIES["order"](only)


def test_equal_runs_of_two_studies_are_one_job(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.json")
    ours = arms("order")["separated"].seeded(0)
    ledger.record(ours, "job-1")
    again = Ledger(tmp_path / "jobs.json")
    assert again.job_of(arms("shaping")["separated"].seeded(0)) == "job-1"
    assert again.job_of(arms("shaping")["separated"].seeded(1)) is None
    assert again.job_of(arms("shaping")["shaping-linear"].seeded(0)) is None
    renamed = ours.model_copy(update={"name": "other"})
    assert fingerprint(renamed) == fingerprint(ours)


def test_where_a_run_is_made_is_not_what_it_does() -> None:
    ours = arms("order")["separated"].seeded(0)
    placed = ours.generator.model_copy(update={"threads": 1, "gpus": 1, "timeout_seconds": 5.0})
    assert fingerprint(ours.model_copy(update={"generator": placed})) == fingerprint(ours)
    wider = ours.generator.model_copy(update={"max_sequences": 7})
    assert fingerprint(ours.model_copy(update={"generator": wider})) != fingerprint(ours)


def test_a_sweep_finishes_a_seed_before_the_next() -> None:
    order = [(r.arm.name, r.seed) for r in in_order(list(arms("shaping").values()), [0, 1])]
    assert [seed for _, seed in order] == [0, 0, 0, 1, 1, 1]


def report(base: float, accuracy: float, length: float) -> dict[str, Any]:
    def evaluation(label: str, step: int, acc: float, tokens: float) -> dict[str, Any]:
        return {
            "label": label,
            "step": step,
            "questions": 100,
            "samples": 1,
            "unverified": 0,
            "accuracy": acc,
            "length_mean": tokens,
        }

    steps = [
        {
            "step": i,
            "generated_tokens": 1000,
            "entropy_untempered": 0.1 * i,
            "response_length_mean": 200.0 - i,
            "accuracy": 0.5,
            "routed": {"compress": 3, "accuracy": i},
        }
        for i in (1, 2, 3)
    ]
    return {
        "evaluations": {
            "base": evaluation("base", 0, base, 200.0),
            "compression": evaluation("compression", 2, accuracy - 0.1, length + 10),
            "exploration": evaluation("exploration", 3, accuracy, length),
        },
        "steps": steps,
    }


def test_a_kept_run_gives_the_same_table_and_is_found_by_what_it_does(tmp_path: Path) -> None:
    whole = report(0.8, 0.9, 40.0) | {"job": {"id": "job-1"}, "machine": {}, "wall_seconds": 60.0}
    for step in whole["steps"]:
        step |= {"stage": "compression", "mismatch_kl": 0.0}
    ours = arms("order")["separated"].seeded(0)
    kept = KeptRuns(tmp_path / "runs")
    assert kept.load(ours) is None
    written = kept.keep(ours, whole)
    again = KeptRuns(tmp_path / "runs").load(ours.model_copy(update={"name": "other"}))
    assert again == written
    assert "mismatch_kl" not in written["steps"][0]
    own = [arms("order")["separated"]]
    assert table(own, {("separated", 0): written}) == table(own, {("separated", 0): whole})
    course_figure(own, {("separated", 0): written})
    routing_figure([written])
    assert kept.load(arms("order")["separated"].seeded(1)) is None
    # A run made before an option existed did what its default does.
    (file,) = (tmp_path / "runs").glob("*.json")
    older = json.loads(file.read_text())
    del older["spec"]["stages"][1]["objective"]["zero_advantage"]
    file.write_text(json.dumps(older))
    assert KeptRuns(tmp_path / "runs").load(ours) == older
    older["spec"]["stages"][1]["objective"]["zero_advantage"] = "drop"
    file.write_text(json.dumps(older))
    assert KeptRuns(tmp_path / "runs").load(ours) is None
    assert kept.load(arms("order")["order-ec"].seeded(0)) is None


def test_a_row_pools_responses_and_averages_lengths() -> None:
    reports = {("separated", 0): report(0.8, 0.9, 40.0), ("separated", 1): report(0.7, 0.7, 60.0)}
    base, middle, last = table([arms("shaping")["separated"]], reports)
    assert (base.name, base.accuracy, base.length_ratio, base.entropy) == ("base", 0.75, 1.0, None)
    assert (last.name, last.seeds, last.responses) == ("exponential", 2, 200)
    assert last.accuracy == pytest.approx(0.8)
    assert last.accuracy_ci95 == wilson_interval(160, 200)
    assert (last.length_mean, last.lengths) == (50.0, (40.0, 60.0))
    assert last.length_ratio == pytest.approx(0.25)
    assert last.l_acc == pytest.approx(l_acc(0.8, 50.0, 200.0).value)
    assert (middle.steps, middle.tokens) == (2, 2000)
    assert (last.steps, last.tokens) == (3, 3000)
    assert middle.entropy == pytest.approx(0.15)
    text = markdown([base, middle, last])
    assert "| exponential | 2 | 80.0 (" in text
    json.dumps([r.__dict__ for r in (base, middle, last)])


def test_a_study_under_way_has_a_table_of_what_there_is() -> None:
    reports = {("separated", 0): report(0.8, 0.9, 40.0)}
    assert len(table(list(arms("shaping").values()), reports)) == 3
    assert table(list(arms("shaping").values()), {}) == []


def test_an_arm_with_fewer_seeds_is_compared_with_the_base_of_its_own_seeds() -> None:
    longer = report(0.8, 0.9, 40.0)
    longer["evaluations"]["base"]["length_mean"] = 400.0
    reports = {
        ("separated", 0): report(0.8, 0.9, 40.0),
        ("separated", 1): longer,
        ("shaping-linear", 0): report(0.8, 0.9, 50.0),
    }
    found = {r.name: r for r in table(list(arms("shaping").values()), reports)}
    assert found["exponential"].length_ratio == pytest.approx(40 / 300)
    assert found["linear"].length_ratio == pytest.approx(50 / 200)
    assert found["linear"].l_acc == pytest.approx(l_acc(0.9, 50.0, 200.0).value)


def test_the_plots_can_be_drawn() -> None:
    found = list(arms("shaping").values())
    reports = {("separated", 0): report(0.8, 0.9, 40.0), ("separated", 1): report(0.7, 0.7, 60.0)}
    assert len(tradeoff_figure(table(found, reports)).axes) == 1
    assert len(course_figure(found, reports).axes) == 3
    routed = routing_figure(list(reports.values()))
    assert routed is not None
    assert [list(line.get_ydata()) for line in routed.axes[0].lines] == [[3, 3, 3], [1, 2, 3]]
