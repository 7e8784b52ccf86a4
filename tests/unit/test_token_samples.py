"""The file of token samples: what is written is read, and what cannot be read is said."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from services.analysis.token_samples import (
    SETTING,
    SamplesError,
    TokenSamples,
    all_samples,
    read_samples,
    samples_path,
    write_samples,
)


def samples(count: int = 4, step: int = 12, **columns) -> TokenSamples:
    values = {
        "token_id": np.arange(count),
        "entropy": np.linspace(0, 1, count),
        "entropy_untempered": np.linspace(0, 2, count),
        "logprob": -np.linspace(0, 1, count),
        "prob_square_sum": np.linspace(0.2, 1, count),
        "hidden_norm": np.ones(count),
        "advantage": np.ones(count),
        "weight": np.full(count, 0.25),
        "correct": np.resize([1, 0, -1], count),
        "part": np.resize([0, 1], count),
        "in_prompt": np.resize([True, False], count),
    }
    return TokenSamples(step=step, stage="compression", temperature=0.6, **values | columns)


def test_what_is_written_is_read_with_its_types(tmp_path) -> None:
    path = write_samples(tmp_path, samples())
    assert path == tmp_path / "analysis" / "step-000012.npz"
    back = read_samples(path)
    assert (back.step, back.stage, back.temperature) == (12, "compression", 0.6)
    for field in fields(TokenSamples)[3:]:
        given, got = getattr(samples(), field.name), getattr(back, field.name)
        assert got == pytest.approx(given), field.name
    assert back.token_id.dtype == np.int32
    assert back.entropy.dtype == np.float32
    assert back.correct.dtype == np.int8
    assert back.in_prompt.dtype == np.bool_
    assert not list(path.parent.glob("*.partial"))


def test_steps_come_in_order_and_a_step_taken_again_replaces_the_first(tmp_path) -> None:
    for step, count in ((20, 2), (3, 2), (20, 5)):
        write_samples(tmp_path, samples(count, step))
    assert [(s.step, len(s)) for s in all_samples(tmp_path)] == [(3, 2), (20, 5)]


def test_a_limit_draws_a_subset_in_order_and_always_the_same(tmp_path) -> None:
    many = samples(1000)
    few = many.limited(100, seed=1)
    assert len(few) == 100
    assert (np.diff(few.token_id) > 0).all()
    assert (few.entropy == many.entropy[few.token_id]).all()
    assert (few.token_id == many.limited(100, seed=1).token_id).all()
    # Uniform: the mean of 100 out of 0..999 is within four standard errors.
    assert abs(few.token_id.mean() - 499.5) < 4 * 1000 / np.sqrt(12 * 100)
    assert many.limited(1000) is many


def test_a_job_without_samples_names_the_setting(tmp_path) -> None:
    with pytest.raises(SamplesError, match=r"analysis\.every_steps") as caught:
        next(all_samples(tmp_path))
    assert SETTING in str(caught.value)


def test_an_unknown_schema_is_refused(tmp_path) -> None:
    path = write_samples(tmp_path, samples())
    with np.load(path) as file:
        columns = dict(file)
    np.savez_compressed(path, **columns | {"schema": 99})
    with pytest.raises(SamplesError, match="schema 99"):
        read_samples(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not whole"])
def test_a_broken_file_is_named(tmp_path, content) -> None:
    path = samples_path(tmp_path, 1)
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SamplesError, match="step-000001"):
        read_samples(path)


def test_a_missing_column_is_named(tmp_path) -> None:
    path = samples_path(tmp_path, 1)
    path.parent.mkdir()
    np.savez_compressed(path, schema=1, step=1, stage="x", temperature=1.0)
    with pytest.raises(SamplesError, match="token_id"):
        read_samples(path)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        samples(4, entropy=np.zeros(3))
