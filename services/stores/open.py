"""Which job store is meant, and opening it. What else a control plane remembers is kept on the same
server, or in the home folder (:mod:`services.control.stores`).

::

    sqlite:///jobs.db            a file; a relative path is below the home folder
    sqlite:////srv/jobs.db       a file, with its whole path
    redis://HOST:6379/0          a Redis server (services/stores/redis_address.py has the rest)
    rediss://HOST:6380/0         the same over TLS

The first of these that says something counts: the argument, ``LACONIC_STORE``, the file that the
control plane left in the home folder (:func:`leave_address`), and the SQLite file there.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from services.home import Home
from services.stores.protocol import JobStore, StoreError
from services.stores.redis_address import BadStoreUrl, RedisAddress
from services.stores.sqlite import SqliteJobStore

VARIABLE: Final = "LACONIC_STORE"
DEFAULT_PATIENCE: Final = 10.0
"""How long an operation is repeated, in seconds, while a server cannot be reached."""

log = logging.getLogger("laconic.store")


class NoStore(StoreError):
    """There is nothing to read: no job was ever kept there."""


def open_store(
    url: str | None,
    home: Home,
    *,
    create: bool = True,
    patience: float = DEFAULT_PATIENCE,
) -> JobStore:
    """Open the job store.

    Args:
        url: of the store; None looks for it as the module says.
        home: the home folder.
        create: whether a file that is not there is made.
        patience: for stores on a server, how long each operation is repeated, in seconds, while it
            cannot be reached.

    Raises:
        BadStoreUrl: the URL cannot be read, or others may read the file that holds it.
        NoStore: there is no file, and none is to be made.
        UnknownLayout: a newer version of Laconic wrote it.
        StoreUnavailable: it cannot be opened or reached.
    """
    place = locate(url, home)
    if isinstance(place, RedisAddress):
        # Its client takes long to import, which those who keep a file need not wait for.
        from services.stores.redis import RedisJobStore

        return RedisJobStore(place, patience=patience)
    if not create and not place.exists():
        raise NoStore(f"there is no job store at {place}; is LACONIC_HOME right?")
    return SqliteJobStore(place)


def locate(url: str | None, home: Home) -> RedisAddress | Path:
    """The server or file that is meant; nothing is contacted.

    Raises:
        BadStoreUrl: as :func:`open_store`.
    """
    written = url or os.environ.get(VARIABLE) or _left(home)
    if not written:
        return home.database
    scheme, separator, _ = written.partition("://")
    if separator and scheme in ("redis", "rediss"):
        return RedisAddress.parse(written)
    if separator and scheme == "sqlite":
        return _file(written, home)
    raise BadStoreUrl(
        f"a store's URL begins with sqlite:///, redis:// or rediss://, not {scheme[:20]!r}"
    )


def leave_address(url: str | None, home: Home) -> None:
    """Leave word in the home folder which store is used, for drivers and commands on this machine
    that do not have the environment of the control plane. The file may hold a password: only its
    owner can read it. Where the store is the file in the home folder there is nothing to say."""
    place = locate(url, home)
    if place == home.database:
        home.store.unlink(missing_ok=True)
        return
    text = place.secret if isinstance(place, RedisAddress) else f"sqlite:///{place}"
    # A name of its own: several control planes may start at once. Only its owner may read it.
    descriptor, beside = tempfile.mkstemp(prefix=f"{home.store.name}.", dir=home.root)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        os.replace(beside, home.store)
    except BaseException:
        os.unlink(beside)
        raise


def _left(home: Home) -> str | None:
    try:
        mode = home.store.stat().st_mode
        text = home.store.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadStoreUrl(f"{home.store} cannot be read: {error}") from error
    if mode & 0o077:
        raise BadStoreUrl(
            f"others may read {home.store}, which may hold a password: chmod 600 it, or remove it "
            "and start the control plane again"
        )
    return text


def _file(url: str, home: Home) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or parts.fragment or not path:
        raise BadStoreUrl(
            "a store in a file is written sqlite:///NAME, below the home folder, or "
            "sqlite:////WHOLE/PATH"
        )
    return home.root / path
