"""Presets resolve, and overrides change what they name and nothing else."""

from __future__ import annotations

import pytest

from services.presets.registry import PRESETS, UnknownPreset, resolve
from services.spec.problems import SpecError


def problems(overrides, preset="tiny-cpu"):
    with pytest.raises(SpecError) as caught:
        resolve(preset, overrides)
    return {p.pointer: p.detail for p in caught.value.problems}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_specification(name):
    spec = resolve(name)
    assert [s.name for s in spec.stages] == ["compression", "exploration"]
    assert [s.objective.type for s in spec.stages] == ["compress", "explore"]
    assert PRESETS[name].description


@pytest.mark.parametrize("name", ["paper-1.5b", "paper-7b"])
def test_the_paper_presets_have_the_settings_of_appendix_a(name):
    spec = resolve(name)
    for stage in spec.stages:
        assert stage.steps == 400
        assert (stage.prompts_per_step, stage.prompts_per_update) == (64, 16)
        assert stage.updates_per_step == 4
        assert stage.sampling.group_size == 8
        assert stage.learning_rate == 1e-6
    compress, explore = spec.stages
    assert compress.objective.length_clip == 4096
    assert compress.objective.r == 0.1
    assert (compress.sampling.temperature, compress.sampling.max_tokens) == (0.6, 4096)
    assert explore.objective.length_threshold == 4096
    assert (explore.sampling.temperature, explore.sampling.max_tokens) == (1.0, 8192)


def test_an_override_of_a_stage_by_name_changes_that_field_alone():
    base = resolve("tiny-cpu").model_dump()
    changed = resolve("tiny-cpu", {"stages": {"compression": {"steps": 3}}}).model_dump()
    assert changed["stages"][0]["steps"] == 3
    base["stages"][0]["steps"] = 3
    assert changed == base


def test_overrides_merge_deeply():
    spec = resolve(
        "tiny-cpu",
        {
            "stages": {"exploration": {"sampling": {"temperature": 1.2}}},
            "learner": {"workers": 2},
            "seed": 5,
        },
    )
    plain = resolve("tiny-cpu")
    assert spec.stages[1].sampling.temperature == 1.2
    assert spec.stages[1].sampling.max_tokens == plain.stages[1].sampling.max_tokens
    assert (spec.learner.workers, spec.seed) == (2, 5)
    assert spec.learner.cpus == plain.learner.cpus


def test_a_list_of_stages_replaces_them_all():
    stage = {"name": "only", "objective": {"type": "compress"}}
    assert [s.name for s in resolve("tiny-cpu", {"stages": [stage]}).stages] == ["only"]


def test_another_objective_starts_from_its_own_defaults():
    spec = resolve("tiny-cpu", {"stages": {"exploration": {"objective": {"type": "compress"}}}})
    assert spec.stages[1].objective.type == "compress"
    assert spec.stages[1].objective.length_clip == 4096


def test_null_removes_an_optional_part():
    assert resolve("tiny-cpu", {"evaluation": None}).evaluation is None


def test_resolving_leaves_the_preset_as_it_was():
    before = resolve("tiny-cpu")
    resolve("tiny-cpu", {"stages": {"compression": {"steps": 1, "sampling": {"group_size": 4}}}})
    assert resolve("tiny-cpu") == before


def test_an_unknown_stage_is_named_with_those_there_are():
    found = problems({"stages": {"compresion": {"steps": 3}}})
    assert "compression, exploration" in found["/stages/compresion"]


def test_an_unknown_preset_is_told_the_nearest():
    with pytest.raises(UnknownPreset, match="did you mean 'tiny-cpu'"):
        resolve("tiny-cpuu")


def test_an_unknown_field_is_named_with_the_nearest():
    assert problems({"lerner": {"workers": 2}}) == {
        "/lerner": "unknown field 'lerner'; did you mean 'learner'?"
    }
    found = problems({"stages": {"compression": {"objective": {"lenght_clip": 3}}}})
    assert "did you mean 'length_clip'" in found["/stages/0/objective/lenght_clip"]


def test_a_field_like_no_other_is_told_what_there_is():
    found = problems({"stages": {"compression": {"sampling": {"zzz": 1}}}})
    assert "group_size, max_tokens, temperature" in found["/stages/0/sampling/zzz"]


@pytest.mark.parametrize("r", [0, 1, -0.1, 1.5])
def test_r_outside_its_range(r):
    found = problems({"stages": {"compression": {"objective": {"r": r}}}})
    assert list(found) == ["/stages/0/objective/r"]
    assert str(r) in found["/stages/0/objective/r"]


def test_the_name_of_the_untrained_model_is_taken():
    stage = {"name": "base", "objective": {"type": "compress"}}
    assert any("'base'" in text for text in problems({"stages": [stage]}).values())


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"learner": {"betas": [2, 5]}}, "/learner/betas/0"),
        ({"generator": {"gpus": 1.5}}, "/generator/gpus"),
        ({"verifier": {"workers": 100_000}}, "/verifier/workers"),
        ({"replay": {"lease_seconds": 10}}, "/replay/lease_seconds"),
        ({"learner": {"importance_cap": 2.0}}, "/learner/importance_cap"),
    ],
)
def test_settings_that_would_fail_later_are_refused(overrides, where):
    assert where in problems(overrides)


@pytest.mark.parametrize("objective", [{}, {"objective": {"type": "entangled"}}])
def test_group_size_one_with_a_group_relative_objective(objective):
    found = problems({"stages": {"exploration": {"sampling": {"group_size": 1}, **objective}}})
    assert "at least 2" in found["/stages/1/sampling/group_size"]


@pytest.mark.parametrize(
    ("objective", "where", "says"),
    [
        ({"type": "squash"}, "/type", "'compress', 'explore', 'entangled'"),
        ({"type": "compress", "shaping": "square"}, "/shaping", "'exponential', 'linear'"),
        ({"type": "compress", "measured_length": "words"}, "/measured_length", "'think'"),
        ({"type": "explore", "loss": {"type": "trpo"}}, "/loss/type", "'ppo', 'reinforce'"),
        ({"type": "explore", "loss": {"clip_low": 0.1}}, "/loss/type", "required"),
        ({"type": "explore", "loss": {"type": "reinforce", "clip_low": 0.1}}, "/loss/clip_low", ""),
        (
            {"type": "explore", "loss": {"type": "gspo", "high_entropy_weight": 0}},
            "/loss/high_entropy_weight",
            "greater than 0",
        ),
        (
            {"type": "entangled", "explore": {"normalisation": "batch"}},
            "/explore/normalisation",
            "must be 'group'",
        ),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused_where_it_does_not(objective, where, says):
    found = problems({"stages": {"exploration": {"objective": objective}}})
    assert list(found) == [f"/stages/1/objective{where}"]
    assert says in found[f"/stages/1/objective{where}"]


def test_mini_batches_of_sequences_must_divide_the_step():
    found = problems({"stages": {"compression": {"sequences_per_update": 100}}})
    assert "256 sequences" in found["/stages/0/sequences_per_update"]
    stage = resolve("tiny-cpu", {"stages": {"compression": {"sequences_per_update": 16}}}).stages[0]
    assert (stage.update_unit, stage.items_per_update, stage.updates_per_step) == (
        "sequences",
        16,
        16,
    )


def test_group_size_one_is_fine_with_an_absolute_advantage():
    spec = resolve("tiny-cpu", {"stages": {"compression": {"sampling": {"group_size": 1}}}})
    assert spec.stages[0].sampling.group_size == 1


def test_a_minibatch_that_does_not_divide_the_batch():
    found = problems({"stages": {"compression": {"prompts_per_update": 5}}})
    assert "must divide" in found["/stages/0/prompts_per_update"]


def test_zero_stages():
    assert "at least one" in problems({"stages": []})["/stages"]


def test_two_stages_of_one_name():
    stage = {"name": "same", "objective": {"type": "compress"}}
    assert "unique" in problems({"stages": [stage, stage]})["/stages"]


def test_an_unknown_objective_lists_those_there_are():
    found = problems({"stages": {"compression": {"objective": {"type": "squash"}}}})
    assert "'compress', 'explore'" in found["/stages/0/objective/type"]


def test_a_missing_field_is_named():
    found = problems({"stages": [{"name": "a", "objective": {"type": "compress"}, "steps": 1}, {}]})
    assert set(found) == {"/stages/1/name", "/stages/1/objective"}
    assert "required" in found["/stages/1/name"]


def test_all_problems_are_found_at_once():
    found = problems({"seed": -1, "generator": {"workers": 0}, "learner": {"zero_stage": 4}})
    assert set(found) == {"/seed", "/generator/workers", "/learner/zero_stage"}


def test_keys_are_escaped_in_pointers():
    assert "/a~1b~0c" in problems({"a/b~c": 1})
