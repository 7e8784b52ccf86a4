"""Chunks of an evaluation through the real engine and the real verification pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.builtin import resolve_path
from services.datasets import load_questions
from services.evaluation.plan import Chunk, plan
from services.evaluation.response import Response, cases_of, responses_of
from services.rollout.engine import RolloutEngine
from services.rollout.request import Decoding
from services.spec.job import DataSpec, GeneratorSpec
from services.verification.pool import VerificationPool

DATA = DataSpec(path="builtin:tiny-heldout")
QUESTIONS = load_questions(DATA, 10)
DECODING = Decoding(temperature=0.6, top_p=0.95, max_tokens=120, group_size=2, logprobs=False)
CHUNKS = plan(QUESTIONS, DECODING, suffix=DATA.prompt_suffix, seed=3, chunk_responses=8)


@pytest.fixture(scope="module")
def engine() -> RolloutEngine:
    settings = GeneratorSpec(max_model_len=256, max_sequences=32, kv_cache_gib=0.2)
    model = str(resolve_path("builtin:tiny-reasoner"))
    return RolloutEngine(model, settings, seed=3)


@pytest.fixture(scope="module")
def pool() -> Iterator[VerificationPool]:
    with VerificationPool(1, 5.0, 1024) as running:
        yield running


def answer(engine: RolloutEngine, pool: VerificationPool, chunk: Chunk) -> list[Response]:
    groups = engine.generate(chunk.requests, chunk.decoding)
    judgements = pool.judge(cases_of(chunk, groups, "eval", opened=engine.opens_thinking()))
    counts = engine.thinkless_tokens(
        [(r.prompt, t) for r, g in zip(chunk.requests, groups, strict=True) for t in g.texts]
    )
    found = responses_of(chunk, groups, judgements, counts, "eval")
    return [replace(r, seconds=0.0) for r in found]


def test_a_chunk_has_the_same_tokens_whatever_was_drawn_before_it(
    engine: RolloutEngine, pool: VerificationPool
) -> None:
    assert len(CHUNKS) == 3
    undisturbed = [answer(engine, pool, chunk) for chunk in CHUNKS]
    # As a resumed attempt does that finds the first chunk on disk; and in any other order.
    assert [answer(engine, pool, chunk) for chunk in CHUNKS[1:]] == undisturbed[1:]
    assert answer(engine, pool, CHUNKS[0]) == undisturbed[0]
    digests = [r.token_digest for chunk in undisturbed for r in chunk]
    assert len(set(digests)) > len(digests) // 2


def test_counts_and_verdicts_are_those_of_the_text(
    engine: RolloutEngine, pool: VerificationPool
) -> None:
    responses = answer(engine, pool, CHUNKS[0])
    assert [(r.question_id, r.sample) for r in responses] == [
        (q.id, s) for q in CHUNKS[0].questions for s in range(2)
    ]
    assert any(r.correct for r in responses)
    for r in responses:
        assert r.judged
        assert not (r.correct and r.finish_reason == "length")
        assert 0 < r.response_tokens <= 120
        # The conversation holds the response, the prompt and what the template puts around both.
        assert r.thinkless_tokens > r.response_tokens + 10


def test_the_shipped_model_thinks(engine: RolloutEngine) -> None:
    assert engine.opens_thinking()
