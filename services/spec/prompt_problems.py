"""Objections to questions that the model has no room to answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from services.datasets import Question
from services.prompt_lengths import long_prompts
from services.spec.problems import Problem


def prompt_problems(
    where: str, model: Path, questions: Sequence[Question], suffix: str, context: int
) -> Iterator[Problem]:
    """Prompts that fill the context, or a tokenizer that cannot count them.

    Args:
        where: JSON pointer of the data set.
        model: folder.
        questions: of the data set.
        suffix: appended to each.
        context: in tokens.
    """
    try:
        long = long_prompts(model, questions, suffix, context)
    except Exception as error:  # a damaged tokenizer fails in any way there is
        yield Problem(
            "/model/path",
            f"the tokenizer cannot be used ({type(error).__name__}: {error}); save it again "
            "with tokenizer.save_pretrained",
        )
        return
    if long:
        worst = max(long, key=lambda p: p.tokens)
        yield Problem(
            where,
            f"{len(long)} of {len(questions)} prompts fill the context of {context} tokens "
            f"(the longest is {worst.question_id!r} with {worst.tokens}); remove these "
            "questions or raise generator.max_model_len",
        )
