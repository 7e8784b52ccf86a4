"""Length as Thinkless counts it, and after it the paper: the tokens of the whole conversation.

Their scripts take the length of a chat of two messages, the question and the response, with the
chat template applied. So the count has the prompt (with the suffix that was asked), everything the
template puts around both messages, and the response. Chat templates of reasoning models delete
what stands before ``</think>`` in an assistant's message; theirs was changed to keep it, and here
the response is put in behind the template's back: the template is applied to a message that holds
one private-use character, which is then replaced by the response.

What a template adds to open a response when it asks for one (``<think>`` and a line break, say) is
no part of the response and is not counted, unless the template writes it in finished messages too.
The response is counted as its text tokenised again, without special tokens; the end token is the
template's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_PLACE: Final = "\ue000"


class TemplateError(ValueError):
    """A chat template that shows an assistant's message in no place, or in several."""


def thinkless_tokens(tokenizer: Any, conversations: Sequence[tuple[str, str]]) -> list[int]:
    """Return the tokens of each conversation.

    Args:
        tokenizer: of ``transformers``, with a chat template.
        conversations: the user's message, suffix included, and the response.

    Raises:
        TemplateError: the template does not show the assistant's message exactly once.
    """
    frames = {prompt: _frame(tokenizer, prompt) for prompt in {p for p, _ in conversations}}
    counts = []
    for prompt, response in conversations:
        before, after = frames[prompt]
        ids = tokenizer(before + response + after, add_special_tokens=False)["input_ids"]
        counts.append(len(ids))
    return counts


def _frame(tokenizer: Any, prompt: str) -> tuple[str, str]:
    """Return what the template writes before and after the response."""
    shown = str(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": _PLACE}],
            tokenize=False,
        )
    )
    parts = shown.rsplit(_PLACE, 1)
    # The character may stand in the question, but not in the template.
    if len(parts) != 2 or parts[0].count(_PLACE) > prompt.count(_PLACE):
        raise TemplateError(
            "the chat template does not show an assistant's message exactly once, so conversations "
            "cannot be counted; mend tokenizer.chat_template"
        )
    return parts[0], parts[1]
