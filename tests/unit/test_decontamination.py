"""Overlap of training and held-out questions: what is found, with which text, and what is not."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.decontamination import find_overlaps
from services.question import Question


def questions(*texts, name="q"):
    return [Question(f"{name}{i}", text, ("1",)) for i, text in enumerate(texts)]


def pairs(train, held_out, **options):
    found = find_overlaps(questions(*train, name="t"), questions(*held_out, name="h"), **options)
    return [(o.train_id, o.held_out_id, o.kind) for o in found]


LONG = "A train leaves the town at noon and covers ninety miles in two hours on a straight track."
TAIL = "How fast is it on average over the whole way?"


@pytest.mark.parametrize(
    "other",
    [
        "Compute  $\\dfrac{1}{2} + x \\le 3$.",
        "compute $$\\frac{1}{2}+x\\leq 3$$",
        "Compute\n\\[ \\tfrac{1}{2} + x \\leqslant 3 \\]",
        "Compute $\\displaystyle \\frac{1}{2}\\, + x \\leq 3 \\quad$",
        "Ｃompute $\\frac{1}{2}+x\\le 3$",
    ],
)
def test_layout_and_case_do_not_hide_a_copy(other):
    assert pairs(["Compute $\\frac{1}{2}+x \\le 3$."], [other]) == [("t0", "h0", "same")]


@pytest.mark.parametrize(
    ("one", "other"),
    [("Find x - 3.", "Find x + 3."), ("Find 12.", "Find 1 2."), ("Find $2^3$.", "Find $23$.")],
)
def test_a_sign_makes_another_question(one, other):
    assert pairs([one], [other]) == []


def test_a_long_run_is_found_with_its_text():
    train = [f"Bob says: {LONG.lower()} Where is the town?"]
    (found,) = find_overlaps(questions(*train), questions(f"{LONG} {TAIL}"))
    assert found.kind == "shared"
    assert found.text == LONG.rstrip(".")
    assert (found.words, found.share) == (18, 18 / 28)


def test_signs_within_a_run_do_not_count():
    changed = LONG.replace(" and ", ", and (").replace(" hours", "-hours)")
    assert pairs([changed + " Where is the town?"], [f"{LONG} {TAIL}"]) == [("t0", "h0", "shared")]


def test_the_run_must_be_long_enough_and_much_of_the_question():
    train, held_out = [LONG + " Where is it?"], [f"{LONG} {TAIL}"]
    assert pairs(train, held_out, run=18) == [("t0", "h0", "shared")]
    assert pairs(train, held_out, run=19) == []
    assert pairs(train, held_out, share=0.64) == [("t0", "h0", "shared")]
    assert pairs(train, held_out, share=0.65) == []


def test_a_changed_word_ends_the_run_and_the_longer_part_counts():
    changed = LONG.replace("noon", "dawn")
    (found,) = find_overlaps(questions(changed), questions(LONG), run=5)
    assert found.text == "and covers ninety miles in two hours on a straight track"


def test_runs_do_not_pass_from_one_question_into_the_next():
    half = LONG.split()
    assert pairs([" ".join(half[:9]), " ".join(half[9:])], [LONG]) == []
    assert pairs([LONG], [" ".join(half[:9]), " ".join(half[9:])]) == []


def test_a_short_question_can_only_be_the_same():
    assert pairs([LONG], ["A train leaves the town at noon"]) == []
    assert pairs(["A train leaves the town at noon?"], ["A train leaves the town at noon"])


def test_every_pair_once_in_the_order_of_the_held_out_questions():
    assert pairs([LONG, TAIL, LONG + " " + TAIL], [TAIL, LONG]) == [
        ("t1", "h0", "same"),
        ("t0", "h1", "same"),
        ("t2", "h1", "shared"),
    ]


def test_a_turn_of_phrase_is_no_overlap():
    phrase = "where m and n are relatively prime positive integers and find the sum of m and n"
    train = [f"Problem {i} about {i * 7}: {phrase}" for i in range(60)]
    held_out = [f"Another one: {phrase}"]
    assert pairs(train, held_out) == []
    assert len(pairs(train[:10], held_out)) == 10, "rare, it is one"


@pytest.mark.parametrize(
    ("train", "held_out"), [([], []), ([], ["q"]), (["q"], []), (["$"], ["$"])]
)
def test_nothing_to_compare(train, held_out):
    assert pairs(train, held_out) == []


def _longest(a, b):
    """Longest common run of two lists, by the textbook's table; first in ``b`` among equals."""
    best, row = 0, [0] * (len(b) + 1)
    for x in a:
        row = [0] + [row[j] + 1 if x == y else 0 for j, y in enumerate(b)]
        best = max(best, *row)
    return best


@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=5),
    st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=4),
    st.integers(1, 4),
)
def test_the_same_pairs_as_comparing_each_with_each(train, held_out, run):
    found = find_overlaps(
        questions(*(" ".join(t) for t in train), name="t"),
        questions(*(" ".join(h) for h in held_out), name="h"),
        run=run,
        share=0,
    )
    expected = {}
    for i, t in enumerate(train):
        for j, h in enumerate(held_out):
            if t and t == h:
                expected[f"t{i}", f"h{j}"] = ("same", len(h))
            elif (length := _longest(t, h)) >= run:
                expected[f"t{i}", f"h{j}"] = ("shared", length)
    assert {(o.train_id, o.held_out_id): (o.kind, o.words) for o in found} == expected
    texts = {f"h{j}": " ".join(h) for j, h in enumerate(held_out)}
    assert all(o.text in texts[o.held_out_id] for o in found)


def test_ten_thousand_against_five_hundred_is_no_search_of_each_in_each():
    """CPU time, so that a busy machine is no defect; five million comparisons would take longer."""
    rng = random.Random(0)
    words = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(600)]
    texts = [" ".join(rng.choices(words, k=40)) for _ in range(10_500)]
    planted = [" ".join(t.split()[:30]) + " and so on" for t in texts[:5]]
    train = questions(*texts[:10_000], name="t")
    held_out = questions(*texts[10_000:], *planted, name="h")
    started = time.process_time()
    found = find_overlaps(train, held_out)
    assert time.process_time() - started < 10
    assert [o.train_id for o in found] == ["t0", "t1", "t2", "t3", "t4"]
