"""A specification against the world: model folder, data and cluster."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from api.submission import with_absolute_paths
from services.builtin import resolve_path
from services.presets.registry import resolve
from services.spec.validation import ClusterSize, find_problems

PLENTY = ClusterSize(cpus=64, gpus=8)
CONTEXT = 512


def write_safetensors(file):
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"model_type": "qwen2", "max_position_embeddings": CONTEXT}
    (folder / "config.json").write_text(json.dumps(config))
    shipped = resolve_path("builtin:tiny-reasoner")
    shutil.copy(shipped / "tokenizer.json", folder)
    template = (shipped / "chat_template.jinja").read_text()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    write_safetensors(folder / "model.safetensors")
    return folder


@pytest.fixture
def check(tmp_path, model):
    data = tmp_path / "train.jsonl"
    data.write_text('{"question": "q", "answer": "7"}\n')

    def run(overrides=None, cluster=PLENTY):
        spec = resolve(
            "tiny-cpu",
            {
                "model": {"path": str(model)},
                "data": {"path": str(data)},
                "evaluation": {"path": str(data)},
                "generator": {"max_model_len": None},
            },
        )
        if overrides:
            spec = type(spec).model_validate(_deep(spec.model_dump(), overrides))
        return {p.pointer: p.detail for p in find_problems(spec, cluster)}

    return run


def _deep(base, over):
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base, dict | list | tuple):
            _deep(base[key], value)
        else:
            base[key] = value
    return base


def test_a_good_specification_has_no_problems(check):
    assert check() == {}


def test_a_missing_model_folder(check, model):
    found = check({"model": {"path": str(model / "nowhere")}})
    assert "does not exist" in found["/model/path"]
    assert "config.json" in found["/model/path"]


def test_a_file_for_a_model_folder(check, model):
    found = check({"model": {"path": str(model / "config.json")}})
    assert "not a folder" in found["/model/path"]


def test_an_unknown_builtin_model(check):
    assert "builtin:tiny-reasoner" in check({"model": {"path": "builtin:big"}})["/model/path"]


def test_a_model_without_configuration(check, model):
    (model / "config.json").unlink()
    assert "no config.json" in check()["/model/path"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", b"\xff\xfe"])
def test_an_unreadable_configuration(check, model, content):
    content = content if isinstance(content, bytes) else content.encode()
    (model / "config.json").write_bytes(content)
    assert "save the model again" in check()["/model/path"]


def test_a_missing_tokenizer(check, model):
    (model / "tokenizer.json").unlink()
    assert "no tokenizer" in check()["/model/path"]
    assert "tokenizer.save_pretrained" in check()["/model/path"]


def test_a_tokenizer_without_chat_template(check, model):
    (model / "tokenizer_config.json").write_text("{}")
    assert "chat template" in check()["/model/path"]
    (model / "chat_template.jinja").write_text("{{ messages }}")
    assert check() == {}


@pytest.mark.parametrize("shard", ["../other/model.safetensors", "/etc/passwd"])
def test_a_shard_that_lies_elsewhere(check, model, shard):
    index = {"weight_map": {"w": shard}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "not a file beside it" in check()["/model/path"]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_weights_that_are_not_safetensors(check, model, name):
    (model / "model.safetensors").rename(model / name)
    assert name in check()["/model/path"]
    assert "safe_serialization=True" in check()["/model/path"]


def test_no_weights_at_all(check, model):
    (model / "model.safetensors").unlink()
    assert "no safetensors weights" in check()["/model/path"]


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs", b"\x04" + b"\0" * 7 + b"{x}}"]
)
def test_a_file_that_only_calls_itself_safetensors(check, model, content):
    (model / "model.safetensors").write_bytes(content)
    assert "again" in check()["/model/path"]


def test_weights_that_were_cut_short(check, model):
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    assert "fetch the weights again" in check()["/model/path"]


def test_a_missing_shard(check, model):
    index = {"weight_map": {"w": "model.safetensors", "v": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-2.safetensors" in check()["/model/path"]


@pytest.mark.parametrize("part", ["data", "evaluation"])
def test_problems_of_each_data_set(check, tmp_path, part):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"question": "q", "answer": "a"}\n{"question": "q"}\n')
    found = check({part: {"path": str(bad)}})
    assert list(found) == [f"/{part}/path"]
    assert "line 2" in found[f"/{part}/path"]


@pytest.mark.parametrize("part", ["data", "evaluation"])
def test_a_benchmark_is_checked_where_it_is_named(check, tmp_path, monkeypatch, part):
    monkeypatch.setenv("LACONIC_DATA", str(tmp_path))
    found = check({part: {"path": "benchmark:aime42"}})
    assert list(found) == [f"/{part}/path"]
    assert "benchmark:aime24" in found[f"/{part}/path"]
    (tmp_path / "aime24.jsonl").write_text('{"problem": "q", "answers": ["1"]}\n')
    found = check({part: {"path": "benchmark:aime24"}})
    assert list(found) == [f"/{part}/path"]
    assert "content hash" in found[f"/{part}/path"]
    assert check({part: {"path": "benchmark:aime24", "allow_other_content": True}}) == {}


def test_names_stay_what_they_are_and_paths_become_absolute():
    spec = resolve(
        "tiny-cpu",
        {"data": {"path": "benchmark:deepscaler"}, "evaluation": {"path": "heldout.jsonl"}},
    )
    named = with_absolute_paths(spec)
    assert (named.model.path, named.data.path) == ("builtin:tiny-reasoner", "benchmark:deepscaler")
    assert named.evaluation is not None
    assert named.evaluation.path == str(Path("heldout.jsonl").absolute())


def test_prompts_that_fill_the_context(check, tmp_path):
    """With the real tokenizer: only texts long enough to matter are tokenised."""
    data = tmp_path / "long.jsonl"
    rows = [{"id": i, "question": "1 + 2" * n, "answer": "3"} for i, n in (("a", 1), ("b", 400))]
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = check({"model": {"path": "builtin:tiny-reasoner"}, "data": {"path": str(data)}})
    assert list(found) == ["/data/path"]
    assert "1 of 2 prompts" in found["/data/path"]
    assert "'b'" in found["/data/path"]
    assert "generator.max_model_len" in found["/data/path"]


def test_a_damaged_tokenizer_is_found_where_it_is_needed(check, model, tmp_path):
    (model / "tokenizer.json").write_text("{}")
    data = tmp_path / "long.jsonl"
    data.write_text(json.dumps({"question": "1 + 2" * 400, "answer": "3"}) + "\n")
    found = check({"data": {"path": str(data)}})
    assert "tokenizer cannot be used" in found["/model/path"]


def test_the_length_clip_must_fit_the_context(check):
    stage = {"objective": {"length_clip": CONTEXT}}
    found = check({"stages": {0: stage}})
    assert list(found) == ["/stages/0/objective/length_clip"]
    assert str(CONTEXT) in found["/stages/0/objective/length_clip"]


@pytest.mark.parametrize(("tokens", "fits"), [(CONTEXT - 1, True), (CONTEXT, False)])
def test_responses_must_leave_room_for_the_prompt(check, tokens, fits):
    found = check(
        {"stages": {1: {"sampling": {"max_tokens": tokens}}}, "evaluation": {"max_tokens": tokens}}
    )
    expected = [] if fits else ["/stages/1/sampling/max_tokens", "/evaluation/max_tokens"]
    assert list(found) == expected


def test_a_smaller_context_of_the_generator_counts(check):
    found = check({"generator": {"max_model_len": 256}})
    assert "/stages/0/objective/length_clip" in found
    assert "/stages/0/sampling/max_tokens" in found
    assert "/evaluation/max_tokens" in found


def test_a_context_larger_than_the_models(check):
    assert list(check({"generator": {"max_model_len": CONTEXT + 1}})) == [
        "/generator/max_model_len"
    ]


@pytest.mark.parametrize(
    ("overrides", "pointer"),
    [
        ({"generator": {"workers": 3}}, "/generator/workers"),
        ({"learner": {"workers": 2, "cpus": 2}}, "/learner/workers"),
        ({"generator": {"gpus": 1}}, "/generator/workers"),
    ],
)
def test_more_workers_than_the_cluster_has(check, overrides, pointer):
    found = check(overrides, ClusterSize(cpus=2, gpus=0))
    assert list(found) == [pointer]
    assert "the cluster has" in found[pointer]
    assert "lower" in found[pointer]


def test_workers_that_just_fit(check):
    assert check(cluster=ClusterSize(cpus=2, gpus=0)) == {}


def test_a_cluster_of_unknown_size_is_not_held_against_the_job(check):
    assert check({"generator": {"workers": 1000}}, cluster=None) == {}


def test_the_clip_inside_an_entangled_objective_is_checked_too(check):
    objective = {"type": "entangled", "compress": {"length_clip": CONTEXT}}
    found = check(
        {"stages": [{"name": "all", "objective": objective, "sampling": {"max_tokens": 64}}]}
    )
    assert list(found) == ["/stages/0/objective/compress/length_clip"]
