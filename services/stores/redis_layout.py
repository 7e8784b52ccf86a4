"""Beginning a Redis job store, and what is looked at when one is opened."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import redis
from redis.exceptions import NoPermissionError

from services.stores.layout import UnknownLayout
from services.stores.protocol import StoreUnavailable
from services.stores.redis_calls import RedisCalls

log = logging.getLogger("laconic.store")

VERSION: Final = 1
"""Layout of the keys, kept in the key ``layout``."""

_OLDEST: Final = (7, 0)


def prepare(calls: RedisCalls) -> None:
    """Begin the store, or check that it is one this version can read, on a server that will do.

    Raises:
        UnknownLayout: a newer version wrote it.
        StoreUnavailable: the server cannot be reached, refuses, or is too old.
    """
    begin(calls)
    _look_at_server(calls)


def begin(calls: RedisCalls) -> None:
    """Begin the store, or check that it is one this version can read.

    Raises:
        UnknownLayout: a newer version wrote it.
        StoreUnavailable: the server cannot be reached, or refuses.
    """
    key = f"{calls.prefix}layout"
    calls.ask(lambda client: client.set(key, VERSION, nx=True))
    found = int(calls.ask(lambda client: client.get(key)) or VERSION)
    if found > VERSION:
        raise UnknownLayout(
            f"the store {calls.address.shown} has layout {found}, this Laconic knows up to "
            f"{VERSION}; upgrade Laconic or choose another prefix"
        )


def _look_at_server(calls: RedisCalls) -> None:
    """Refuse a server that is too old and warn of one that forgets, where it may be asked."""

    def ask(client: redis.Redis) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = client.execute_command("INFO")
        except NoPermissionError:
            return None
        return found

    info = calls.ask(ask)
    if info is None:
        return
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise StoreUnavailable(
            f"the job store {calls.address.shown} is Redis {version}; 7.0 or later is needed"
        )
    for warning in warnings(info):
        log.warning("%s %s", calls.address.shown, warning)


def warnings(info: Mapping[str, Any]) -> list[str]:
    """What a server's ``INFO`` says against keeping jobs in it."""
    found = []
    if not int(info.get("aof_enabled", 0)):
        found.append(
            "keeps no append-only file: jobs are lost when it ends without saving; set appendonly "
            "yes (docs/stores.md)"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if int(info.get("maxmemory", 0)) and policy != "noeviction":
        found.append(
            f"evicts keys when its memory is full ({policy}): jobs would vanish; set "
            "maxmemory-policy noeviction"
        )
    return found
