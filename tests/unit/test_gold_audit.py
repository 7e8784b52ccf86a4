"""The audit of accepted answers, with the real decision as its judge."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from algorithms.trajectory import Judgement
from services.verification.gold_audit import audit, audit_gold, respelled
from services.verification.settle import Settled, settle
from services.verification.spelling import canonical
from services.verification.symbolic import decide


def judge(items: Sequence[tuple[tuple[str, ...], str]]) -> list[Judgement]:
    found = []
    for golds, output in items:
        settled = settle(golds, output)
        if not isinstance(settled, Settled):
            decided = decide(settled.golds, settled.answer)
            found.append(Judgement(decided.verdict, decided.reason, settled.well_formed))
        else:
            found.append(Judgement(settled.verdict, settled.reason, settled.well_formed))
    return found


@pytest.mark.parametrize(
    ("gold", "cleaned", "change", "kind"),
    [
        ("$42$", "42", "delimiters", "exact"),
        ("42\n", "42", "line_break", "exact"),
        ("$42.$", "42", "final_dot", "exact"),
        (r"$m_{\max}=n^2-1$", "n^{2}-1", "label", "algebra"),
        (r"11^{\text{th}}", "11", "ordinal", "exact"),
        (r"5\text{ marbles}", "5", "unit", "exact"),
        (r"\dfrac12", r"\frac{1}{2}", "layout", "exact"),
        ("$s[0,6)$", "[0,6)", "label", "exact"),
        (r"\text{east}", "east", "layout", "exact"),
        (r"$f(x)=1, \text{where } x \in \mho$", None, "delimiters", "string_only"),
        ("$ $", "", "delimiters", "empty"),
    ],
)
def test_a_gold_is_cleaned_and_classified(gold: str, cleaned: str | None, change: str, kind: str):
    found = audit_gold(gold)
    assert cleaned in (None, found.cleaned)
    assert change in found.changes
    assert found.kind == kind


def test_what_an_answer_is_checked_against_stays():
    # A unit that converts is compared; a variable in front makes an equation.
    assert audit_gold(r"3\text{ m}").cleaned == r"3\text{m}"
    assert audit_gold("y = 2x+3").cleaned == "y=2x+3"
    assert audit_gold("42").changes == ()


@pytest.mark.parametrize(
    "gold",
    [
        r"\frac{x+1}{2}",
        r"y = 2x+3",
        r"\{x, 1+\sqrt{2}\}",
        r"(x, \pi]",
        r"\begin{pmatrix} x \\ 2 \end{pmatrix}",
        r"(-\infty, \pi) \cup (4, \infty)",
    ],
)
def test_a_gold_in_other_letters_is_the_same_answer(gold: str):
    assert canonical(respelled(gold)) != canonical(gold)
    [judgement] = judge([((gold,), f"</think>\\boxed{{{respelled(gold)}}}")])
    assert judgement.verdict == "correct"


def test_the_report_lists_what_does_not_verify_against_itself():
    golds = {
        "a": ("42",),
        "b": (r"\frac{x}{2}", r"\frac12 x"),
        "c": (r"f(x)=1, \text{where } x \in \mho",),
        "d": (" ",),
        "e": (r"\sqrt{x-1000}",),
    }
    report = audit(golds, judge)
    assert report.golds == 6
    assert report.kinds == {"exact": 1, "algebra": 3, "string_only": 1, "empty": 1}
    assert [(u.question_id, u.reason) for u in report.unverified] == [
        ("c", "string_only"),
        ("d", "empty"),
        ("e", "unparsable:unsupported:magnitude"),
    ]


def test_only_what_needs_algebra_is_asked_and_in_one_call():
    asked = []

    def counting(items: Sequence[tuple[tuple[str, ...], str]]) -> list[Judgement]:
        asked.append(len(items))
        return judge(items)

    audit({"a": ("42",), "b": ("x+1",), "c": ("x+2",)}, counting)
    audit({"a": ("42",)}, counting)
    assert asked == [2]
