"""The figures of an analysis on tokens and responses small enough to check by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from algorithms.correlation import pearson
from algorithms.metrics import mcnemar_exact_p
from services.analysis.answer_share import answer_share
from services.analysis.objective_counts import objective_counts
from services.analysis.sections import analyse
from services.analysis.token_figures import token_figures
from services.analysis.token_plots import visible
from services.analysis.token_samples import SamplesError, TokenSamples
from services.analysis.transition_groups import box, transition_groups
from services.analysis.vocabulary import Vocabulary, vocabulary_of

WORDS = {0: "Wait", 1: "x", 2: " Then", 3: "then"}
VOCABULARY = Vocabulary(lambda token_id: WORDS.get(token_id, f"w{token_id}"))


def sampled(step: int = 1, count: int = 400, seed: int = 0) -> TokenSamples:
    """Tokens drawn from distributions of any sharpness; columns computed the long way."""
    generator = torch.Generator().manual_seed(seed)
    logits = (
        torch.randn(count, 12, generator=generator) * torch.rand(count, 1, generator=generator) * 6
    )
    p = torch.softmax(logits, -1)
    drawn = torch.multinomial(p, 1, generator=generator).squeeze(1)
    rng = np.random.default_rng(seed)
    entropy = -(p * p.log()).sum(-1).numpy()
    return TokenSamples(
        step=step,
        stage="compression",
        temperature=1.0,
        token_id=rng.integers(0, 4, count),
        entropy=entropy,
        entropy_untempered=entropy,
        logprob=p.gather(1, drawn[:, None]).log().squeeze(1).numpy(),
        prob_square_sum=p.square().sum(-1).numpy(),
        hidden_norm=np.full(count, 3.0, np.float32),
        advantage=rng.normal(size=count).astype(np.float32),
        weight=(rng.random(count) < 0.5).astype(np.float32),
        correct=np.ones(count, np.int8),
        part=np.zeros(count, np.int8),
        in_prompt=np.zeros(count, bool),
    )


def response(tokens: int, correct: bool, text: str = "1+1=2", verdict: str | None = None):
    return {
        "text": text,
        "tokens": tokens,
        "verdict": verdict or ("correct" if correct else "incorrect"),
        "correct": correct,
        "reason": "equal",
        "finish_reason": "stop",
    }


def evaluation(label: str, responses: list[dict]) -> dict:
    records = [
        {"id": f"q{i}", "question": "?", "gold": ["2"], "responses": [r]}
        for i, r in enumerate(responses)
    ]
    return {"label": label, "records": records}


def test_the_expected_form_is_nearly_entropy_and_a_constant_hidden_norm_changes_nothing() -> None:
    (step,) = token_figures([sampled()], VOCABULARY).steps
    assert step.forms["expected"].spearman > 0.95
    assert step.forms["lm_head"].pearson == pytest.approx(step.forms["drawn"].pearson)
    assert step.forms["drawn"].pearson < step.forms["expected"].pearson


def test_updates_weigh_by_the_size_of_the_advantage_over_trained_tokens_only() -> None:
    sample = sampled()
    (step,) = token_figures([sample], VOCABULARY).steps
    trained = sample.weight > 0
    p_y = np.exp(sample.logprob[trained].astype(float))
    # As the formula stands; float32 takes a nearly certain token below zero.
    norm = np.sqrt(np.maximum(0, 1 - 2 * p_y + sample.prob_square_sum[trained]))
    want = pearson(sample.entropy[trained], norm * np.abs(sample.advantage[trained]))
    assert step.forms["drawn"].update_pearson == pytest.approx(want, abs=1e-3)
    (negated,) = token_figures([replace(sample, advantage=-sample.advantage)], VOCABULARY).steps
    assert negated.forms == step.forms


def test_a_step_without_trained_tokens_has_no_update() -> None:
    sample = replace(sampled(), weight=np.zeros(400, np.float32))
    (step,) = token_figures([sample], VOCABULARY).steps
    assert step.forms["drawn"].update_pearson is None
    assert step.forms["drawn"].pearson is not None


def test_connectors_are_counted_per_thousand_tokens() -> None:
    sample = replace(sampled(), token_id=np.array([0] * 8 + [2] * 2 + [3] * 190 + [1] * 200))
    (step,) = token_figures([sample], VOCABULARY).steps
    assert step.connectors_per_1000 == pytest.approx(25.0)


def test_the_table_is_by_stage_and_marks_connectors() -> None:
    other = replace(sampled(2, seed=1), stage="exploration", token_id=np.zeros(400, np.int32))
    figures = token_figures([sampled(), other], VOCABULARY)
    assert {row.text: row.connector for row in figures.table["exploration"]} == {"Wait": True}
    assert figures.table["exploration"][0].count == 80
    assert all(r.connector == (r.token_id in (0, 2)) for r in figures.table["compression"])


def test_texts_of_the_tiny_reasoners_tokens() -> None:
    vocabulary = vocabulary_of("builtin:tiny-reasoner")
    found = [i for i in range(477) if vocabulary.is_connector(i)]
    assert {vocabulary.text(i).strip() for i in found} >= {"Wait", "Hmm", "Therefore", "Thus"}


def test_a_model_that_is_gone_leaves_numbers(tmp_path) -> None:
    assert vocabulary_of(str(tmp_path)).text(7) == "#7"
    assert visible(" \n") == "␣↵"
    assert visible(" Wait") == "Wait"


def test_a_box_has_quartiles_whiskers_and_outliers() -> None:
    drawn = box([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (drawn.q1, drawn.median, drawn.q3, drawn.mean) == (2.0, 3.0, 4.0, 22.0)
    assert (drawn.whisker_low, drawn.whisker_high, drawn.outliers) == (1.0, 4.0, [100.0])
    assert box([]) is None
    assert box([5.0]).whisker_high == 5.0


def test_groups_hold_the_right_questions_with_both_lengths() -> None:
    before = [(100, True), (200, True), (300, False), (400, False), (500, True)]
    after = [(10, True), (20, False), (30, True), (40, False), (50, True)]
    old = evaluation("base", [response(n, c) for n, c in before])
    new = evaluation("compression", [response(n, c) for n, c in after])
    new["records"][4]["responses"][0]["verdict"] = "timeout"
    groups = transition_groups(old, new)
    assert groups.counts == {"preserved": 1, "lost": 1, "gained": 1, "failed": 1}
    assert groups.mcnemar_p == mcnemar_exact_p(1, 1)
    means = {
        name: (pair["tokens"].before.mean, pair["tokens"].after.mean)
        for name, pair in groups.boxes.items()
    }
    assert means == {
        "preserved": (100, 10),
        "lost": (200, 20),
        "gained": (300, 30),
        "failed": (400, 40),
    }


def test_a_majority_stands_for_a_question_with_several_responses() -> None:
    def asked(label: str, *outcomes: bool) -> dict:
        record = evaluation(label, [response(0, True)])
        responses = [response(10 * (i + 1), c) for i, c in enumerate(outcomes)]
        record["records"][0]["responses"] = responses
        return record

    old, new = asked("base", True, False, False), asked("later", False, True, True)
    assert transition_groups(old, new).counts["lost"] == 1
    groups = transition_groups(old, new, "majority")
    assert groups.counts == {"preserved": 0, "lost": 0, "gained": 1, "failed": 0}
    assert groups.boxes["gained"]["tokens"].before.mean == 20
    even = transition_groups(asked("base", True, False), new, "majority")
    assert even.counts["gained"] == 1
    old["records"][0]["responses"][1]["verdict"] = "timeout"
    old["records"][0]["responses"][2]["verdict"] = "timeout"
    assert transition_groups(old, new, "majority").counts["preserved"] == 1


def test_steps_are_counted_by_both_segmenters() -> None:
    text = "1+1=2 and more\nWait, let me check again.\n\nThus it is 2 indeed.</think>\\boxed{2}"
    old = evaluation("base", [response(9, True, text)])
    boxes = transition_groups(old, old).boxes["preserved"]
    assert boxes["blank-lines"].before.median == 3
    assert boxes["connectors"].before.median == 4
    assert boxes["connectors"].after.median == 4


def test_shares_pool_the_responses_of_an_evaluation() -> None:
    texts = ["1+1=2\nWait\n1+1=2</think>3+3=6", "</think>4+4=8"]
    share = answer_share(evaluation("base", [response(50, True, t) for t in texts]))
    assert share.split.answer_share == pytest.approx(2 / 4)
    assert share.split.repeated_share == pytest.approx(1 / 4)
    assert share.connectors_per_1000 == pytest.approx(10.0)


def test_counts_of_samples_by_objective() -> None:
    records = [{"step": 1}, {"step": 2, "routed": {"compress": 40, "accuracy": 24}}]
    counts = objective_counts(records)
    assert (counts.steps, counts.compress, counts.accuracy) == ([2], [40], [24])
    assert objective_counts(records[:1]) is None


def no_samples():
    raise SamplesError("set analysis.every_steps")
    yield


def test_what_is_not_there_is_said_and_the_rest_is_made() -> None:
    evaluations = {label: evaluation(label, [response(9, True)]) for label in ("base", "explore")}
    found = analyse([{"step": 1}], evaluations, no_samples(), VOCABULARY)
    assert [s.name for s in found.sections] == ["transitions", "answer_share"]
    assert found.missing["tokens"] == "set analysis.every_steps"
    assert set(found.missing) == {"tokens", "objective_counts", "entropy", "gradient_conflict"}
    found = analyse([{"step": 1}], {}, no_samples(), VOCABULARY)
    assert (list(found.sections), "transitions" in found.missing) == ([], True)


def test_an_analysis_is_plain_data() -> None:
    steps = [{"step": 1, "routed": {"compress": 1, "accuracy": 2}}]
    evaluations = {label: evaluation(label, [response(9, True)]) for label in ("base", "explore")}
    samples = [replace(sampled(), token_id=np.arange(400))]  # Too rare for a cloud.
    found = analyse(steps, evaluations, samples, VOCABULARY)
    assert [s.name for s in found.sections] == [
        "objective_counts",
        "entropy_gradient",
        "connector_rate",
        "transitions",
        "answer_share",
    ]
    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert data["transitions"][0]["segmenter_version"] == 1
    assert data["tokens"]["caveat"]


def test_a_cloud_is_drawn_from_the_table() -> None:
    pytest.importorskip("wordcloud")
    samples = [sampled(count=1000)]
    first, again = (analyse([], {}, samples, VOCABULARY).sections[2] for _ in range(2))
    assert ("Wait", "●") in [(row[0], row[1]) for row in first.table.rows]
    images = [np.asarray(s.figure.axes[0].images[0].get_array()) for s in (first, again)]
    assert (images[0] == images[1]).all()
