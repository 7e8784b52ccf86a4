"""The secret of a control plane: keys are hashed and cursors signed with it."""

from __future__ import annotations

import os
import secrets
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
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
            stream.flush()
            os.fsync(stream.fileno())
    if file.stat().st_mode & 0o077:
        raise SecretError(f"{file} can be read by others; chmod 600 {file}")
    text = file.read_text().strip()
    if len(text) < _LEAST:
        raise SecretError(f"{file} holds no secret; remove it, which makes all keys invalid")
    return text.encode()
