"""The high-entropy token set, token by token."""

from __future__ import annotations

import numpy as np

from algorithms.token_table import high_entropy_tokens, is_connector_token


def table(ids, entropy, in_prompt=None, **settings):
    ids = np.array(ids, np.int32)
    prompt = np.zeros(len(ids), bool) if in_prompt is None else np.array(in_prompt, bool)
    return high_entropy_tokens(ids, np.array(entropy, np.float32), prompt, **settings)


def test_ranked_by_mean_entropy_over_the_top_fifth_only() -> None:
    # 20 tokens: the top four hold 7 twice (2.0, 3.0) and 5 twice (4.0, 0.9).
    ids = [7, 7, 5, 5, *[7] * 8, *[5] * 8]
    entropy = [2.0, 3.0, 4.0, 0.9, *[0.1] * 16]
    found = table(ids, entropy, min_count=2)
    assert [(e.token_id, e.count) for e in found] == [(7, 2), (5, 2)]
    assert found[0].mean_entropy == 2.5
    assert abs(found[1].mean_entropy - 2.45) < 1e-6


def test_rare_tokens_are_left_out() -> None:
    ids, entropy = [1] * 20 + [2] * 19 + [3] * 61, [1.0] * 20 + [2.0] * 19 + [0.0] * 61
    assert [e.token_id for e in table(ids, entropy, top_share=0.39)] == [1]


def test_the_share_of_the_batch_bounds_rarity_too() -> None:
    # 3 000 000 tokens ask for 30 occurrences; the least count alone would let 25 pass.
    ids = np.zeros(3_000_000, np.int32)
    ids[:25], ids[25:60] = 1, 2
    entropy = np.zeros(len(ids), np.float32)
    entropy[:60] = 1.0
    found = high_entropy_tokens(ids, entropy, np.zeros(len(ids), bool), top_share=2e-5)
    assert [e.token_id for e in found] == [2]


def test_words_of_its_own_prompt_are_dropped_occurrence_by_occurrence() -> None:
    found = table([4, 4, 4, 9], [1.0, 1.0, 5.0, 2.0], [0, 0, 1, 1], top_share=1.0, min_count=1)
    assert [(e.token_id, e.count, e.mean_entropy) for e in found] == [(4, 2, 1.0)]


def test_the_table_is_bounded_and_may_be_empty() -> None:
    found = table(range(10), range(10), top_share=1.0, min_count=1, limit=3)
    assert [e.token_id for e in found] == [9, 8, 7]
    assert table([], []) == []


def test_equal_entropies_do_not_widen_the_set() -> None:
    assert sum(e.count for e in table([1] * 100, [0.0] * 100, min_count=1)) == 20


def test_a_connector_is_a_whole_capitalised_token() -> None:
    assert is_connector_token(" Therefore", {"Therefore"})
    assert is_connector_token("Therefore\n", {"Therefore"})
    assert not is_connector_token("There", {"Therefore"})
    assert not is_connector_token(" therefore", {"Therefore"})
