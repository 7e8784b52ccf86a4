"""Cursors: good for their listing, refused for any change."""

from __future__ import annotations

import pytest

from services.control.cursor import BadCursor, seal, unseal

SECRET = b"s" * 32
LISTING = {"tenant": "a", "states": ["queued"]}


def test_a_cursor_brings_its_position_back():
    cursor = seal(SECRET, "job-0123456789", LISTING)
    assert unseal(SECRET, cursor, dict(reversed(LISTING.items()))) == "job-0123456789"


def test_every_single_change_is_noticed():
    cursor = seal(SECRET, "job-0123456789", LISTING)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(len(cursor)):
        # Another character of the same group of bits may mean the same bytes at the very end.
        flipped = alphabet[(alphabet.index(cursor[place]) + 32) % 64]
        with pytest.raises(BadCursor):
            unseal(SECRET, cursor[:place] + flipped + cursor[place + 1 :], LISTING)


@pytest.mark.parametrize("cursor", ["", "x", "é", "====", "job-0123456789", "A" * 500, "a b", "\n"])
def test_what_is_no_cursor_is_refused(cursor):
    with pytest.raises(BadCursor):
        unseal(SECRET, cursor, LISTING)


def test_a_cursor_of_another_listing_or_server_is_refused():
    cursor = seal(SECRET, "job-0123456789", LISTING)
    with pytest.raises(BadCursor):
        unseal(SECRET, cursor, {**LISTING, "tenant": "b"})
    with pytest.raises(BadCursor):
        unseal(b"t" * 32, cursor, LISTING)
