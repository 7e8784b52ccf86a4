"""Five users of a control plane that is killed under them: what each asks is drawn from a seed,
what each is answered is written down."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

import httpx

from tests.integration.restarts.history import Op

CLIENTS = 5
PATIENCE_SECONDS = 20.0
"""How long a request is repeated before its outcome counts as unknown."""
_PAUSE_SECONDS = (0.02, 0.15)
_JOBS = 7
"""Of all clients together."""
_AGAIN = (429, 503)
_WISHES = ("pause", "resume", "cancel", "stage")
_KINDS = {"create": 4, "pause": 3, "resume": 5, "cancel": 1, "stage": 2}
_READS = {"read": 5, "events": 3, "stream": 1}
_STREAM_SECONDS = 1.0


class Jobs:
    """The jobs that somebody was told of, for all clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[str] = []
        self._asked = 0

    def take_place(self) -> bool:
        with self._lock:
            self._asked += 1
            return self._asked <= _JOBS

    def add(self, job: str) -> None:
        with self._lock:
            self._known.append(job)

    def any(self, chance: random.Random) -> str | None:
        with self._lock:
            return chance.choice(self._known) if self._known else None


class HistoryClient(threading.Thread):
    """One user. Ends when ``over`` is set, after the request it is at."""

    def __init__(
        self, name: str, seed: int, urls: list[str], jobs: Jobs, over: threading.Event
    ) -> None:
        super().__init__(name=name)
        self._chance = random.Random(f"{seed} {name}")
        self._urls, self._jobs, self._over = urls, jobs, over
        self._count = 0
        self._read_to: dict[str, int] = {}
        self.ops: list[Op] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with httpx.Client(timeout=10, trust_env=False) as http:
                while not self._over.is_set():
                    self._one(http)
                    self._over.wait(self._chance.uniform(*_PAUSE_SECONDS))
        except BaseException as error:
            self.error = error

    def _one(self, http: httpx.Client) -> None:
        weights = _KINDS | _READS
        kind = self._chance.choices(list(weights), list(weights.values()))[0]
        job = self._jobs.any(self._chance)
        if job is None:
            kind = "create"
        if kind == "create" and not self._jobs.take_place():
            return
        self._count += 1
        key = f"{self.name}-{self._count}-{kind}"
        op = Op(self.name, kind, key, time.time(), job="" if kind == "create" else str(job))
        self.ops.append(op)
        if kind == "stream":
            self._follow(http, op)
        else:
            self._ask(http, op)
        op.end = time.time()

    def _ask(self, http: httpx.Client, op: Op) -> None:
        method, path, body = self._request(op)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            op.tries += 1
            url = self._chance.choice(self._urls) + path
            try:
                answer = http.request(method, url, json=body, headers={"Idempotency-Key": op.key})
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            op.status = answer.status_code
            again = answer.status_code in _AGAIN or "idempotency_in_flight" in answer.text
            if not again:
                self._note(op, answer)
                return
            time.sleep(0.1)

    def _request(self, op: Op) -> tuple[str, str, Any]:
        chance = self._chance
        if op.kind == "create":
            labels = {"key": op.key, "steps": str(chance.randint(8, 50))}
            overrides = {"restarts": {"limit": 2, "pause_seconds": 0.1}}
            body = {"preset": "tiny-cpu", "labels": labels, "overrides": overrides}
            return "POST", "/v1/jobs", body
        path = f"/v1/jobs/{op.job}"
        if op.kind == "read":
            return "GET", path, None
        if op.kind == "events":
            op.seen["after"] = self._read_to.get(op.job, 0)
            return "GET", f"{path}/events?limit=1000&after={op.seen['after']}", None
        body: dict[str, Any] = {"reason": op.key}
        if op.kind == "stage":
            body["to"] = "next"
        if op.kind == "cancel":
            body["grace_seconds"] = chance.choice((0.0, 1.0, 30.0))
        return "POST", f"{path}/{op.kind}", body

    def _note(self, op: Op, answer: httpx.Response) -> None:
        if not answer.is_success:
            op.outcome = "refused" if answer.status_code < 500 else "unknown"
            op.seen["problem"] = answer.text[:500]
            return
        op.outcome = "ok"
        body = answer.json()
        if op.kind == "events":
            op.seen["events"] = body["data"]
            self._read_to[op.job] = body["next_after"]
        elif op.kind != "stage":
            # A repeated answer tells how things were when it was first given.
            replayed = "Idempotent-Replayed" in answer.headers
            shown = ("id",) if replayed else ("id", "state", "attempt", "revision")
            op.seen |= {name: body[name] for name in shown}
        if op.kind == "create":
            self._jobs.add(body["id"])

    def _follow(self, http: httpx.Client, op: Op) -> None:
        """Read a stream for a while, from where this client has read to."""
        after = op.seen["after"] = self._read_to.get(op.job, 0)
        op.seen["events"] = []
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        url = f"{self._chance.choice(self._urls)}/v1/jobs/{op.job}/events"
        deadline = time.monotonic() + _STREAM_SECONDS
        wait = httpx.Timeout(10, read=_STREAM_SECONDS)
        op.tries = 1
        try:
            with http.stream("GET", url, headers=headers, timeout=wait) as answer:
                op.status = answer.status_code
                lines = answer.iter_lines() if answer.is_success else ()
                for line in lines:
                    if line.startswith("data: "):
                        op.seen["events"].append(json.loads(line.removeprefix("data: ")))
                    if time.monotonic() > deadline:
                        break
                op.outcome = "ok"
        except httpx.TransportError:
            pass
        self._read_to[op.job] = after + len(op.seen["events"])
