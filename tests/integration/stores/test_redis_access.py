"""Getting into a Redis server: users with few rights, and TLS, as docs/stores.md sets them up."""

from __future__ import annotations

import datetime
import ipaddress
import logging
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.control.api_keys import make_key
from services.control.idempotency import Answer
from services.control.quotas import Quota
from services.control.stores import open_control
from services.home import Home
from services.presets.registry import resolve
from services.stores.layout import UnknownLayout
from services.stores.listing import JobFilter
from services.stores.protocol import StoreUnavailable
from services.stores.redis import RedisJobStore
from services.stores.redis_address import RedisAddress
from services.stores.redis_layout import warnings
from tests.integration.control.samples import WEBHOOK, delivery, entry
from tests.integration.stores.redis_server import RedisServer, free_port

PASSWORD = "s3cret/with:odd@signs"
REFUSED = r"refused.*(permission|can't (access|run))"
DOCUMENT = Path(__file__).parents[3] / "docs" / "stores.md"


def open_at(url, environment=None, patience=5.0):
    return RedisJobStore(RedisAddress.parse(url, environment or {}), patience=patience)


def whole_life(store):
    """Every operation of a store once."""
    job = store.create_job(resolve("tiny-cpu"), None, labels={"k": "v"})
    store.set_ray_submission(job.id, 1, "ray")
    for state in ("starting", "running", "reconciling", "running"):
        store.set_state(job.id, state, attempt=1)
    store.heartbeat(job.id, 1, {"stage": "s"})
    store.append_event(job.id, "note", "")
    store.append_metrics(job.id, 1, 1, {})
    store.send_command(job.id, "pause", {})
    assert len(store.take_commands(job.id, 1)) == 1
    assert store.truncate_metrics(job.id, 1, 0) == 1
    store.set_state(job.id, "paused", attempt=1)
    store.begin_attempt(job.id)
    assert store.list_jobs(where=JobFilter(labels={"k": "v"}, stage="s"))[0] == []
    created = {"created_after": job.created_at, "created_before": job.created_at + 60}
    assert len(store.list_jobs(where=JobFilter(tenant="default", **created))[0]) == 1
    assert store.count_jobs() == {"queued": 1}
    assert store.latest_metrics(job.id) is None
    assert store.metrics(job.id) == []
    assert store.first_event(job.id) == 1
    store.trim(job.id, events=2, metrics=0)
    assert len(store.events(job.id)) == 2
    assert store.hold("x", "y", 1)
    store.release("x", "y")
    store.set_state(job.id, "cancelled", attempt=None)
    assert store.remove_ended(4e9) == [job.id]
    store.ping()


# -- users ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that lets in only the user that the documentation sets up."""
    folder = tmp_path_factory.mktemp("guarded")
    (rights,) = re.findall(r"^user laconic on .*$", DOCUMENT.read_text(), re.MULTILINE)
    assert ">PASSWORD" in rights
    users = folder / "users.acl"
    users.write_text(f"user default off\n{rights.replace('PASSWORD', PASSWORD)}\n")
    port = free_port()
    address = RedisAddress("127.0.0.1", port, username="laconic", password=PASSWORD)
    server = RedisServer(folder / "redis", "--aclfile", str(users), url=address.secret, port=port)
    yield server.start()
    server.stop()


def test_the_documented_rights_are_enough(guarded):
    whole_life(open_at(guarded.url))


def test_they_are_enough_for_all_that_a_control_plane_keeps(guarded, tmp_path):
    control = open_control(Home(tmp_path).create(), guarded.url)
    key, _ = make_key(b"s" * 32, name="ci", scopes={"admin"}, now=1.0)
    assert control.keys.add(key)
    control.keys.replace(key)
    control.keys.touch(key.id, 2.0)
    assert control.keys.find(key.id) == control.keys.all()[0]
    assert control.keys.any()
    control.quotas.set_quota("a", Quota(jobs=1))
    assert control.quotas.quota("a") == control.quotas.quotas()["a"]
    control.quotas.set_quota("a", None)
    requests = control.idempotency
    for settle in (
        lambda: requests.reopen("a", "k"),
        lambda: requests.forget("a", "k"),
        lambda: requests.finish("a", "k", Answer(200, {}, b"")),
    ):
        assert requests.begin("a", "k", "p", 1.0).kind == "act"
        settle()
    requests.begin("a", "k2", "p", 9e9)
    requests.leave()
    control.audit.append(entry())
    assert control.audit.records() == control.audit.records(tenant="a")
    hooks = control.webhooks
    hooks.add(WEBHOOK)
    hooks.replace(WEBHOOK)
    assert [hooks.find("wh-1")] == hooks.of_tenant("a")
    hooks.follow(["job-1"])
    assert hooks.position("job-1") == 0
    assert hooks.open_jobs() == ["job-1"]
    hooks.enqueue("job-1", 1, True, [delivery(1), delivery(2)])
    assert len(hooks.take_due(99.0, 1.0, 9)) == 2
    hooks.put(delivery(1, state="dead"))
    assert hooks.counts() == {"pending": 1, "dead": 1}
    assert hooks.trim(99.0) == 1
    assert hooks.deliveries("wh-1", "msg-9", 9) == []
    assert hooks.delivery("msg-2") is not None
    hooks.remove("wh-1")


@pytest.mark.parametrize(
    "command",
    [
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("SHUTDOWN",),
        ("SCRIPT", "FLUSH"),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("SWAPDB", "0", "1"),
        ("GET", "other:key"),
        ("EVAL", "return redis.call('GET', 'other:key')", "0"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
    ],
    ids=lambda command: " ".join(command)[:24],
)
def test_the_documented_rights_are_not_too_many(guarded, command):
    store = open_at(guarded.url)
    with pytest.raises(StoreUnavailable, match=REFUSED):
        store._calls.ask(lambda client: client.execute_command(*command))


def test_another_prefix_is_another_world(guarded):
    with pytest.raises(StoreUnavailable, match=REFUSED):
        open_at(guarded.url.replace("laconic%3A", "other%3A"))


def test_the_password_may_come_from_the_environment_or_a_file(guarded, tmp_path):
    url = f"redis://laconic@127.0.0.1:{guarded.port}/0"
    open_at(url, {"LACONIC_STORE_PASSWORD": PASSWORD}).ping()
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    open_at(url, {"LACONIC_STORE_PASSWORD_FILE": str(file)}).ping()


def test_a_wrong_password_is_said_at_once_and_never_shown(guarded, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "not-the-password"
    with pytest.raises(StoreUnavailable, match=r"refused.*(?i:password)") as caught:
        open_at(f"redis://laconic:{wrong}@127.0.0.1:{guarded.port}/0", patience=60)
    for said in (str(caught.value), repr(caught.value.__cause__), caplog.text):
        assert wrong not in said


# -- TLS ------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder, name):
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(self._name, self._key, authority=True)
        self.file = self._write(f"{name}.crt", certificate)

    def issue(self, name, address=None):
        """Files of a certificate and its key, for a host when ``address`` is given."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, address=address)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        written = self.folder / f"{name}.key"
        written.write_bytes(private)
        return self._write(f"{name}.crt", certificate), str(written)

    def _signed(self, subject, key, *, authority=False, address=None):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name, certificate):
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


def tls_server(authority, folder, certificate, *settings):
    """A server with TLS only."""
    port = free_port()
    client = authority.issue("probe")
    address = RedisAddress(
        "127.0.0.1", port, tls=True, ca=authority.file, cert=client[0], key=client[1]
    )
    return RedisServer(
        folder,
        *("--port", "0", "--tls-port", str(port), "--tls-ca-cert-file", authority.file),
        *("--tls-cert-file", certificate[0], "--tls-key-file", certificate[1], *settings),
        url=address.secret,
        port=port,
    )


@pytest.fixture(scope="module")
def secured(authority, tmp_path_factory):
    """A server that wants a certificate of its clients."""
    server = tls_server(
        authority,
        tmp_path_factory.mktemp("secured"),
        authority.issue("server", "127.0.0.1"),
        *("--tls-auth-clients", "yes"),
    )
    yield server.start()
    server.stop()


def test_a_store_over_tls_with_certificates_on_both_sides(secured, authority):
    cert, key = authority.issue("client")
    url = f"rediss://127.0.0.1:{secured.port}/0"
    whole_life(open_at(f"{url}?ca={authority.file}&cert={cert}&key={key}"))
    names = {"LACONIC_STORE_CA": authority.file, "LACONIC_STORE_CERT": cert}
    open_at(url, {**names, "LACONIC_STORE_KEY": key}).ping()


def test_a_server_that_wants_a_certificate_gets_one_or_says_so(secured, authority):
    with pytest.raises(StoreUnavailable):
        open_at(f"rediss://127.0.0.1:{secured.port}/0?ca={authority.file}", patience=1)


def test_a_server_of_another_authority_is_not_talked_to(secured, authority, tmp_path):
    other = Authority(tmp_path, "theirs")
    cert, key = authority.issue("client")
    with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        open_at(
            f"rediss://127.0.0.1:{secured.port}/0?ca={other.file}&cert={cert}&key={key}",
            patience=60,
        )


def test_the_certificate_must_be_for_the_host(authority, tmp_path):
    certificate = authority.issue("elsewhere", "10.1.2.3")
    server = tls_server(authority, tmp_path / "redis", certificate)
    server.start(probe=False)
    try:
        with pytest.raises(StoreUnavailable, match="mismatch"):
            open_at(f"rediss://127.0.0.1:{server.port}/0?ca={authority.file}", patience=60)
    finally:
        server.stop()


def test_a_server_without_tls_is_not_talked_to_as_if_it_had_it(redis_server, authority):
    with pytest.raises(StoreUnavailable):
        open_at(f"rediss://127.0.0.1:{redis_server.port}/0?ca={authority.file}", patience=1)


# -- what a server is looked at for ---------------------------------------------------------------


def test_a_server_that_forgets_is_warned_of(redis_server, caplog):
    open_at(f"{redis_server.url}?prefix=warned:")
    assert "append-only" in caplog.text


def test_a_durable_server_is_not_warned_of():
    durable = {"aof_enabled": 1, "maxmemory": 2**30, "maxmemory_policy": "noeviction"}
    assert warnings(durable) == []
    (warning,) = warnings({**durable, "maxmemory_policy": "allkeys-lru"})
    assert "allkeys-lru" in warning
    assert "noeviction" in warning


def test_a_newer_layout_is_refused(redis_server):
    url = f"{redis_server.url}?prefix=newer:"
    store = open_at(url)
    store._calls.ask(lambda client: client.set("newer:layout", 999))
    with pytest.raises(UnknownLayout, match="upgrade"):
        open_at(url)
