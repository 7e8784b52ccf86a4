"""The secret of a control plane: keys are hashed and cursors signed with it."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

VARIABLE: Final = "LACONIC_SECRET"
"""Instead of the file; control planes that share a store share it. At least 32 characters."""
_LEAST: Final = 32


class SecretError(RuntimeError):
    """The secret cannot be used; the message says what to do."""


def server_secret(file: Path) -> bytes:
    """Return the secret from the environment, else from ``file``, which is made if it is not there
    and which only its owner may read.

    Raises:
        SecretError: it is too short, or others may read the file.
    """
    if (given := os.environ.get(VARIABLE)) is not None:
        if len(given) < _LEAST:
            raise SecretError(f"{VARIABLE} must have at least {_LEAST} characters")
        return given.encode()
    if not file.exists():
        _make(file)
    if file.stat().st_mode & 0o077:
        raise SecretError(f"{file} can be read by others; chmod 600 {file}")
    text = file.read_text().strip()
    if len(text) < _LEAST:
        raise SecretError(f"{file} holds no secret; remove it, which makes all keys invalid")
    return text.encode()


def _make(file: Path) -> None:
    """Make a secret that is whole or not there, though this process is killed or another one makes
    one at the same time: the first counts."""
    descriptor, beside = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, file)
    finally:
        os.unlink(beside)
