"""The first API keys of a control plane that nobody types commands to: their tokens are in files
that the environment names, as Secrets are mounted."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.control.api_keys import BadToken, key_of
from services.control.key_import import import_key
from services.control.principal import Scope
from services.control.secret import server_secret
from services.control.stores import open_control
from services.home import Home
from services.stores.protocol import DEFAULT_TENANT

FILES: Final[Mapping[str, tuple[str, Scope]]] = {
    "LACONIC_ADMIN_KEY_FILE": ("admin", "admin"),
    "LACONIC_METRICS_KEY_FILE": ("metrics", "metrics:read"),
}
"""Name and scope of the key by the variable that names the file of its token."""
_LONGEST_FILE: Final = 4096

log = logging.getLogger("laconic.keys")


class BadTokenFile(ValueError):
    """A token cannot be taken from its file; the message names the file and does not show it."""


def read_token(file: Path) -> str:
    """What a file holds, without the line's end.

    Raises:
        BadTokenFile: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(_LONGEST_FILE).decode("ascii", "replace").strip()
    except OSError as error:
        raise BadTokenFile(f"{file} cannot be read: {error.strerror}") from None


def import_first_keys(home: Home) -> None:
    """Make the keys of :data:`FILES` that are not there yet. Nothing else is changed: a key that
    was revoked or rotated stays so.

    Raises:
        BadTokenFile: a file cannot be read, or holds no token, or another one of a key that is
            there; the message names the variable.
    """
    given = {name: os.environ[name] for name in FILES if os.environ.get(name)}
    if not given:
        return
    keys, secret = open_control(home).keys, server_secret(home.secret)
    for variable, file in given.items():
        name, scope = FILES[variable]
        try:
            token = read_token(Path(file))
            key = key_of(
                secret, token, name=name, scopes=[scope], now=time.time(), tenant=DEFAULT_TENANT
            )
            outcome = import_key(keys, key)
        except (BadToken, BadTokenFile) as error:
            raise BadTokenFile(f"{variable}: {error}") from None
        log.info("the key %s of %s: %s", key.id, variable, outcome)
