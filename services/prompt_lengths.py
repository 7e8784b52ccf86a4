"""Prompts that leave a response no room, found before a run does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.datasets import Question

_TEMPLATE_BYTES = 256
"""What a chat template adds to a short question, generously. Behind a template that adds more, a
prompt that is too long is found by the engine, when the run comes to it."""


@dataclass(frozen=True)
class LongPrompt:
    """A question whose prompt fills the context."""

    question_id: str
    tokens: int


def long_prompts(
    model: Path, questions: Iterable[Question], suffix: str, context: int
) -> list[LongPrompt]:
    """Return the questions whose prompt has ``context`` tokens or more.

    A token stands for a byte or more, so a short text needs no tokenizer: most data sets are
    through in milliseconds, without one being loaded.

    Raises:
        Exception: whatever the tokenizer in ``model`` fails with.
    """
    tokenizer: Any = None
    found = []
    for question in questions:
        text = question.question + suffix
        if len(text.encode()) + _TEMPLATE_BYTES < context:
            continue
        if tokenizer is None:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        tokens = len(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                tokenize=True,
                add_generation_prompt=True,
                return_dict=False,
            )
        )
        if tokens >= context:
            found.append(LongPrompt(question.id, tokens))
    return found
