"""The figures of an evaluation, made of its responses."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from algorithms.bootstrap import cluster_interval
from algorithms.metrics import wilson_interval
from algorithms.pass_at_k import avg_at_k, pass_at_k
from algorithms.repetition import NGRAM
from algorithms.trajectory import Verdict
from services.evaluation.response import Response
from services.prompt_stream import derive_seed

Length = Literal["response_tokens", "thinkless_tokens"]
LENGTHS: Final[tuple[Length, ...]] = get_args(Length)


def by_question(responses: Sequence[Response]) -> dict[str, list[Response]]:
    """Return the responses to each question, in the order in which questions come first."""
    found: dict[str, list[Response]] = {}
    for response in responses:
        found.setdefault(response.question_id, []).append(response)
    return found


def figures(responses: Sequence[Response], seed: int, length: Length) -> dict[str, Any]:
    """Return the figures of one evaluation on one benchmark, JSON-ready.

    Responses whose verification failed (``timeout``, ``error``) are left out of the accuracy and
    counted apart: a verifier that failed is never a wrong answer. Accuracy is avg@k with k the
    responses to a question: plain accuracy with a Wilson interval where there is one, else the
    mean of the questions' shares with a bootstrap interval over questions.

    Args:
        responses: all of them, at least one.
        seed: of the resampling.
        length: which count ``length_mean`` and ``length_median`` are of.
    """
    questions = by_question(responses)
    samples = max(len(rs) for rs in questions.values())
    found = _accuracy(questions, samples, seed)
    for kind in LENGTHS:
        found |= _length(questions, kind, seed)
    return {
        "questions": len(questions),
        "samples": samples,
        "responses": len(responses),
        **found,
        "length": length,
        "length_mean": found[f"{length}_mean"],
        "length_ci95": found[f"{length}_ci95"],
        "length_median": found[f"{length}_median"],
        "truncated_ratio": statistics.fmean(r.finish_reason == "length" for r in responses),
        "repetition_rate": statistics.fmean(r.repetition for r in responses),
        "repetition_ngram": NGRAM,
        "verdicts": _verdicts(responses),
        "unverified": sum(not r.judged for r in responses),
    }


def _accuracy(
    questions: Mapping[str, Sequence[Response]], samples: int, seed: int
) -> dict[str, Any]:
    correct = [sum(r.correct and r.judged for r in rs) for rs in questions.values()]
    judged = [sum(r.judged for r in rs) for rs in questions.values()]
    if samples == 1:
        low, high = wilson_interval(sum(correct), sum(judged))
        return {
            "accuracy": avg_at_k(correct, judged),
            "accuracy_ci95": [low, high],
            "accuracy_interval": "wilson",
            "pass_at_k": {},
        }
    counts = list(zip(correct, judged, strict=True))
    average = _mean([c / n for c, n in counts if n], seed)
    return {
        "accuracy": average["value"],
        "accuracy_ci95": average["ci95"],
        "accuracy_interval": "bootstrap",
        "pass_at_k": {
            str(k): _mean(
                [pass_at_k(c, n, k) for c, n in counts if n >= k], derive_seed(seed, "pass", k)
            )
            for k in _powers_of_two(samples)
        },
    }


def _mean(values: Sequence[float], seed: int) -> dict[str, Any]:
    """The mean over the questions that have a value, with its interval."""
    if not values:
        return {"value": None, "ci95": [0.0, 1.0], "questions": 0}
    return {
        "value": statistics.fmean(values),
        "ci95": list(cluster_interval(values, seed)),
        "questions": len(values),
    }


def _powers_of_two(samples: int) -> list[int]:
    """2, 4, 8 ... and the number of samples itself: what pass@k is given for."""
    powers = [2**i for i in range(1, samples.bit_length()) if 2**i < samples]
    return [*powers, samples]


def _length(questions: Mapping[str, Sequence[Response]], kind: Length, seed: int) -> dict[str, Any]:
    each = [statistics.fmean(getattr(r, kind) for r in rs) for rs in questions.values()]
    everything = [getattr(r, kind) for rs in questions.values() for r in rs]
    return {
        f"{kind}_mean": statistics.fmean(everything),
        f"{kind}_ci95": list(cluster_interval(each, seed)),
        f"{kind}_median": statistics.median(everything),
    }


def _verdicts(responses: Sequence[Response]) -> dict[str, int]:
    counts = Counter(r.verdict for r in responses)
    return {verdict: counts[verdict] for verdict in get_args(Verdict)}
