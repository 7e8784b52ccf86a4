"""Comparison with sympy, through math-verify. Runs only inside a verification worker process.

For what the grammar of :mod:`services.verification.expression` does not read: sums, integrals,
limits, sets with operations, equations that must be solved.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

from services.verification.spelling import canonical

_INDEX_I = re.compile(r"\\(?:sum|prod)(?:\\limits)?_\{i(?:=|\\in(?![A-Za-z]))")
_LETTER_I = re.compile(r"(?<![A-Za-z\\])i(?![A-Za-z])")


def quiet() -> None:
    """Silence the warning that math-verify's own alarms are off: ours is the pool's SIGKILL."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)


@lru_cache(maxsize=256)
def parsed(text: str) -> Any | None:
    """Read a text as a sympy object; None if it cannot be read.

    Only the LaTeX grammar is used: math-verify's plain-expression reader evaluates its input, and
    its own normalisation takes letters at the end for units.
    """
    from latex2sympy2_extended import latex2sympy
    from math_verify.grader import should_treat_as_complex

    text = _renamed_index(canonical(text))
    try:
        return latex2sympy(
            text,
            is_real=not should_treat_as_complex(text),
            convert_degrees=False,
            normalization_config=None,
        )
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return None


def _renamed_index(text: str) -> str:
    r"""Give an index ``i`` of a sum a name of its own: elsewhere that letter is imaginary."""
    return _LETTER_I.sub(lambda _: r"\iota ", text) if _INDEX_I.search(text) else text


def equal(gold: Any, answer: Any) -> bool:
    """Compare two objects that were read.

    Never returns in bounded time or memory by itself: the caller's limits do that.

    Raises:
        MemoryError: the comparison ran into the memory limit.
        Exception: whatever math-verify raises on a comparison that it cannot make.
    """
    from math_verify import verify

    return bool(
        verify(
            gold,
            answer,
            strict=True,
            allow_set_relation_comp=True,
            timeout_seconds=None,
            raise_on_error=True,
        )
    )
