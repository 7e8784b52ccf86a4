"""Ids: a prefix that says what of, and ten characters nobody can guess."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_lowercase + string.digits


def new_suffix() -> str:
    """Ten characters; 51 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))
