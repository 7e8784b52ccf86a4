"""What token ids say, and which of them are connectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from tokenizers import Tokenizer

from algorithms.token_table import is_connector_token
from services.builtin import resolve_path
from services.tiny_reasoner.traces import CONNECTORS

MARKED: Final = (*CONNECTORS, "Then", "Similarly")
"""Marked in token figures: the words a report counts, and those the paper names beside them."""


class Vocabulary:
    """Texts of token ids."""

    def __init__(self, text: Callable[[int], str]) -> None:
        """``text`` decodes one token."""
        self.text = cache(text)

    def is_connector(self, token_id: int) -> bool:
        """Whether the token by itself is a connector; one spelled in pieces is not seen."""
        return is_connector_token(self.text(token_id), MARKED)


def vocabulary_of(model_path: str) -> Vocabulary:
    """Return the vocabulary of a model folder, with ``#id`` for texts when it is not there."""
    file = resolve_path(model_path) / "tokenizer.json"
    if not file.exists():
        return Vocabulary(lambda token_id: f"#{token_id}")
    tokenizer = Tokenizer.from_file(str(file))
    return Vocabulary(lambda token_id: str(tokenizer.decode([token_id], skip_special_tokens=False)))
