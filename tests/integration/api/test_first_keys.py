"""Keys of tokens in files that the environment names, before anybody can type a command."""

from __future__ import annotations

import logging
import time

import pytest

from api.first_keys import FILES, BadTokenFile, import_first_keys
from api.serving import ServingError, refuse_open_door
from services.control.api_keys import make_key, verify
from services.control.secret import server_secret
from services.control.stores import open_control
from services.home import Home

ADMIN, METRICS = FILES


@pytest.fixture
def home(tmp_path, monkeypatch):
    for variable in FILES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LACONIC_ROOTS", "")
    return Home(tmp_path / "home").create()


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Give a token by a variable; returns it."""

    def give(variable, content=None):
        _, token = make_key(b"another secret", name="x", scopes=["admin"], now=0.0)
        file = tmp_path / variable
        file.write_text((content or token) + "\n")
        monkeypatch.setenv(variable, str(file))
        return token

    return give


def test_a_start_with_nothing_given_makes_none(home):
    import_first_keys(home)
    assert not open_control(home).keys.any()


def test_they_open_the_door_and_do_what_they_are_for(home, given):
    tokens = given(ADMIN), given(METRICS)
    with pytest.raises(ServingError):
        refuse_open_door(home, "0.0.0.0")
    for _ in range(2):  # at every start, by every replica
        import_first_keys(home)
    refuse_open_door(home, "0.0.0.0")
    keys, secret = open_control(home).keys, server_secret(home.secret)
    found = [verify(secret, keys, token, time.time()) for token in tokens]
    assert [sorted(k.scopes) for k in found] == [["admin"], ["metrics:read"]]
    assert len(keys.all()) == 2


def test_what_is_no_token_is_refused_by_the_name_of_its_variable_and_not_shown(home, given, caplog):
    caplog.set_level(logging.DEBUG)
    given(METRICS, "s3cret-of-another-kind")
    with pytest.raises(BadTokenFile, match=f"^{METRICS}: ") as refused:
        import_first_keys(home)
    assert "s3cret" not in str(refused.value) + caplog.text


def test_a_file_that_is_not_there_is_named(home, monkeypatch):
    monkeypatch.setenv(ADMIN, "/nowhere/token")
    with pytest.raises(BadTokenFile, match=f"{ADMIN}: /nowhere/token cannot be read"):
        import_first_keys(home)
