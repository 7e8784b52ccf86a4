"""Looking up a name takes no longer than it may."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from services.control import name_lookup
from services.control.name_lookup import lookup

pytestmark = pytest.mark.unit


def test_an_address_is_its_own():
    assert lookup("127.0.0.1", 80) == ["127.0.0.1"]


def test_a_name_that_cannot_be(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(name_lookup.socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="not known"):
        lookup("nowhere.invalid", 80)


def test_a_name_whose_servers_are_silent_is_given_up_and_so_many_at_most(monkeypatch):
    answered = threading.Event()

    def silent(*_, **__):
        assert answered.wait(20)
        return [(0, 0, 0, "", ("192.0.2.1", 80))]

    monkeypatch.setattr(name_lookup.socket, "getaddrinfo", silent)
    monkeypatch.setattr(name_lookup, "_places", threading.BoundedSemaphore(2))
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(OSError, match="no address within"):
            lookup("slow.example", 443, within=0.1)
    with pytest.raises(OSError, match="too many lookups"):
        lookup("slow.example", 443, within=0.1)
    assert time.monotonic() - began < 5
    answered.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert lookup("slow.example", 443) == ["192.0.2.1"]
            break
        except OSError:
            time.sleep(0.02)
    else:
        pytest.fail("the places were not given back")
