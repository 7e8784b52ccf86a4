"""What can be said about a job from what it left, as sections: data, plot and words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from algorithms.segmentation import SEGMENTER_VERSION
from services.analysis.answer_share import AnswerShare, answer_share
from services.analysis.entropy_course import (
    SERIES,
    ConflictCourse,
    EntropyCourse,
    conflict_course,
    entropy_course,
)
from services.analysis.entropy_plots import conflict_figure, entropy_figure
from services.analysis.objective_counts import ObjectiveCounts, objective_counts
from services.analysis.response_plots import (
    answer_share_figure,
    objective_counts_figure,
    transition_figure,
)
from services.analysis.token_figures import CAVEAT, TokenFigures, token_figures
from services.analysis.token_plots import (
    connector_rate_figure,
    correlation_figure,
    token_cloud_figure,
    visible,
)
from services.analysis.token_samples import SamplesError, TokenSamples
from services.analysis.transition_groups import TransitionGroups, transition_groups
from services.analysis.vocabulary import Vocabulary
from services.reports.comparison import Evaluation

_TABLE_ROWS = 15
"""Rows of a table on the page; ``analysis.json`` has all of them."""


@dataclass(frozen=True)
class Table:
    """Cells as text."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """One figure of the paper, measured."""

    name: str
    """Of the plot's file and of the data in ``analysis.json``."""
    title: str
    note: str
    figure: Figure
    table: Table | None = None


@dataclass(frozen=True)
class Analysis:
    """Everything that could be measured."""

    sections: Sequence[Section]
    data: Mapping[str, Any]
    """Built-in types only."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a figure is not there, by what it needs."""

    def as_json(self) -> dict[str, Any]:
        return {**self.data, "missing": dict(self.missing)}


def analyse(
    steps: Sequence[Mapping[str, Any]],
    evaluations: Mapping[str, Evaluation],
    samples: Iterable[TokenSamples],
    vocabulary: Vocabulary,
) -> Analysis:
    """Measure what there is.

    Args:
        steps: step records in order.
        evaluations: by label, the base model's first.
        samples: token samples in the order of steps; raises ``SamplesError`` when there are none.
        vocabulary: of the job's model.
    """
    sections: list[Section] = []
    data: dict[str, Any] = {}
    missing: dict[str, str] = {}

    if counts := objective_counts(steps):
        sections.append(_objectives(counts))
        data["objective_counts"] = counts.as_json()
    else:
        missing["objective_counts"] = (
            "no step mixed the two objectives; only an entangled stage routes samples"
        )
    if entropy := entropy_course(steps):
        sections.append(_entropy(entropy))
        data["entropy"] = entropy.as_json()
    else:
        missing["entropy"] = "no step has been trained"
    if conflict := conflict_course(steps):
        sections.append(_conflict(conflict))
        data["gradient_conflict"] = conflict.as_json()
    else:
        missing["gradient_conflict"] = (
            "no step compared the gradients of the two objectives; set analysis.conflict"
        )
    try:
        tokens = token_figures(samples, vocabulary)
    except SamplesError as error:
        missing["tokens"] = str(error)
    else:
        sections += _tokens(tokens)
        data["tokens"] = tokens.as_json()

    base = evaluations.get("base")
    after = [e for label, e in evaluations.items() if label != "base"]
    if base is not None and after:
        groups = [transition_groups(base, e) for e in after]
        sections.append(_transitions(groups[-1]))
        if any(len(q["responses"]) > 1 for q in base["records"]):
            groups += [transition_groups(base, e, "majority") for e in after]
        data["transitions"] = [g.as_json() for g in groups]
    else:
        missing["transitions"] = "the base model and a stage have not both been evaluated"
    if evaluations:
        shares = [answer_share(e) for e in evaluations.values()]
        sections.append(_answer_shares(shares))
        data["answer_share"] = [s.as_json() for s in shares]
    return Analysis(sections, data, missing)


def _objectives(counts: ObjectiveCounts) -> Section:
    return Section(
        "objective_counts",
        "Samples by objective",
        "Figure 3a: questions answered correctly at least half of the time are trained for length, "
        "the others for accuracy.",
        objective_counts_figure(counts),
    )


def _entropy(course: EntropyCourse) -> Section:
    rows = [
        (stage, *("–" if means[name] is None else f"{means[name]:.3f}" for name in SERIES))
        for stage, means in course.by_stage.items()
    ]
    return Section(
        "entropy",
        "Token entropy by part, outcome and stage",
        "Exact entropies of the next-token distribution at the sampling temperature, in nats; "
        "“sampled” is the estimate from behaviour log-probabilities alone. The table has means "
        "over each stage, every token weighing the same. A dashed line: another stage begins.",
        entropy_figure(course),
        Table(("stage", *SERIES), rows),
    )


def _conflict(course: ConflictCourse) -> Section:
    return Section(
        "gradient_conflict",
        "Do the two objectives pull apart?",
        "Section 3.1: on sampled steps one mini-batch is scored by the compression and by the "
        "accuracy objective. Left: cosine of their gradients over all parameters, below 0 where "
        "they pull against each other. Right: share of connectors in each gradient's token "
        "magnitudes |w A| ‖e_y − p‖.",
        conflict_figure(course),
    )


def _tokens(figures: TokenFigures) -> list[Section]:
    sections = [
        Section(
            "entropy_gradient",
            "Token entropy and gradient magnitude",
            f"Figure 3d, on sampled tokens of each sampled step. {CAVEAT}",
            correlation_figure(figures),
        ),
        Section(
            "connector_rate",
            "Connectors over training",
            "Tokens that are a connector by themselves, per 1,000 sampled tokens.",
            connector_rate_figure(figures),
        ),
    ]
    if any(figures.table.values()):
        sections.append(
            Section(
                "token_cloud",
                "High-entropy tokens",
                "Figure 3e: tokens among the fifth of highest entropy, ranked by their mean "
                "entropy in nats; words of their own prompt are left out. ● marks connectors.",
                token_cloud_figure(figures.table),
                _token_table(figures),
            )
        )
    return sections


def _token_table(figures: TokenFigures) -> Table:
    return Table(
        ("token", "connector", "stage", "mean entropy", "count"),
        [
            (
                visible(row.text),
                "●" if row.connector else "",
                stage,
                f"{row.mean_entropy:.3f}",
                str(row.count),
            )
            for stage, rows in figures.table.items()
            for row in rows[:_TABLE_ROWS]
        ],
    )


def _transitions(groups: TransitionGroups) -> Section:
    return Section(
        "transitions",
        "What became of each answer",
        "Figure 4: first response of each held-out question, base model against the model after "
        f"{groups.label}; {groups.counts['gained']} gained, {groups.counts['lost']} lost, McNemar "
        f"p = {groups.mcnemar_p:.2g}. Boxes are quartiles, whiskers 1.5 interquartile ranges. "
        f"Steps: segmenter version {SEGMENTER_VERSION}.",
        transition_figure(groups),
    )


def _answer_shares(shares: Sequence[AnswerShare]) -> Section:
    def percent(share: float | None) -> str:
        return "–" if share is None else f"{100 * share:.1f} %"

    rows = [
        (
            s.label,
            f"{s.split.total / s.responses:.1f}" if s.responses else "–",
            percent(s.split.answer_share),
            percent(s.split.repeated_share),
            percent(s.split.answer_token_share),
            "–" if s.connectors_per_1000 is None else f"{s.connectors_per_1000:.1f}",
        )
        for s in shares
    ]
    head = (
        "",
        "computations per response",
        "after </think>",
        "made before",
        "words after </think>",
        "connectors per 1,000 tokens",
    )
    return Section(
        "answer_share",
        "Where the model computes",
        "Figure 5 and appendix C: relations “left = right”, all responses of an evaluation "
        "together, by the side of </think> they stand on; made before: the same relation stood "
        "earlier in the response.",
        answer_share_figure(shares),
        Table(head, rows),
    )
