"""Sampled tokens of a step: the file a learner leaves and an analysis reads.

One compressed ``analysis/step-000012.npz`` in the job's folder for each sampled step. Columns are
flat over the sampled tokens, at most ``MAX_TOKENS`` of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from services.atomic_write import replacing

SCHEMA: Final = 1
"""Version of the file; readers refuse what they do not know."""
MAX_TOKENS: Final = 200_000
"""Tokens kept of one step."""
SETTING: Final = "analysis.every_steps"
"""The setting of a job that makes its learners leave these files."""

THINKING: Final = 0
ANSWER: Final = 1
UNJUDGED: Final = -1

_COLUMNS: Final[dict[str, Any]] = {
    "token_id": np.int32,
    "entropy": np.float32,
    "entropy_untempered": np.float32,
    "logprob": np.float32,
    "prob_square_sum": np.float32,
    "hidden_norm": np.float32,
    "advantage": np.float32,
    "weight": np.float32,
    "correct": np.int8,
    "part": np.int8,
    "in_prompt": np.bool_,
}


class SamplesError(Exception):
    """Token samples are missing or cannot be read; the message says what to do."""


@dataclass(frozen=True)
class TokenSamples:
    """Sampled tokens of one step; every column has shape [T]."""

    step: int
    stage: str
    temperature: float
    """At which the tokens were drawn."""
    token_id: NDArray[np.int32]
    entropy: NDArray[np.float32]
    """Of the distribution the token was drawn from, in nats."""
    entropy_untempered: NDArray[np.float32]
    """The same at temperature 1."""
    logprob: NDArray[np.float32]
    """Of the drawn token at the sampling temperature, in nats."""
    prob_square_sum: NDArray[np.float32]
    """``sum_v p_v^2`` at the sampling temperature."""
    hidden_norm: NDArray[np.float32]
    """Euclidean norm of the hidden state that the output projection reads."""
    advantage: NDArray[np.float32]
    """A of the response the token belongs to."""
    weight: NDArray[np.float32]
    """The token's weight in the loss; 0 for one that is not trained on."""
    correct: NDArray[np.int8]
    """1 or 0 for the response, -1 when the verifier could not judge it."""
    part: NDArray[np.int8]
    """0 before the end of ``</think>``, 1 after it."""
    in_prompt: NDArray[np.bool_]
    """The token id occurs in the prompt of its response."""

    def __post_init__(self) -> None:
        shapes = {name: np.shape(getattr(self, name)) for name in _COLUMNS}
        if len(set(shapes.values())) != 1 or len(self.token_id.shape) != 1:
            raise ValueError(f"columns of token samples must be flat and equally long: {shapes}")

    def __len__(self) -> int:
        return len(self.token_id)

    def limited(self, max_tokens: int = MAX_TOKENS, seed: int = 0) -> TokenSamples:
        """Return at most ``max_tokens`` of them, drawn uniformly, in their order."""
        if len(self) <= max_tokens:
            return self
        draw = np.random.default_rng([seed, self.step])
        kept = np.sort(draw.choice(len(self), max_tokens, replace=False))
        return replace(self, **{name: getattr(self, name)[kept] for name in _COLUMNS})


def samples_path(job_folder: Path, step: int) -> Path:
    """Where the samples of a step lie."""
    return job_folder / "analysis" / f"step-{step:06d}.npz"


def write_samples(job_folder: Path, samples: TokenSamples) -> Path:
    """Write the samples of one step, whole or not at all; a step taken again replaces them."""
    path = samples_path(job_folder, samples.step)
    values: dict[str, Any] = {
        name: np.asarray(getattr(samples, name), dtype) for name, dtype in _COLUMNS.items()
    }
    values |= {"step": samples.step, "stage": samples.stage, "temperature": samples.temperature}
    with replacing(path) as file:
        np.savez_compressed(file, schema=SCHEMA, **values)
    return path


def read_samples(path: Path) -> TokenSamples:
    """Read what :func:`write_samples` wrote.

    Raises:
        SamplesError: the file is broken or of a schema this version does not know.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            schema = int(file["schema"])
            if schema != SCHEMA:
                raise SamplesError(
                    f"token samples {path} have schema {schema}, this version reads {SCHEMA}; "
                    "analyse them with the version that wrote them"
                )
            values: dict[str, Any] = {f.name: file[f.name] for f in fields(TokenSamples)}
            for name, scalar in (("step", int), ("stage", str), ("temperature", float)):
                values[name] = scalar(values[name])
            return TokenSamples(**values)
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise SamplesError(
            f"token samples {path} cannot be read ({error}); remove the file to analyse without it"
        ) from error


def all_samples(job_folder: Path) -> Iterator[TokenSamples]:
    """Yield the samples of a job in the order of its steps, one file at a time.

    Raises:
        SamplesError: the job kept none, or a file cannot be read.
    """
    paths = sorted(job_folder.glob("analysis/step-*.npz"))
    if not paths:
        raise SamplesError(
            f"the job in {job_folder} kept no token samples; submit it with {SETTING} set, for "
            f"instance {SETTING}=10, and token figures can be made from then on"
        )
    yield from map(read_samples, paths)
