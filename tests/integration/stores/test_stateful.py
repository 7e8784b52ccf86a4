"""The same random history gives the same answers on every backend, and those of a model of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.presets.registry import resolve
from services.stores.journal_mark import JournalMark
from services.stores.lifecycle import COMMANDS, STATES
from services.stores.listing import JobFilter
from services.stores.protocol import StoreError
from tests.integration.stores.conftest import BACKENDS, new_place
from tests.integration.stores.model import Model, Refused

EXAMPLES = int(os.environ.get("LACONIC_STORE_HISTORIES", "25"))
STEPS = 40
SPEC = resolve("tiny-cpu")
LATER = 4e9

texts = st.sampled_from([None, "a", 'q"/\\ ünï'])
# Mostly the current attempt and revision, or none given; now and then one that has passed.
marks = st.one_of(st.none(), st.tuples(st.integers(1, 2), st.integers(1, 5)))
attempts = st.sampled_from([0, 0, 0, 0, 0, -1, 1])
expectations = st.sampled_from([None, None, None, None, 0, -1])


def told(error):
    """What an error says, as the model puts it."""
    name = type(error).__name__
    if name == "StaleAttempt":
        return (name, error.current, error.state)
    if name == "ChangedMeanwhile":
        return (name, error.current)
    if name == "IllegalTransition":
        return (name, error.state, frozenset(error.allowed))
    return (name,)


def answer_of(call):
    try:
        return ("ok", call())
    except Refused as refused:
        return refused.args
    except StoreError as error:
        return told(error)


def marked(mark):
    return mark and JournalMark(*mark)


def seen(store, job_id):
    """Everything a store says of a job; of times, whether they are set."""
    job = store.get_job(job_id)
    return {
        "state": job.state,
        "held": job.held,
        "cause": job.cause,
        "attempt": job.attempt,
        "revision": job.revision,
        "submission": job.ray_submission_id,
        "progress": job.progress,
        "started": job.started_at is not None,
        "finished": job.finished_at is not None,
        "heard": job.heartbeat_at is not None,
        "cancelling": job.cancel_requested_at is not None,
        "grace": job.cancel_grace_seconds,
        "tenant": job.tenant,
        "labels": job.labels,
        "first_event": store.first_event(job_id),
        "events": [
            {k: v for k, v in vars(event).items() if k != "time"}
            for event in store.events(job_id, limit=1000)
        ],
        "metrics": store.metrics(job_id),
        "latest": store.latest_metrics(job_id),
    }


def expected(job):
    """The same of the model's job."""
    metrics = [job.metrics[step] for step in sorted(job.metrics)]
    names = (
        *("state", "held", "cause", "attempt", "revision", "submission", "progress", "started"),
        *("finished", "heard", "cancelling", "grace", "tenant", "labels", "first_event"),
    )
    return {
        **{name: getattr(job, name) for name in names},
        "events": job.events[job.first_event - 1 :],
        "metrics": metrics,
        "latest": metrics[-1] if metrics else None,
    }


class Histories(RuleBasedStateMachine):
    """Random operations, done on every store and on the model."""

    server = None
    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        places = [new_place(b, self.server, Path(self._folder.name)) for b in BACKENDS]
        self.stores = [place.open() for place in places]
        self.model = Model()
        self._made = 0
        self._touched = set()

    def teardown(self):
        for job_id, job in self.model.jobs.items():
            # What waits cannot be seen until it is taken.
            if not job.finished:
                self.take_commands(job_id, 0)
        for store in self.stores:
            store.close()
        self._folder.cleanup()

    def both(self, job_id, on_model, on_store):
        self._touched.add(job_id)
        wanted = answer_of(on_model)
        for store in self.stores:
            assert answer_of(lambda store=store: on_store(store)) == wanted

    def attempt(self, job_id, offset):
        """An attempt by its distance from the current one."""
        job = self.model.jobs.get(job_id)
        return offset if job is None or offset is None else job.attempt + offset

    def revision(self, job_id, offset):
        job = self.model.jobs.get(job_id)
        return offset if job is None or offset is None else job.revision + offset

    # -- operations -------------------------------------------------------------------------------

    @rule(target=jobs, tenant=st.sampled_from("ab"), label=st.sampled_from([None, "x", "y"]))
    def create(self, tenant, label):
        self._made += 1
        job_id, labels = f"job-{self._made}", {"k": label} if label else {}
        self.both(
            job_id,
            lambda: self.model.create(job_id, tenant, labels),
            lambda s: (
                s.create_job(SPEC, None, job_id=job_id, tenant=tenant, labels=labels) and None
            ),
        )
        return job_id

    @initialize(target=jobs)
    def begin(self):
        return self.create("a", "x")

    def set_state(self, job, state, attempt, cause, expect):
        fields = {"attempt": attempt, "cause": cause, "expect": expect}
        self.both(
            job,
            lambda: self.model.set_state(job, state, **fields),
            lambda s: s.set_state(job, state, **fields) and None,
        )

    @rule(
        job=jobs,
        state=st.sampled_from(STATES),
        attempt=st.one_of(st.none(), attempts),
        cause=texts,
        expect=expectations,
    )
    def set_any_state(self, job, state, attempt, cause, expect):
        self.set_state(job, state, self.attempt(job, attempt), cause, self.revision(job, expect))

    @rule(job=jobs, choice=st.integers(0, 20), cause=texts)
    def set_a_legal_state(self, job, choice, cause):
        """Random states alone rarely get a job anywhere."""
        if job in self.model.jobs:
            now = self.model.jobs[job]
            options = sorted(self.model.may(now) - {"queued"}) or [now.state]
            self.set_state(job, options[choice % len(options)], now.attempt, cause, None)

    @rule(job=jobs)
    def go_on(self, job):
        """The next state in the life of a job that goes well."""
        if job in self.model.jobs:
            now = self.model.jobs[job]
            path = {"queued": "starting", "starting": "running", "pausing": "paused"}
            self.set_state(job, path.get(now.state, "running"), now.attempt, None, None)

    @rule(job=jobs)
    def come_back(self, job):
        """Stop and resume at once, with whatever waits."""
        if job in self.model.jobs:
            self.set_state(job, "interrupted", self.model.jobs[job].attempt, None, None)
            self.begin_attempt(job, None, None)

    @rule(job=jobs, author=texts, expect=expectations)
    def begin_attempt(self, job, author, expect):
        fields = {"author": author, "expect": self.revision(job, expect)}
        self.both(
            job,
            lambda: self.model.begin_attempt(job, **fields),
            lambda s: s.begin_attempt(job, **fields) and None,
        )

    @rule(job=jobs, offset=attempts)
    def submit(self, job, offset):
        attempt = self.attempt(job, offset)
        self.both(
            job,
            lambda: self.model.submit(job, attempt, f"ray-{attempt}"),
            lambda s: s.set_ray_submission(job, attempt, f"ray-{attempt}"),
        )

    @rule(job=jobs, offset=attempts, stage=texts)
    def heartbeat(self, job, offset, stage):
        attempt, progress = self.attempt(job, offset), {"stage": stage, "step": offset}
        self.both(
            job,
            lambda: self.model.heartbeat(job, attempt, progress),
            lambda s: s.heartbeat(job, attempt, progress),
        )

    @rule(
        job=jobs,
        offset=st.one_of(st.none(), attempts),
        text=st.sampled_from(["", 'é/\\"\n']),
        mark=marks,
    )
    def append_event(self, job, offset, text, mark):
        attempt = self.attempt(job, offset)
        self.both(
            job,
            lambda: self.model.append_event(job, text, attempt, mark),
            lambda s: s.append_event(job, "note", text, attempt=attempt, mark=marked(mark)),
        )

    @rule(job=jobs, offset=attempts, step=st.integers(1, 8), value=st.floats(-1e9, 1e9), mark=marks)
    def append_metrics(self, job, offset, step, value, mark):
        attempt = self.attempt(job, offset)
        self.both(
            job,
            lambda: self.model.append_metrics(job, attempt, step, value, mark),
            lambda s: s.append_metrics(job, attempt, step, {"value": value}, mark=marked(mark)),
        )

    @rule(job=jobs, offset=attempts, after=st.integers(0, 8))
    def truncate_metrics(self, job, offset, after):
        attempt = self.attempt(job, offset)
        self.both(
            job,
            lambda: self.model.truncate_metrics(job, attempt, after),
            lambda s: s.truncate_metrics(job, attempt, after),
        )

    @rule(
        job=jobs,
        kind=st.sampled_from(list(COMMANDS)),
        data=st.sampled_from([{}, {"to": "next"}, {"grace_seconds": 2.5}]),
        author=texts,
        reason=texts,
        expect=expectations,
    )
    def send_command(self, job, kind, data, author, reason, expect):
        fields = {"author": author, "reason": reason, "expect": self.revision(job, expect)}
        self.both(
            job,
            lambda: self.model.send_command(job, kind, data, **fields),
            lambda s: s.send_command(job, kind, data, **fields),
        )

    @rule(job=jobs, offset=attempts, after=st.one_of(st.none(), st.integers(0, 12)))
    def take_commands(self, job, offset, after=None):
        attempt = self.attempt(job, offset)
        self.both(
            job,
            lambda: self.model.take_commands(job, attempt, after),
            lambda s: [
                (c.id, c.kind, c.data, c.author, c.reason)
                for c in s.take_commands(job, attempt, after=after)
            ],
        )

    @rule(
        job=jobs,
        offset=attempts,
        through=st.integers(0, 12),
        also=st.sets(st.integers(1, 12), max_size=3),
    )
    def settle_commands(self, job, offset, through, also):
        attempt = self.attempt(job, offset)
        self.both(
            job,
            lambda: self.model.settle_commands(job, attempt, through, also),
            lambda s: s.settle_commands(job, attempt, through, also),
        )

    @rule(
        job=jobs,
        events=st.one_of(st.none(), st.integers(0, 5)),
        metrics=st.one_of(st.none(), st.integers(0, 5)),
    )
    def trim(self, job, events, metrics):
        self.both(
            job,
            lambda: self.model.trim(job, events, metrics),
            lambda s: s.trim(job, events=events, metrics=metrics),
        )

    @rule(limit=st.integers(1, 2))
    def remove_ended(self, limit):
        wanted = self.model.remove_ended(limit)
        for store in self.stores:
            assert store.remove_ended(LATER, limit) == wanted

    # -- what must hold ---------------------------------------------------------------------------

    @rule(
        states=st.one_of(st.none(), st.sets(st.sampled_from(STATES), max_size=4)),
        tenant=st.sampled_from([None, "a", "b"]),
        label=st.sampled_from([None, "x", "y"]),
        size=st.integers(1, 3),
    )
    def page_through(self, states, tenant, label, size):
        wanted = self.model.listed(states, tenant, label)
        where = JobFilter(tenant=tenant, labels={"k": label} if label else {})
        for store in self.stores:
            found, cursor, pages = [], None, 0
            while pages == 0 or cursor is not None:
                page, cursor = store.list_jobs(size, cursor, states, where)
                found += [job.id for job in page]
                pages += 1
            assert found == wanted
            assert pages == max(1, -(-len(wanted) // size))

    @invariant()
    def jobs_are_as_the_model_says(self):
        for store in self.stores:
            assert store.count_jobs() == self.model.counted()
            for job_id in self._touched & self.model.jobs.keys():
                assert seen(store, job_id) == expected(self.model.jobs[job_id])
        self._touched.clear()


@pytest.mark.timeout(900)
def test_backends_and_model_agree_on_any_history(redis_server):
    Histories.server = redis_server
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # Shrinking a history takes longer than reading one of forty steps.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
