"""What of a response is handed to the verifier."""

from __future__ import annotations

from typing import Any, Final

from services.verification.extract import THINK_CLOSE
from services.verification.policy import Policy

THINK_OPEN: Final = "<think>"


def answer_text(text: str, policy: Policy, *, opened: bool) -> str:
    """Return the response as it is to be graded.

    The verifier reads what stands after ``</think>``, so that an unfinished thought is no answer.
    A model that does not think has none of that: under ``eval`` a response is all answer where
    neither the prompt nor the response opens or closes a thought. Training grades strictly and
    Thinkless reads the whole text anyway.

    Args:
        text: the response.
        policy: it will be graded by.
        opened: the chat template opens the thought when it asks for a response.
    """
    if policy != "eval" or opened or THINK_OPEN in text or THINK_CLOSE in text:
        return text
    return f"{THINK_CLOSE}\n{text}"


def opens_thinking(tokenizer: Any) -> bool:
    """Return whether the chat template of a ``transformers`` tokenizer opens a thought when it asks
    for a response."""
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}], tokenize=False, add_generation_prompt=True
    )
    return str(shown).rstrip().endswith(THINK_OPEN)
