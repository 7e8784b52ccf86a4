"""Where a Redis job store is and how to get in, read from its URL and the environment.

::

    redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?prefix=laconic:&timeout=5]
    rediss://...    the same over TLS, with ?ca=FILE&cert=FILE&key=FILE

What a URL does not say, the environment may: ``LACONIC_STORE_PASSWORD``, or the name of a file with
it in ``LACONIC_STORE_PASSWORD_FILE``; ``LACONIC_STORE_CA``, ``LACONIC_STORE_CERT`` and
``LACONIC_STORE_KEY``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

DEFAULT_PREFIX: Final = "laconic:"
DEFAULT_PORT: Final = 6379
DEFAULT_TIMEOUT: Final = 5.0
_FILES: Final = ("ca", "cert", "key")
_OPTIONS: Final = ("prefix", "timeout", *_FILES)
_PREFIX: Final = re.compile(r"[A-Za-z0-9:._-]+", re.ASCII)


class BadStoreUrl(ValueError):
    """The URL of a store cannot be read; the message says which part and what to write."""


@dataclass(frozen=True)
class RedisAddress:
    """A Redis server and the way in. Its representation never shows the password."""

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = None
    """File with the certificates of the authorities to trust; None trusts those of the system."""
    cert: str | None = None
    """File with the client's certificate, for servers that ask for one."""
    key: str | None = None
    prefix: str = DEFAULT_PREFIX
    """What all keys begin with."""
    timeout: float = DEFAULT_TIMEOUT
    """Longest wait for one answer, and for a connection, in seconds."""

    @classmethod
    def parse(cls, url: str, environment: Mapping[str, str] | None = None) -> RedisAddress:
        """Read a URL; what it does not say is taken from the environment.

        Raises:
            BadStoreUrl: a part cannot be read, or a file that is named is not there.
        """
        given = os.environ if environment is None else environment
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadStoreUrl(f"the port of the store's URL: {error}") from error
        if not parts.hostname:
            raise BadStoreUrl("the store's URL names no host; write redis://HOST:PORT/0")
        tls = parts.scheme == "rediss"
        options = _options(parts.query)
        files = {
            name: options.get(name) or given.get(f"LACONIC_STORE_{name.upper()}") or None
            for name in _FILES
        }
        _check_files(files, tls)
        return cls(
            host=parts.hostname,
            port=port or DEFAULT_PORT,
            database=_database(parts.path),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else _password(given),
            tls=tls,
            prefix=_prefix(options.get("prefix", DEFAULT_PREFIX)),
            timeout=_timeout(options.get("timeout")),
            **files,
        )

    @property
    def shown(self) -> str:
        """The URL without password and options, for people and logs."""
        user = f"{quote(self.username, safe='')}@" if self.username else ""
        return self._written(user)

    @property
    def secret(self) -> str:
        """The URL with everything, whatever it was read from: :meth:`parse` gets the same address
        of it in an empty environment. It holds the password."""
        user = quote(self.username or "", safe="")
        if self.password:
            user += ":" + quote(self.password, safe="")
        options = {
            "prefix": self.prefix,
            "timeout": f"{self.timeout:g}",
            **{name: value for name in _FILES if (value := getattr(self, name))},
        }
        return self._written(f"{user}@" if user else "") + "?" + urlencode(options)

    def _written(self, user: str) -> str:
        scheme = "rediss" if self.tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{user}{host}:{self.port}/{self.database}"


def _options(query: str) -> dict[str, str]:
    found = parse_qsl(query, keep_blank_values=True)
    options = dict(found)
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise BadStoreUrl(
            f"the store's URL has the unknown option {unknown[0]!r}; there are "
            f"{', '.join(_OPTIONS)}"
        )
    if len(options) < len(found):
        raise BadStoreUrl("the store's URL gives an option twice; leave one of them out")
    return options


def _check_files(files: Mapping[str, str | None], tls: bool) -> None:
    for name, file in files.items():
        if file is None:
            continue
        if not tls:
            raise BadStoreUrl(f"{name} is for TLS: write rediss:// in the store's URL, or drop it")
        if not Path(file).is_absolute():
            raise BadStoreUrl(
                f"{name} of the store is {file!r}; write its whole path, for drivers run in other "
                "folders"
            )
        if not Path(file).is_file():
            raise BadStoreUrl(f"the file that {name} of the store names is not there: {file}")
    if files["key"] and not files["cert"]:
        raise BadStoreUrl("key of the store goes with cert; give both")


def _database(path: str) -> int:
    text = path.strip("/") or "0"
    if not (text.isascii() and text.isdigit()):
        raise BadStoreUrl(f"the database in the store's URL must be a number, not {text!r}")
    return int(text)


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise BadStoreUrl(
            f"prefix of the store's URL is {text!r}; use letters, digits and : . _ - only"
        )
    return text


def _timeout(text: str | None) -> float:
    if text is None:
        return DEFAULT_TIMEOUT
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 600:
        raise BadStoreUrl(
            f"timeout of the store's URL must be seconds, more than 0 and at most 600, not {text!r}"
        )
    return value


def _password(environment: Mapping[str, str]) -> str | None:
    if password := environment.get("LACONIC_STORE_PASSWORD"):
        return password
    file = environment.get("LACONIC_STORE_PASSWORD_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadStoreUrl(f"LACONIC_STORE_PASSWORD_FILE cannot be read: {error}") from error
