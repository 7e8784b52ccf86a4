"""Whether a recorded history is one that may be. Pure: data in, violations out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from services.stores.lifecycle import ACTIVE, TERMINAL, is_legal
from tests.integration.restarts.history import History, Job

CLOCK_SECONDS = 0.01
"""How far two readings of one machine's clock may be apart."""


@dataclass(frozen=True)
class Violation:
    """What must not have happened."""

    rule: str
    job: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.job}: {self.detail}"


Rule = Callable[[History], Iterator[Violation]]


def check(history: History) -> list[Violation]:
    """Every violation of every rule."""
    return [found for rule in RULES for found in rule(history)]


def created_once(history: History) -> Iterator[Violation]:
    """Every acknowledged creation exists exactly once, whoever asks; none exists twice; there is
    none that nobody asked for."""
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for job in history.jobs:
        by_key[job.labels.get("key", "")].append(job.id)
    asked = {op.key: op for op in history.ops if op.kind == "create"}
    for key, ids in by_key.items():
        if key not in asked:
            yield Violation("created_once", ids[0], f"nobody asked for a job of the key {key!r}")
        elif len(ids) > 1:
            yield Violation("created_once", ids[0], f"{key} was created {len(ids)} times: {ids}")
    known: dict[str, float] = {}
    for op in asked.values():
        if op.outcome != "ok":
            continue
        made = str(op.seen["id"])
        known[made] = op.end
        if by_key.get(op.key) != [made]:
            detail = f"{op.key} was acknowledged; the store has {by_key.get(op.key, [])}"
            yield Violation("created_once", made, detail)
    for op in history.ops:
        if op.status == 404 and op.job in known and op.begin > known[op.job]:
            yield Violation("created_once", op.job, f"{op.kind} {op.key} was told there is none")


def one_live_attempt(history: History) -> Iterator[Violation]:
    """At most one driver of a job lives at any time, and each attempt has one at most."""
    attempts = {job.id: job.attempt for job in history.jobs}
    runs = defaultdict(list)
    for run in history.runs:
        runs[run.job].append(run)
    for job, of_job in runs.items():
        of_job.sort(key=lambda run: run.begin)
        for attempt, count in Counter(run.attempt for run in of_job).items():
            if count > 1:
                yield Violation("one_live_attempt", job, f"attempt {attempt} had {count} drivers")
            if attempt > attempts.get(job, 0):
                yield Violation("one_live_attempt", job, f"the store knows no attempt {attempt}")
        for before, after in pairwise(of_job):
            if before.end is None or before.end > after.begin:
                detail = f"attempt {after.attempt} began while {before.attempt} was alive"
                yield Violation("one_live_attempt", job, detail)
            if before.attempt >= after.attempt:
                detail = f"attempt {after.attempt} began after {before.attempt}"
                yield Violation("one_live_attempt", job, detail)


def events_are_dense(history: History) -> Iterator[Violation]:
    """Ids are 1, 2, 3, ...; what a reader was told is what is kept, and no id was left out."""
    kept = {job.id: {e["id"]: e for e in job.events} for job in history.jobs}
    for job in history.jobs:
        ids = [e["id"] for e in job.events]
        if ids != list(range(1, len(ids) + 1)):
            yield Violation("events_are_dense", job.id, f"the ids are {ids}")
    for op in history.ops:
        if op.kind not in ("events", "stream") or op.job not in kept:
            continue
        read = op.seen.get("events", [])
        ids = [e["id"] for e in read]
        after = op.seen.get("after", 0)
        if ids != list(range(after + 1, after + 1 + len(ids))):
            yield Violation("events_are_dense", op.job, f"{op.key} read {ids} after {after}")
        for event in read:
            if kept[op.job].get(event["id"]) != event:
                found = kept[op.job].get(event["id"])
                detail = f"{op.key} read {event}, which is kept as {found}"
                yield Violation("events_are_dense", op.job, detail)


def moves_are_legal(history: History) -> Iterator[Violation]:
    """The moves in the log follow on one another, each is legal, none leaves a terminal state, and
    the last is where the job is."""
    for job in history.jobs:
        now = "queued"
        for move in _moves(job):
            start, target = move["from"], move["to"]
            if start != now:
                detail = f"a move from {start} to {target} though the job was {now}"
                yield Violation("moves_are_legal", job.id, detail)
            if not is_legal(start, target) or start in TERMINAL:
                yield Violation("moves_are_legal", job.id, f"a move from {start} to {target}")
            now = target
        if now != job.state:
            yield Violation("moves_are_legal", job.id, f"it is {job.state}; its log says {now}")


def reads_only_move_on(history: History) -> Iterator[Violation]:
    """Of two reads of which one began after the other had ended, the later one sees a revision and
    an attempt as high at least, and the same terminal state. The store counts as the last one."""
    reads: defaultdict[str, list[tuple[float, float, dict[str, Any]]]] = defaultdict(list)
    for op in history.ops:
        if op.outcome == "ok" and "revision" in op.seen:
            reads[op.job or str(op.seen["id"])].append((op.begin, op.end, op.seen))
    for job in history.jobs:
        last = {"state": job.state, "attempt": job.attempt, "revision": job.revision}
        reads[job.id].append((float("inf"), float("inf"), last))
    for job_id, of_job in reads.items():
        of_job.sort(key=lambda read: read[0])
        for index, (_, end, early) in enumerate(of_job):
            for begin, _, late in of_job[index + 1 :]:
                if begin <= end:
                    continue
                if late["revision"] < early["revision"] or late["attempt"] < early["attempt"]:
                    yield Violation("reads_only_move_on", job_id, f"{early}, and then {late}")
                if early["state"] in TERMINAL and late["state"] != early["state"]:
                    yield Violation("reads_only_move_on", job_id, f"{early}, and then {late}")


def nothing_after_the_record(history: History) -> Iterator[Violation]:
    """No attempt does a step once its end is on record, and each does its steps while it lives."""
    ends: dict[tuple[str, int], tuple[float, str]] = {}
    for job in history.jobs:
        for event in job.events:
            if event["type"] == "state" and event["data"]["to"] not in ACTIVE:
                ends.setdefault((job.id, event["attempt"]), (event["time"], event["data"]["to"]))
    lives = {(run.job, run.attempt): run for run in history.runs}
    for step in history.steps:
        of = (step.job, step.attempt)
        if of in ends and step.end > ends[of][0] + CLOCK_SECONDS:
            late = step.end - ends[of][0]
            detail = f"step {step.step} of attempt {step.attempt} {late:.3f} s after {ends[of][1]}"
            yield Violation("nothing_after_the_record", step.job, detail)
        run = lives.get(of)
        if run is None or step.begin < run.begin - CLOCK_SECONDS:
            detail = f"step {step.step} of attempt {step.attempt}, which had no driver"
            yield Violation("nothing_after_the_record", step.job, detail)


def wishes_count_once(history: History) -> Iterator[Violation]:
    """A wish is logged once at most, however often it was sent, and not at all if it was refused; a
    stage and a resume that were acknowledged exactly once; an acknowledged cancel ends the job for
    good."""
    jobs = {job.id: job for job in history.jobs}
    for op in history.ops:
        job = jobs.get(op.job)
        if job is None or op.kind not in ("pause", "resume", "cancel", "stage"):
            continue
        commands = [e for e in job.events if e["reason"] == op.key and e["type"] == "command"]
        begun = [m for m in _moves(job, op.key) if m["to"] == "queued"]
        if len(commands) > 1 or len(begun) > 1:
            detail = f"{op.kind} {op.key} counted {max(len(commands), len(begun))} times"
            yield Violation("wishes_count_once", job.id, detail)
        done = [e for e in job.events if e["reason"] == op.key]
        if op.outcome == "refused" and done:
            detail = f"{op.kind} {op.key} was refused with {op.status} and is in the log: {done}"
            yield Violation("wishes_count_once", job.id, detail)
        if op.outcome != "ok":
            continue
        if (op.kind == "stage" and not commands) or (op.kind == "resume" and not begun):
            detail = f"{op.kind} {op.key} was acknowledged and is not in the log"
            yield Violation("wishes_count_once", job.id, detail)
        if op.kind == "cancel" and job.state not in ("cancelled", "succeeded", "failed"):
            detail = f"cancel {op.key} was acknowledged and the job is {job.state}"
            yield Violation("wishes_count_once", job.id, detail)


def everything_settles(history: History) -> Iterator[Violation]:
    """When all is quiet no job claims to be at work, no driver is left, and a job that succeeded
    has a record of each of its steps, made by attempts in their order."""
    for run in history.runs:
        if run.end is None:
            detail = f"the driver of attempt {run.attempt} is still there"
            yield Violation("everything_settles", run.job, detail)
    for job in history.jobs:
        if job.state in ACTIVE:
            yield Violation("everything_settles", job.id, f"it is still {job.state}")
        steps = [step for step, _ in job.steps]
        if steps != list(range(1, len(steps) + 1)):
            yield Violation("everything_settles", job.id, f"its steps are {steps}")
        if job.state == "succeeded" and len(steps) != int(job.labels["steps"]):
            yield Violation("everything_settles", job.id, f"it succeeded with steps {steps}")
        attempts = [attempt for _, attempt in job.steps]
        if attempts != sorted(attempts):
            detail = f"its steps were made by the attempts {attempts}"
            yield Violation("everything_settles", job.id, detail)


def nobody_saw_a_fault(history: History) -> Iterator[Violation]:
    """No request was answered 500."""
    for op in history.ops:
        if op.status == 500:
            yield Violation("nobody_saw_a_fault", op.job, f"{op.kind} {op.key}: {op.seen}")


RULES: tuple[Rule, ...] = (
    created_once,
    one_live_attempt,
    events_are_dense,
    moves_are_legal,
    reads_only_move_on,
    nothing_after_the_record,
    wishes_count_once,
    everything_settles,
    nobody_saw_a_fault,
)


def _moves(job: Job, reason: str | None = None) -> list[dict[str, Any]]:
    return [
        e["data"]
        for e in job.events
        if e["type"] == "state" and (reason is None or e["reason"] == reason)
    ]
