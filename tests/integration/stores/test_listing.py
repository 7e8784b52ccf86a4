"""Lists of jobs: filters, pages, and that a page costs what it holds."""

from __future__ import annotations

import secrets

import pytest

from services.presets.registry import resolve
from services.stores.listing import JobFilter
from services.stores.redis import RedisJobStore
from services.stores.redis_address import RedisAddress
from services.stores.redis_list import scopes_of
from services.stores.sqlite import SqliteJobStore
from services.stores.sqlite_listing import page
from services.stores.sqlite_schema import connect

SPEC = resolve("tiny-cpu")


def ids(store, states=None, **where):
    found, cursor = [], None
    while True:
        records, cursor = store.list_jobs(2, cursor, states, JobFilter(**where))
        found += [r.id for r in records]
        if cursor is None:
            return found


def test_every_filter_narrows_and_pages(store):
    named = SPEC.model_copy(update={"name": "other"})
    jobs = [
        store.create_job(
            named if n % 3 == 0 else SPEC,
            None,
            tenant="a" if n % 2 else "b",
            labels={"n": str(n % 4), "team": "x"} if n % 2 else {"n": str(n % 4)},
        )
        for n in range(12)
    ]
    for job in jobs[::4]:
        store.set_state(job.id, "starting", attempt=1)
        store.heartbeat(job.id, 1, {"stage": "compression.2" if job is jobs[0] else "compression"})

    def expected(*numbers):
        return [jobs[n].id for n in sorted(numbers, reverse=True)]

    assert ids(store) == expected(*range(12))
    assert ids(store, tenant="a") == expected(1, 3, 5, 7, 9, 11)
    assert ids(store, name="other") == expected(0, 3, 6, 9)
    assert ids(store, labels={"n": "1"}) == expected(1, 5, 9)
    assert ids(store, labels={"team": "x", "n": "3"}) == expected(3, 7, 11)
    assert ids(store, labels={"team": "y"}) == []
    assert ids(store, stage="compression") == expected(0, 4, 8)
    assert ids(store, stage="compress") == []
    assert ids(store, ["starting"]) == expected(0, 4, 8)
    assert ids(store, ["starting", "queued"], tenant="b") == expected(0, 2, 4, 6, 8, 10)
    assert ids(store, []) == []
    middle = jobs[6].created_at
    assert ids(store, created_before=middle) == expected(*range(6))
    assert ids(store, created_after=middle) == expected(*range(6, 12))
    assert ids(store, created_after=middle, tenant="a", labels={"n": "3"}) == expected(7, 11)
    assert ids(store, ["starting"], created_after=middle, name="other") == []
    assert ids(store, created_before=0) == ids(store, created_after=4e9) == []


def test_a_filter_that_few_pass_finds_them_all_in_pages(store):
    """More jobs than are looked at in one go, in several states."""
    wanted = []
    for i in range(450):
        job = store.create_job(SPEC, None, labels={"k": "rare"} if i % 60 == 7 else None)
        if i % 3 == 0:
            store.set_state(job.id, "paused", attempt=1)
        elif i % 60 == 7:
            store.heartbeat(job.id, 1, {"stage": "s"})
            wanted.append(job.id)
    assert ids(store, labels={"k": "rare"}) == wanted[::-1]
    assert ids(store, ["queued", "paused"], labels={"k": "rare"}) == wanted[::-1]
    # No index helps here.
    assert ids(store, ["queued", "paused"], stage="s") == wanted[::-1]
    assert len(store.list_jobs(1000)[0]) == 450


def test_a_clock_set_back_does_not_disturb_the_order(tmp_path, monkeypatch):
    store = SqliteJobStore(tmp_path / "jobs.db")
    jobs = []
    for wanted in (100.0, 50.0, 120.0):
        monkeypatch.setattr("services.stores.sqlite.time.time", lambda w=wanted: w)
        jobs.append(store.create_job(SPEC, None))
    assert [j.created_at for j in jobs] == [100.0, 100.0, 120.0]
    assert ids(store, created_before=110.0) == [jobs[1].id, jobs[0].id]


# -- cost -----------------------------------------------------------------------------------------

SIZES = (100, 20_000)

FILTERS = {
    "none": (None, {}),
    "tenant": (None, {"tenant": "t0"}),
    "states": (["queued", "failed"], {}),
    "tenant and state": (["failed"], {"tenant": "t0"}),
    "kind": (None, {"kind": "training"}),
    "the rare kind": (None, {"kind": "evaluation"}),
    "kind and state": (["failed"], {"kind": "training"}),
    "tenant and kind": (None, {"tenant": "t0", "kind": "evaluation"}),
    "name": (None, {"name": "tiny-cpu"}),
    "label": (None, {"labels": {"n": "0"}}),
    "label nobody has": (None, {"labels": {"n": "none"}}),
    "window": (None, {"created_before": 50.0}),
    "window and tenant": (None, {"created_before": 50.0, "tenant": "t0"}),
}


def state_of(n):
    return "failed" if n % 50 == 0 else "succeeded"


def kind_of(n):
    """The oldest jobs are evaluations: a list of them must not walk over all others."""
    return "evaluation" if n < 20 else "training"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Connections to a small and a large file."""
    found = []
    for count in SIZES:
        path = tmp_path_factory.mktemp("listing") / "jobs.db"
        SqliteJobStore(path)
        db = connect(path)
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO jobs (id, name, spec, state, attempt, created_at, updated_at, tenant,"
            " kind) VALUES (?, 'tiny-cpu', '{}', ?, 1, ?, 0, ?, ?)",
            [(f"job-{n}", state_of(n), n, f"t{n % 2}", kind_of(n)) for n in range(count)],
        )
        db.executemany(
            "INSERT INTO job_labels (key, value, seq) VALUES ('n', ?, ?)",
            [(str(n % 5), n + 1) for n in range(count)],
        )
        db.execute("COMMIT")
        found.append(db)
    yield found
    for db in found:
        db.close()


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_of_a_file_costs_the_same_whatever_it_holds(files, name):
    states, where = FILTERS[name]
    work = []
    for db in files:
        steps = 0

        def count():
            nonlocal steps
            steps += 1
            return 0

        db.set_progress_handler(count, 1)
        page(db, 11, 2**62, states, JobFilter(**where))
        db.set_progress_handler(None, 0)
        work.append(steps)
    small, large = work
    # B-trees are a level or two deeper; a scan would be 200 times the work.
    assert large < 3 * small + 500


@pytest.fixture(scope="module")
def servers(redis_server):
    """A small and a large store on one server, written as the script writes them."""
    found = []
    for count in SIZES:
        store = RedisJobStore(
            RedisAddress.parse(f"{redis_server.url}?prefix=list-{secrets.token_hex(4)}:", {})
        )
        calls = store._calls
        text = SPEC.model_dump_json()

        def fill(client, count=count, prefix=calls.prefix, text=text):
            pipe = client.pipeline(transaction=False)
            for n in range(count):
                key, state, tenant, kind = f"job-{n}", state_of(n), f"t{n % 2}", kind_of(n)
                pipe.hset(
                    f"{prefix}job:{key}",
                    mapping={
                        **{"id": key, "seq": n + 1, "name": "tiny-cpu", "spec": text, "kind": kind},
                        **{"state": state, "attempt": 1, "revision": 1, "tenant": tenant},
                        **{"created_at": n, "updated_at": n, "labels": f'{{"n":"{n % 5}"}}'},
                    },
                )
                pipe.zadd(f"{prefix}created", {key: n})
                for index in (
                    *(f"{scope}:{state}" for scope in scopes_of(tenant, kind)),
                    *("name=tiny-cpu", f"label=n={n % 5}"),
                ):
                    pipe.zadd(f"{prefix}index:{index}", {key: n + 1})
            pipe.execute()

        calls.ask(fill)
        found.append(store)
    yield found
    for store in found:
        store.close()


def commands_of(store):
    """How many commands the server has run, those within scripts included."""
    found = store._calls.ask(lambda client: client.info("commandstats"))
    return sum(s["calls"] for name, s in found.items() if name != "cmdstat_info")


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_of_a_server_costs_the_same_whatever_it_holds(servers, name):
    states, where = FILTERS[name]
    work, pages = [], []
    for store in servers:
        before = commands_of(store)
        records, _ = store.list_jobs(10, None, states, JobFilter(**where))
        work.append(commands_of(store) - before)
        pages.append(len(records))
    small, large = work
    assert large <= 2 * small + 50
    assert pages[1] == (0 if name == "label nobody has" else 10)
