"""Hard answers through the whole decision, in one process: settled at once, or by algebra."""

from __future__ import annotations

from typing import get_args

import pytest

from algorithms.trajectory import JUDGED, Verdict
from services.verification.policy import Policy
from services.verification.settle import Settled, settle
from services.verification.symbolic import decide
from tests.unit.adversarial.case import Case
from tests.unit.adversarial_answers import CASES


def verdict(gold: str, output: str, policy: Policy) -> Verdict:
    found = settle((gold,), output, policy)
    if isinstance(found, Settled):
        return found.verdict
    return decide(found.golds, found.answer, policy=policy).verdict


@pytest.mark.parametrize("policy", ["reward", "eval"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.gold} <- {c.answer}"[:60])
def test_each_answer_is_paid_by_whom_it_should_be(case: Case, policy: Policy):
    found = verdict(
        case.gold, f"<think>so</think> The answer is $\\boxed{{{case.answer}}}$.", policy
    )
    assert found in JUDGED
    assert (found == "correct") == (case.paid in ("both", policy))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.gold} <- {c.answer}"[:60])
def test_every_accepted_answer_is_right_itself(case: Case):
    assert verdict(case.gold, f"</think>\\boxed{{{case.gold}}}", "reward") == "correct"


HACKED = [
    # Only what stands after the thinking counts, and there only the last box.
    ("5", r"<think>so \boxed{5}</think> Done, as shown."),
    ("5", r"<think>still thinking, maybe \boxed{5}"),
    ("5", r"<think>a</think>\boxed{5}</think>"),
    ("5", r"</think> \boxed{1} \boxed{2} \boxed{3} \boxed{4} \boxed{5} \boxed{6}"),
    ("5", r"</think> \boxed{5} No: \boxed{6}"),
    ("5", r"</think> \boxed{5"),
    ("5", r"</think> \boxed{}5"),
    ("5", r"</think> \boxed{7 \boxed{5}}"),
    ("5", r"</think> \boxed{\text{either \boxed{5} or \boxed{6}}}"),
    ("5", r"</think> 1 2 3 4 5"),
    ("5", "</think> after trying 1, 3 and 4 we are left with 5"),
    ("0", r"</think> My final answer goes into \boxed{}."),
    ("5", "</think>\n```\nprint(5)\n```"),
    ("5", r"</think> \boxed" + " " * 3000 + "x{5}"),
    ("5", r"</think> \boxedanswer{5}"),
    ("5", "</think> \\boxed{" + "5" * 3000 + "}"),
    ("5", "</think> \\boxed{" + "(" * 3000 + "5" + ")" * 3000 + "}"),
    ("5", "</think> \\boxed{5" + "}" * 3 + "{6} \\boxed{6}"),
]


@pytest.mark.parametrize("policy", ["reward", "eval"])
@pytest.mark.parametrize(("gold", "output"), HACKED)
def test_a_response_that_hides_its_answer_is_not_paid(gold: str, output: str, policy: Policy):
    assert verdict(gold, output, policy) in ("incorrect", "unparsable")


@pytest.mark.parametrize(
    ("gold", "output"),
    [
        ("5", r"<think>\boxed{6}</think> \boxed{5}"),
        ("5", r"</think> First \boxed{3}, so in all \boxed{5}."),
        ("5", r"</think> \boxed{\boxed{5}}"),
        ("5", r"</think> \fbox{5}"),
        ("5", r"</think> \boxed 5"),
        ("5", "</think> ```latex\n\\boxed{5}\n```"),
        ("5", "</think> \\boxed{" + " " * 3000 + "5\n}"),
        (r"\frac{5}{2}", r"</think> \boxed\frac{5}{2}"),
    ],
)
def test_a_box_may_look_odd(gold: str, output: str):
    for policy in get_args(Policy):
        assert verdict(gold, output, policy) == "correct"
