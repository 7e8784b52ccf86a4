"""Where a webhook may point, in all the ways an address can be written."""

from __future__ import annotations

import pytest

from services.control.name_lookup import lookup
from services.control.webhook_target import BadTarget, check, networks

PUBLIC = ["93.184.216.34"]
INWARD = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "0.1.2.3",
    "100.127.255.254",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "203.0.113.9",
    "fec0::1",
    "feff::1",
    "fdff::1",
    "::7f00:1",
    "::ffff:0:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:100.64.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:6440:1::1",
    "2002:c0a8:101::",
    "2001:0:5db8:d822:0:0:3f57:fe01",
    "2606:2800:220:1:0:5efe:10.0.0.1",
    "3fff::1",
    "5f00::1",
    "4000::1",
]
REACHABLE = [
    "93.184.216.34",
    "2606:2800:220:1::1",
    "2a00:1450:4001::1",
    "::ffff:93.184.216.34",
    "64:ff9b::5db8:d822",
    "2002:5db8:d822::1",
]


@pytest.mark.parametrize("address", REACHABLE)
def test_public_addresses_are_fine_in_whatever_form(address):
    check("https://example.com/hook", resolver=lambda *_: [address])


@pytest.mark.parametrize("address", INWARD)
def test_addresses_that_are_not_public_are_refused_behind_any_name(address):
    with pytest.raises(BadTarget, match="not public"):
        check("https://example.com/hook", resolver=lambda *_: [address])
    # One bad address among good ones is enough: it might be the one that is taken.
    with pytest.raises(BadTarget):
        check("https://example.com/hook", resolver=lambda *_: [*PUBLIC, address])


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_every_spelling_of_this_machine_is_seen_through(host):
    with pytest.raises(BadTarget, match=r"not public|cannot be resolved"):
        check(f"https://{host}/hook", resolver=lookup)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "https://",
        "https:///hook",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\r\nHost: x",
        "https://[::1/",
        "https://example.com/" + "a" * 2048,
        "",
    ],
)
def test_what_is_no_plain_https_url_is_refused(url):
    with pytest.raises(BadTarget):
        check(url, resolver=lambda *_: PUBLIC)


def test_a_public_target_is_pinned_to_the_address_that_was_checked():
    target = check("https://example.com:8443/a/b?c=d", resolver=lambda *_: PUBLIC)
    assert target.url == "https://93.184.216.34:8443/a/b?c=d"
    assert (target.host, target.authority) == ("example.com", "example.com:8443")
    six = check("https://example.com", resolver=lambda *_: ["2606:2800:220:1::1"])
    assert six.url == "https://[2606:2800:220:1::1]:443/"
    assert six.authority == "example.com"


def test_named_networks_are_allowed_and_plain_http_only_there():
    inside = networks("10.1.0.0/16, 127.0.0.0/8")
    assert check("http://hooks.internal/", inside, lambda *_: ["10.1.2.3"]).scheme == "http"
    with pytest.raises(BadTarget, match="not public"):
        check("http://hooks.internal/", inside, lambda *_: ["10.2.0.1"])
    with pytest.raises(BadTarget, match="https"):
        check("http://example.com/", inside, lambda *_: PUBLIC)


def test_a_name_without_an_address():
    def nothing(*_):
        raise OSError("not known")

    with pytest.raises(BadTarget, match="cannot be resolved"):
        check("https://nowhere.invalid/", resolver=nothing)
