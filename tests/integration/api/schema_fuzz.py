"""schemathesis against a served control plane: every operation of the OpenAPI document, by
examples, at the edges of its schema, at random, and along its links.

The control plane has keys, and holds a job at work, one that has succeeded with its report, an
evaluation with its result, checkpoints, a named model, logs and a webhook, so that requests reach
what lies behind "there is no such thing". Only the Ray cluster is not there.

    python -m tests.integration.api.schema_fuzz --examples 150 --report fuzz.json
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from api.limits import Limits
from services.control.webhook_target import networks
from services.evaluation.result_folder import ResultFolder
from services.role_log import log_file
from tests.integration.api.conftest import (
    ControlPlane,
    client_of,
    make_token,
    serve,
    write_body,
    write_model,
)
from tests.integration.api.page.recorded_run import RecordedRun
from tests.integration.api.test_checkpoints_api import write_checkpoint
from tests.unit.evaluated import response

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
    "unsupported_method",
    "missing_required_header",
    "allow_header_conformance",
)
PHASES = ("examples", "coverage", "fuzzing", "stateful")
OWN = str(Path(sys.executable).with_name("schemathesis"))
STEPS = range(10, 60, 10)
LEAST = 10_000
"""Requests of a whole run."""
OFTEN = 0.7
"""Share of parameters that name something there is."""


@dataclass
class Tally:
    """What the server was asked, and answered."""

    answers: collections.Counter[tuple[str, str, int]] = field(default_factory=collections.Counter)
    """By method, template of the path, and status."""

    def around(self, app: Any) -> Any:
        """An application that counts what passes it."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "no operation").replace(
                        ":path}", "}"
                    )
                    self.answers[scope["method"], route, message["status"]] += 1
                await send(message)

            await app(scope, receive, sending if scope["type"] == "http" else send)

        return counted

    @property
    def requests(self) -> int:
        return self.answers.total()

    def never_answered(self, document: dict[str, Any]) -> list[str]:
        """Operations that were never answered with success."""
        return sorted(
            operation["operationId"]
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if not any((m, r) == (method.upper(), path) and s < 400 for m, r, s in self.answers)
        )


@dataclass(frozen=True)
class Outcome:
    """Of one run."""

    status: int
    """Of schemathesis: 0 where it found nothing."""
    output: str
    requests: int
    seconds: float
    never_answered: list[str]
    """With success."""
    answers: dict[tuple[str, str, int], int]
    """By method, path and status."""

    @property
    def line(self) -> str:
        statuses: collections.Counter[int] = collections.Counter()
        for (_, _, status), count in self.answers.items():
            statuses[status] += count
        found = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        return f"{self.requests} requests in {self.seconds:.0f} s: {found}"


@dataclass(frozen=True)
class Furnished:
    """A control plane, and what a request to it may name."""

    plane: ControlPlane
    token: str
    known: dict[str, list[Any]]
    """Values of path parameters."""
    parameters: dict[tuple[str, str], Any]
    """Where another value than the first is the one to begin with: by operation id and name."""
    bodies: dict[str, Any]
    """By operation id."""


@contextmanager
def furnished(folder: Path, tally: Tally) -> Iterator[Furnished]:
    """A control plane with something of everything."""
    body = write_body(folder, write_model(folder))
    token = make_token(folder / "home", "admin")
    limits = Limits(rate_per_second=1e5, rate_burst=1e5)
    here = networks("127.0.0.0/8")
    with serve(
        folder / "home",
        body,
        limits=limits,
        max_running_jobs=8,
        around=tally.around,
        webhook_networks=here,
    ) as plane:
        http = plane.http = client_of(plane, token)
        done = RecordedRun(plane, plane.running()).begin().succeed().job
        works, other, resting, broken = (
            RecordedRun(plane, plane.running()).begin().go_to(5).job for _ in range(4)
        )
        plane.store.set_state(broken, "failed", attempt=1, cause="x")
        home = plane.context.settings.home
        for job in (done, works, other, resting, broken):
            for step in STEPS:
                write_checkpoint(plane, job, step)
            log_file(home.job(job).logs, "generator", 0).parent.mkdir(parents=True, exist_ok=True)
            log_file(home.job(job).logs, "generator", 0).write_text("first\nsecond\n")
        report = home.job(done).report
        report.mkdir(parents=True)
        (report / "report.json").write_text('{"headline": "shorter"}')
        (report / "entropy.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        questions = {"path": body["overrides"]["data"]["path"]}
        spec = {"model": body["overrides"]["model"], "benchmarks": [questions]}
        evaluation, failed = (
            taken(http.post("/v1/evaluations", json={"spec": spec}))["id"] for _ in range(2)
        )
        plane.store.set_state(failed, "failed", attempt=1, cause="x")
        results = ResultFolder(home.job(evaluation).result)
        results.write({"benchmarks": {"train": {}}})
        results.keep("train", [response()], 1.0)
        promotion = {"job": done, "step": 20}
        taken(http.put("/v1/models/short", json=promotion))
        hook = {"url": "http://127.0.0.1:9/hook", "topics": ["job.created"]}
        webhook = taken(http.post("/v1/webhooks", json=hook))["id"]
        http.post(f"/v1/webhooks/{webhook}/test")
        delivery = http.get(f"/v1/webhooks/{webhook}/deliveries").json()["data"][0]["id"]
        known = {
            "job_id": [works, done, other, resting, broken],
            "evaluation_id": [evaluation, failed],
            "step": list(STEPS),
            "role": ["generator", "driver"],
            "rank": [0],
            "preset": ["tiny-cpu"],
            "name": ["short"],
            "path": ["config.json", "driver.json", "report/report.json"],
            "benchmark": ["train"],
            "webhook_id": [webhook],
            "delivery_id": [delivery],
        }
        parameters = {
            ("getReport", "job_id"): done,
            ("downloadArtifact", "job_id"): done,
            ("downloadArtifact", "path"): "report/report.json",
            ("downloadCheckpointFile", "path"): "driver.json",
            ("deleteCheckpoint", "job_id"): done,
            ("cancelJob", "job_id"): other,
            ("pauseJob", "job_id"): resting,
            ("resumeJob", "job_id"): broken,
            ("resumeEvaluation", "job_id"): failed,
            ("forkJob", "job_id"): done,
            ("getCurves", "job"): [done, works],
            ("getCurves", "field"): ["entropy", "seconds.train"],
        }
        bodies = {
            "createEvaluation": {"spec": spec},
            "promoteModel": promotion,
            "createWebhook": hook,
            "verify": {"cases": [{"gold": "4", "output": "</think>\\boxed{4}"}]},
        }
        yield Furnished(plane, token, known, parameters, bodies)


def taken(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says that is a success."""
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def described(found: Furnished) -> dict[str, Any]:
    """The document as this control plane would have it: a key is no option, and examples name what
    there is."""
    document: dict[str, Any] = found.plane.http.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            name = operation["operationId"]
            operation["security"] = [way for way in operation["security"] if way]
            if (example := found.bodies.get(name)) is not None:
                content = operation["requestBody"]["content"]["application/json"]
                content["examples"] = {"here": {"value": example}}
            for parameter in operation.get("parameters", []):
                known = found.known.get(binding(path, parameter["name"]))
                if parameter["in"] == "path" and known:
                    own = found.parameters.get((name, parameter["name"]), known[0])
                    parameter["example"] = own
                elif name == "getCurves" and parameter["name"] in ("job", "field"):
                    parameter["example"] = found.parameters[name, parameter["name"]]
    return document


def binding(path: str, parameter: str) -> str:
    """What a path parameter names: that of another operation may have the same name."""
    if path.startswith("/v1/evaluations/") and parameter == "job_id":
        return "evaluation_id"
    return "preset" if path.startswith("/v1/presets/") else parameter


def configuration(known: dict[str, list[Any]]) -> str:
    """``schemathesis.toml``: parameters often name what there is."""
    lines = ["[dictionaries]"]
    lines += [f"{name} = {{ values = {json.dumps(values)} }}" for name, values in known.items()]

    for place in ("/v1/evaluations/", "/v1/presets/", ""):
        if place:
            lines += ["[[operations]]", f"include-path-regex = '^{place}'"]
        lines.append("[operations.parameters]" if place else "[parameters]")
        for name in known:
            value = f'{{ dictionary = "{binding(place, name)}", probability = {OFTEN} }}'
            lines.append(f'"path.{name}" = {value}')
    return "\n".join(lines) + "\n"


def fuzz(
    folder: Path,
    *,
    executable: str,
    examples: int,
    seed: int,
    max_seconds: int | None = None,
    only: str | None = None,
) -> Outcome:
    """Serve a control plane with a home below ``folder``, and let schemathesis loose on it.

    Args:
        folder: an empty one.
        executable: the program ``schemathesis``.
        examples: at most so many test cases an operation and phase.
        seed: of the random cases.
        max_seconds: of schemathesis.
        only: regular expression of paths; else all of them.
    """
    tally = Tally()
    with furnished(folder, tally) as found:
        document = described(found)
        schema = folder / "openapi.json"
        schema.write_text(json.dumps(document))
        config = folder / "schemathesis.toml"
        config.write_text(configuration(found.known))
        command = [executable, "--config-file", str(config), "--no-color", "run", str(schema)]
        command += ["--url", found.plane.url, "--phases", ",".join(PHASES)]
        command += ["--checks", ",".join(CHECKS), "--max-examples", str(examples)]
        command += ["--header", f"Authorization: Bearer {found.token}", "--seed", str(seed)]
        command += ["--continue-on-failure", "--request-timeout", "60", "--generation-database"]
        command += [":memory:", "--suppress-health-check", "all", "--no-shrink"]
        command += ["--warnings", "off", "--output-sanitize", "true"]
        command += ["--max-time", str(max_seconds)] if max_seconds else []
        command += ["--include-path-regex", only] if only else []
        tally.answers.clear()
        started = time.monotonic()
        ran = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=quiet_environment(),
        )
        seconds = time.monotonic() - started
        if only:
            document["paths"] = {p: m for p, m in document["paths"].items() if re.search(only, p)}
        return Outcome(
            ran.returncode,
            ran.stdout + ran.stderr,
            tally.requests,
            seconds,
            tally.never_answered(document),
            dict(tally.answers),
        )


def shortcomings(outcome: Outcome, least: int) -> list[str]:
    """Why a run says less than it should, though it found nothing: too few requests, operations
    that were never reached."""
    found = []
    if outcome.requests < least:
        found.append(f"only {outcome.requests} requests were sent, and {least} were to be")
    if outcome.never_answered:
        found.append("never answered with success: " + ", ".join(outcome.never_answered))
    if any(status >= 500 for _, _, status in outcome.answers):
        found.append("there were server errors")
    return found


def quiet_environment() -> dict[str, str]:
    """Of schemathesis: requests go to this machine, whatever proxy there is."""
    return {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the API by its OpenAPI document.")
    parser.add_argument(
        "--examples", type=int, default=100, help="test cases an operation and phase"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-seconds", type=int)
    parser.add_argument("--only", help="regular expression of paths")
    parser.add_argument("--schemathesis", default=OWN)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="laconic-fuzz-") as folder:
        outcome = fuzz(
            Path(folder),
            executable=chosen.schemathesis,
            examples=chosen.examples,
            seed=chosen.seed,
            max_seconds=chosen.max_seconds,
            only=chosen.only,
        )
    for (method, path, status), count in sorted(outcome.answers.items()):
        print(f"{count:6} {status} {method} {path}")
    print(outcome.output)
    print(outcome.line)
    found = shortcomings(outcome, 1 if chosen.only or chosen.max_seconds else LEAST)
    for shortcoming in found:
        print(shortcoming)
    return outcome.status or (1 if found else 0)


if __name__ == "__main__":
    raise SystemExit(main())
