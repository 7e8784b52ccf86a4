"""The secret of the control plane: made once, by whoever starts first, and kept from others."""

from __future__ import annotations

import threading

import pytest

from services.control.secret import SecretError, server_secret
from services.home import Home
from services.stores.open import leave_address


def test_the_secret_is_made_once_and_kept_from_others(tmp_path, monkeypatch):
    monkeypatch.delenv("LACONIC_SECRET", raising=False)
    file = tmp_path / "secret"
    secret = server_secret(file)
    assert server_secret(file) == secret
    assert len(secret) >= 32
    file.chmod(0o640)
    with pytest.raises(SecretError, match="chmod 600"):
        server_secret(file)
    monkeypatch.setenv("LACONIC_SECRET", "short")
    with pytest.raises(SecretError, match="32"):
        server_secret(file)
    monkeypatch.setenv("LACONIC_SECRET", "x" * 32)
    assert server_secret(file) == b"x" * 32


def test_several_processes_that_start_at_once_agree_on_store_and_secret(tmp_path):
    """None is in the way of another, and nothing of it is left."""
    home, begin = Home(tmp_path / "home").create(), threading.Barrier(8)
    found, errors = [], []

    def start():
        begin.wait(10)
        try:
            for number in range(20):
                leave_address(f"redis://h:{number + 1}", home)
                found.append(server_secret(home.secret))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(found)) == 1
    assert {p.name for p in home.root.iterdir()} == {"jobs", home.secret.name, home.store.name}
