"""How long the prompts of a data set are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.datasets import Question

SAMPLE: Final = 64
"""Questions looked at."""
_TEMPLATE_TOKENS: Final = 12
"""What a chat template adds."""


def mean_prompt_tokens(model: Path, questions: Sequence[Question], suffix: str) -> float | None:
    """Mean length of a prompt in tokens, over the head of a data set; None where the model has no
    ``tokenizer.json``, or one that cannot be read."""
    from tokenizers import Tokenizer

    file = model / "tokenizer.json"
    if not questions or not file.is_file():
        return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
        encoded = tokenizer.encode_batch([q.question + suffix for q in questions[:SAMPLE]])
    except Exception:  # tokenizers raises the base class for whatever is wrong
        return None
    return sum(len(e.ids) for e in encoded) / len(encoded) + _TEMPLATE_TOKENS
