"""Structure of answers: lists, sets, tuples, intervals, unions, matrices, and names in front."""

from __future__ import annotations

import pytest

from services.verification.exact import compare
from services.verification.expression import expression
from services.verification.intervals import same_union
from services.verification.labels import bare, unlabelled
from services.verification.regions import region
from services.verification.shapes import compare_shapes, shape
from services.verification.spelling import canonical


@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        ("x+1", "value", ("x+1",)),
        ("1,234", "value", ("1,234",)),
        (r"12,000\pi", "value", (r"12000\pi",)),
        ("1, 2", "list", ("1", "2")),
        ("100, 200", "list", ("100", "200")),
        (r"x=1 \text{ or } x=-2", "list", ("x=1", "x=-2")),
        (r"\pm 2", "list", ("2", "-2")),
        (r"1, \pm 3", "list", ("1", "3", "-3")),
        (r"a \pm b \mp c", "list", ("a+b-c", "a-b+c")),
        (r"\{1, 2\}", "set", ("1", "2")),
        (r"\{\pm 1\}", "set", ("1", "-1")),
        ("(1, 2)", "tuple", ("1", "2")),
        ("(6,235)", "tuple", ("6", "235")),
        ("[0,1)", "tuple", ("0", "1")),
        ("(1,2),(3,4)", "list", ("(1,2)", "(3,4)")),
        ("$1$, $2$", "list", ("1", "2")),
        (r"(0,1)\cup(2,3]", "union", ("(0,1)", "(2,3]")),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "matrix", ("1", "2", "3", "4")),
        ("f(x,y)", "value", ("f(x,y)",)),
    ],
)
def test_shapes(text: str, kind: str, parts: tuple[str, ...]):
    found = shape(text)
    assert (found.kind, found.parts) == (kind, parts)


@pytest.mark.parametrize(
    ("gold", "answer", "outcome"),
    [
        (r"\{1,2\}", r"\{2,1,1\}", "equal"),
        (r"\{1,2\}", "1,2", "equal"),
        ("1,2", "(2,1)", "equal"),
        ("(1,2)", "1,2", "equal"),
        ("(1,2)", "2,1", "different"),
        ("[1,2]", "1,2", "different"),
        ("(1,2)", r"\{1,2\}", "different"),
        (r"\{1,2\}", "(1,2)", "different"),
        ("(1,2)", "(1,2,3)", "different"),
        ("(1,2]", "(1,2)", "different"),
        (r"\{1,x\}", r"\{1,2\}", "undecided"),
        (r"\{1,2\}", r"\{1,3\}", "different"),
        (r"(0,1)\cup(2,3)", r"(2,3)\cup(0,1)", "equal"),
    ],
)
def test_parts_are_compared_as_their_shape_asks(gold: str, answer: str, outcome: str):
    assert compare_shapes(shape(gold), shape(answer), compare) == outcome


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("x<3", r"(-\infty,3)"),
        ("3 < x", r"(3,\infty)"),
        (r"x \geqslant 3", r"[3,\infty)"),
        (r"-2 \le x < 7", "[-2,7)"),
        (r"7 > x \ge -2", "[-2,7)"),
        (r"x \ne 1", r"(-\infty,1)\cup(1,\infty)"),
        (r"x<1 \text{ or } x>2", r"(-\infty,1)\cup(2,\infty)"),
        (r"x>1 \text{ and } x \le 2", "(1,2]"),
        (r"\{x \mid x \ge 0\}", r"[0,\infty)"),
        (r"\{x \in \mathbb{R} : x < 0\}", r"(-\infty,0)"),
        (r"\mathbb{R} \setminus \{2\}", r"(-\infty,2)\cup(2,\infty)"),
    ],
)
def test_inequalities_are_read_as_intervals(text: str, interval: str):
    found = region(text)
    assert found is not None
    assert found.interval == interval


@pytest.mark.parametrize("text", ["x+y<3", "1<2", "x=3", "x<1, y>2", "a<b<c<d", r"x \ne", "<"])
def test_what_bounds_no_single_variable_is_no_interval(text: str):
    found = region(text)
    assert found is None or found.variable is None


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("[1,3]", r"[1,2]\cup[2,3]", True),
        ("[1,3]", r"[1,2)\cup(2,3]", False),
        ("(1,3)", r"(1,2]\cup(2,3)", True),
        (r"[0,\sqrt{4}]", r"[0,1]\cup[1,2]", True),
        (r"\{1\}\cup(2,3)", r"(2,3)\cup\{1\}", True),
        (r"(-\infty,2)\cup(1,\infty)", r"(-\infty,\infty)", True),
        (r"(0,1)\cup(2,3)", "(0,3)", False),
        (r"(0,a)\cup(2,3)", "(0,3)", None),
    ],
)
def test_unions_are_the_points_in_them(gold: str, answer: str, same: bool | None):
    assert same_union(shape(gold), shape(answer)) is same


@pytest.mark.parametrize(
    ("gold", "answer", "values"),
    [
        ("5", "x=5", ("5", "5")),
        ("x=5", "5", ("5", "5")),
        ("x=5", "x=6", ("5", "6")),
        ("x=5", "y=5", ("x=5", "y=5")),
        ("f(x)=x^2", "y=x^2", ("x^{2}", "x^{2}")),
        (r"m_{\max}=n^2", "n^2", ("n^{2}", "n^{2}")),
        (r"\angle B E A_1 = 90", "90", ("90", "90")),
        ("5", "5=x", ("5", "5")),
        ("5", "x+y=5", ("5", "5")),
        ("[0,1)", r"x \in [0,1)", ("[0,1)", "[0,1)")),
        ("$t(0,4]$", "(0,4]", ("(0,4]", "(0,4]")),
        ("5", r"\text{The answer is } 5", ("5", "5")),
    ],
)
def test_names_in_front_are_dropped_where_one_side_has_none(
    gold: str, answer: str, values: tuple[str, str]
):
    found = unlabelled(gold, answer)
    assert (found.gold, found.answer) == values
    assert found.refused is None


def test_members_of_a_chain_are_kept_to_be_checked():
    found = unlabelled("9", "x = 4+5 = 9")
    assert (found.answer, found.chain) == ("9", ("4+5",))


def test_an_equation_that_is_to_be_solved_is_no_value():
    assert unlabelled("0", "x^2-4=0").refused == "equation_for_value"
    assert unlabelled("x+y=5", "5").refused == "not_an_equation"


def test_a_name_in_front_of_a_tuple_is_dropped():
    assert bare("(x,y) = (1,2)") == "(1,2)"


@pytest.mark.parametrize(
    "text",
    [
        r"\dfrac12",
        r"\left( 1,\, 2 \right)",
        "E_1, E_{12}",
        "x²+½",
        r"$ 5\ \mathrm{cm} $",
        "100, 200",
        r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
        r"30^{\circ}",
        r"x \pmod 7",
        r"**\text{(C)}**",
    ],
)
def test_one_spelling_is_the_spelling_of_itself(text: str):
    assert canonical(canonical(text)) == canonical(text)


def test_layout_alone_makes_no_difference():
    same = [r"\dfrac{ 1 }{2}x^2", r"\frac12 x^{2}", r"\tfrac1{2}\,x^2", r"$\frac{1}2x^2.$"]
    assert len({canonical(t) for t in same}) == 1
    assert expression(same[0]) == expression(same[1])
