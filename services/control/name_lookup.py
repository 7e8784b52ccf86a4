"""Addresses of a name, looked up within a time: the system's own lookup takes as long as the
name's servers like."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from typing import Final

LOOKUP_SECONDS: Final = 5.0
_AT_ONCE: Final = 64
"""Lookups under way. One that nobody waits for any more still counts until the system gives up."""
_places = threading.BoundedSemaphore(_AT_ONCE)


def lookup(host: str, port: int, within: float = LOOKUP_SECONDS) -> list[str]:
    """Every address of a name, as the system finds them.

    Args:
        host: a name, or an address in any spelling.
        port: to connect to.
        within: seconds to wait.

    Raises:
        OSError: it has none, or none was found in time.
    """
    if not _places.acquire(blocking=False):
        raise OSError("too many lookups of names that do not answer are under way")
    found: Future[list[str]] = Future()
    # A thread that the end of the process need not wait for.
    threading.Thread(target=_ask, args=(host, port, found), name="lookup", daemon=True).start()
    try:
        return found.result(within)
    except TimeoutError:
        raise OSError(f"no address within {within:g} s") from None


def _ask(host: str, port: int, found: Future[list[str]]) -> None:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in entries)))
    except BaseException as error:
        found.set_exception(error)
    finally:
        _places.release()
