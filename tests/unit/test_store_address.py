"""URLs of stores: what they say, what the environment adds, and that no password is shown."""

from __future__ import annotations

import stat

import pytest

from services.home import Home
from services.stores.open import NoStore, leave_address, locate, open_store
from services.stores.redis_address import BadStoreUrl, RedisAddress
from services.stores.sqlite import SqliteJobStore

PASSWORD = "p@ss/w:rd %"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("", "_PASSWORD", "_PASSWORD_FILE", "_CA", "_CERT", "_KEY"):
        monkeypatch.delenv(f"LACONIC_STORE{name}", raising=False)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").create()


@pytest.fixture
def files(tmp_path):
    found = {}
    for name in ("ca", "cert", "key"):
        found[name] = str(tmp_path / f"{name}.pem")
        (tmp_path / f"{name}.pem").write_text(name)
    return found


# -- Redis ----------------------------------------------------------------------------------------


def test_a_short_url_has_the_usual_rest():
    assert RedisAddress.parse("redis://store", {}) == RedisAddress(
        "store", 6379, 0, prefix="laconic:", timeout=5.0
    )


def test_a_url_may_say_everything(files):
    url = "rediss://me:p%40ss%2Fw%3Ard%20%25@[::1]:7000/3?prefix=a.b:&timeout=2.5"
    url += "".join(f"&{name}={path}" for name, path in files.items())
    assert RedisAddress.parse(url, {}) == RedisAddress(
        *("::1", 7000, 3, "me", PASSWORD, True),
        **files,
        prefix="a.b:",
        timeout=2.5,
    )


def test_the_environment_says_what_the_url_does_not(files, tmp_path):
    variables = {f"LACONIC_STORE_{name.upper()}": path for name, path in files.items()}
    found = RedisAddress.parse("rediss://h", {**variables, "LACONIC_STORE_PASSWORD": PASSWORD})
    assert (found.ca, found.cert, found.key) == (files["ca"], files["cert"], files["key"])
    assert found.password == PASSWORD
    given = RedisAddress.parse(f"rediss://:mine@h?ca={files['key']}", {**variables})
    assert (given.ca, given.password) == (files["key"], "mine")
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    read = RedisAddress.parse("redis://h", {"LACONIC_STORE_PASSWORD_FILE": str(secret)})
    assert read.password == PASSWORD


def test_a_password_is_never_shown(files):
    address = RedisAddress.parse(f"rediss://me:{'x' * 20}@h?ca={files['ca']}", {})
    assert address.password == "x" * 20
    assert address.shown == "rediss://me@h:6379/0"
    assert "xxx" not in repr(address)


@pytest.mark.parametrize("user", [None, "me", "ü:@/ x"])
@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("host", ["h", "::1"])
def test_the_secret_url_says_all_of_an_address(user, password, host, files):
    address = RedisAddress(
        *(host, 7000, 2, user, password, True), **files, prefix="p:", timeout=1.5
    )
    assert RedisAddress.parse(address.secret, {}) == address


BAD = {
    "redis://": "host",
    "redis://h:port": "port",
    "redis://h:99999": "port",
    "redis://h/one": "database",
    "redis://h?prefix=": "prefix",
    "redis://h?prefix=a%20b": "prefix",
    "redis://h?prefix={a}": "prefix",
    "redis://h?timeout=0": "timeout",
    "redis://h?timeout=soon": "timeout",
    "redis://h?timeout=nan": "timeout",
    "redis://h?timeout=1&timeout=2": "twice",
    "redis://h?ssl_cert_reqs=none": "ssl_cert_reqs",
    "redis://h?ca=/etc/hostname": "rediss://",
    "rediss://h?ca=relative.pem": "whole path",
    "rediss://h?ca=/not/there.pem": "not there",
    "rediss://h?key=/etc/hostname": "cert",
}


@pytest.mark.parametrize("url", BAD)
def test_a_bad_part_is_named(url):
    with pytest.raises(BadStoreUrl, match=BAD[url]):
        RedisAddress.parse(url, {})


def test_a_password_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadStoreUrl, match="LACONIC_STORE_PASSWORD_FILE"):
        RedisAddress.parse("redis://h", {"LACONIC_STORE_PASSWORD_FILE": str(tmp_path / "none")})


# -- which store ----------------------------------------------------------------------------------


def test_without_a_word_the_store_is_a_file_in_the_home_folder(home):
    assert locate(None, home) == home.database
    store = open_store(None, home)
    assert isinstance(store, SqliteJobStore)
    assert home.database.exists()


def test_a_file_may_be_below_the_home_folder_or_elsewhere(home, tmp_path):
    assert locate("sqlite:///sub/my%20jobs.db", home) == home.root / "sub" / "my jobs.db"
    assert locate(f"sqlite:///{tmp_path}/x.db", home) == tmp_path / "x.db"
    assert locate("sqlite:////srv/x.db", home).as_posix() == "/srv/x.db"


def test_the_argument_counts_before_the_environment_and_that_before_the_file(home, monkeypatch):
    leave_address("redis://left", home)
    assert locate(None, home).host == "left"
    monkeypatch.setenv("LACONIC_STORE", "redis://environment")
    assert locate(None, home).host == "environment"
    assert locate("redis://argument", home).host == "argument"
    monkeypatch.setenv("LACONIC_STORE", "")
    assert locate(None, home).host == "left"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://h/db", "postgres"),
        ("jobs.db", "sqlite:///"),
        ("sqlite://jobs.db", "WHOLE/PATH"),
        ("sqlite:///", "WHOLE/PATH"),
        ("sqlite:///a?mode=ro", "WHOLE/PATH"),
    ],
)
def test_a_url_that_is_none(home, url, said):
    with pytest.raises(BadStoreUrl, match=said):
        locate(url, home)


def test_an_unreadable_url_is_not_repeated_with_its_password(home):
    with pytest.raises(BadStoreUrl) as caught:
        locate("valkey://me:hunter2@h", home)
    assert "hunter2" not in str(caught.value)


def test_a_file_is_not_made_by_those_who_only_read(home):
    with pytest.raises(NoStore, match="LACONIC_HOME"):
        open_store(None, home, create=False)
    assert not home.database.exists()
    open_store(None, home)
    open_store(None, home, create=False)


# -- the word in the home folder ------------------------------------------------------------------


def test_the_home_folder_says_everything_to_its_owner_only(home, files, monkeypatch):
    monkeypatch.setenv("LACONIC_STORE", f"rediss://me@h?ca={files['ca']}")
    monkeypatch.setenv("LACONIC_STORE_PASSWORD", PASSWORD)
    leave_address(None, home)
    assert stat.S_IMODE(home.store.stat().st_mode) == 0o600
    wanted = locate(None, home)
    monkeypatch.delenv("LACONIC_STORE")
    monkeypatch.delenv("LACONIC_STORE_PASSWORD")
    assert locate(None, home) == wanted
    assert wanted.password == PASSWORD
    assert [p.name for p in home.root.iterdir() if "store" in p.name] == ["store.url"]


def test_what_others_may_read_is_refused(home):
    leave_address("redis://:secret@h", home)
    home.store.chmod(0o644)
    with pytest.raises(BadStoreUrl, match="chmod 600") as caught:
        locate(None, home)
    assert "secret" not in str(caught.value)


def test_the_word_goes_when_the_store_is_the_file_again(home):
    leave_address("redis://h", home)
    leave_address(f"sqlite:///{home.database}", home)
    assert not home.store.exists()
    assert locate(None, home) == home.database


def test_a_file_elsewhere_is_left_word_of(home, tmp_path):
    leave_address("sqlite:///other.db", home)
    assert locate(None, home) == home.root / "other.db"
