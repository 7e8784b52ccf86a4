"""What two copies of a benchmark have in common when they hold the same questions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from services.question import Question


def in_order(questions: Iterable[Question]) -> list[Question]:
    """Return the questions in the order of their digests, the same from every source.

    The head of that order is a fixed sample of the benchmark: no chapter of the source comes first.
    """
    return sorted(questions, key=_digest)


def content_hash(questions: Iterable[Question]) -> str:
    """Return the sha256 of what is asked and accepted, whatever the ids, the order and the file.

    It is taken over the sorted digests of the questions, one a line. A question's digest is the
    sha256 of the JSON list of its text, its accepted answers in order and its tolerance (null or
    ``[absolute, relative]``), without spaces and in ASCII; the text without white space at its
    ends and with ``\\n`` for every end of a line, the answers as they are graded.
    """
    lines = "\n".join(sorted(_digest(q) for q in questions))
    return hashlib.sha256(lines.encode()).hexdigest()


def _digest(question: Question) -> str:
    tolerance = question.tolerance
    parts = [
        _plain(question.question),
        [_plain(g) for g in question.gold],
        None if tolerance is None else [float(tolerance.absolute), float(tolerance.relative)],
    ]
    text = json.dumps(parts, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
