"""Where a webhook may point: at the public internet, and at networks the operator has named.

A name is resolved here and the request goes to the address found, never to the name again, so a
name that changes its mind in between leads nowhere else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from services.control.name_lookup import lookup

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

_LONGEST: Final = 2048
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")
"""NAT64: the last four bytes are the IPv4 address that is really reached."""
_ALLOCATED: Final = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given to the public internet; site-local addresses and the like lie outside,
whatever the tables of the Python that runs this say."""
_SPECIAL: Final = tuple(
    ipaddress.ip_network(n)
    for n in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")
)
"""Protocol assignments, relays of 6to4 and documentation, which nobody may be reached at."""
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""The third quarter of an IPv6 address whose last one is an IPv4 address to tunnel to."""


class BadTarget(ValueError):
    """A webhook may not point there; the message says why."""


@dataclass(frozen=True)
class Target:
    """An address that passed, and what to call it."""

    scheme: str
    host: str
    """The name, for the Host header and the certificate."""
    address: str
    """The IP address to connect to."""
    port: int
    path: str
    """Path and query."""

    @property
    def url(self) -> str:
        """The URL to send to: the address stands in the place of the name."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{shown}:{self.port}{self.path}"

    @property
    def authority(self) -> str:
        """For the Host header."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return shown if self.port == usual else f"{shown}:{self.port}"


def check(url: str, allowed: Sequence[Network] = (), resolver: Resolver = lookup) -> Target:
    """Return where a message for ``url`` is to be sent.

    Args:
        url: of the webhook.
        allowed: networks that are fine although they are not public; plain http goes there only.
        resolver: finds the addresses of a name.

    Raises:
        BadTarget: the URL is none, or one of its addresses is private and not allowed.
    """
    parts, port = _parse(url)
    host = str(parts.hostname)
    try:
        found = resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise BadTarget(f"the host {host!r} cannot be resolved; check its spelling") from error
    addresses = [ipaddress.ip_address(a.partition("%")[0]) for a in found]
    if not addresses:
        raise BadTarget(f"the host {host!r} has no address")
    for address in addresses:
        named = any(_real(address) in network for network in allowed)
        if not named and not is_public(address):
            raise BadTarget(
                f"the host {host!r} has the address {address}, which is not public; name its "
                "network in LACONIC_WEBHOOK_NETWORKS if that is meant"
            )
        if parts.scheme == "http" and not named:
            raise BadTarget("the scheme is http; use https outside LACONIC_WEBHOOK_NETWORKS")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, str(addresses[0]), port, path)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also behind the forms that wrap one."""
    real = _real(address)
    if real != address:
        return is_public(real)
    if address.version == 6 and address not in _ALLOCATED:
        return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def networks(text: str) -> tuple[Network, ...]:
    """``127.0.0.0/8,10.1.0.0/16`` as networks.

    Raises:
        ValueError: an entry is no network; the message names it.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _parse(url: str) -> tuple[SplitResult, int]:
    if len(url) > _LONGEST:
        raise BadTarget(f"the URL is longer than {_LONGEST} characters")
    if any(ord(c) <= 0x20 or ord(c) >= 0x7F or c == "\\" for c in url):
        raise BadTarget("the URL has characters that have to be encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"this is not a URL ({error})") from error
    if parts.scheme not in ("https", "http"):
        raise BadTarget(f"the scheme is {parts.scheme or 'missing'}; use https")
    if not parts.hostname:
        raise BadTarget("the URL has no host")
    if parts.username is not None or parts.password is not None:
        raise BadTarget("the URL carries a user or a password; messages are signed instead")
    if parts.fragment:
        raise BadTarget("the URL has a fragment, which is never sent; remove it")
    if port == 0:
        raise BadTarget("port 0 is none")
    return parts, port or (443 if parts.scheme == "https" else 80)


def _real(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only wraps it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _TRANSLATED or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
