"""Ids: a prefix that says what of, and ten characters nobody can guess."""

from __future__ import annotations

import secrets
import string
from typing import Final

from services.spec.kind import JobKind

_ALPHABET: Final = string.ascii_lowercase + string.digits
_PREFIXES: Final[dict[JobKind, str]] = {"training": "job", "evaluation": "eval"}


def new_suffix() -> str:
    """Ten characters; 51 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


def new_job_id(kind: JobKind) -> str:
    """The id of a new job."""
    return f"{_PREFIXES[kind]}-{new_suffix()}"
