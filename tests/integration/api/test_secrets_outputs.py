"""No output that has content has a secret in it: every operation answered with success, both
streams, and what the command line prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.api.schema_fuzz import Tally, described, furnished

ROOT = Path(__file__).parents[3]
SHOWS_ITS_SECRET = {"createWebhook", "rotateWebhookSecret"}
"""The only answers that have a webhook's secret, which docs/api.md says."""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A control plane with something of everything, and the secrets that it holds."""
    with pytest.MonkeyPatch.context() as patch:
        secrets = {"ray": "canary-ray-token-0123456789", "secret": "canary-secret-" + "x" * 32}
        patch.setenv("RAY_AUTH_TOKEN", secrets["ray"])
        patch.setenv("LACONIC_SECRET", secrets["secret"])
        tally = Tally()
        with furnished(tmp_path_factory.mktemp("furnished"), tally) as made:
            secrets["token"] = made.token
            (hook,) = made.plane.context.control.webhooks.of_tenant(None)
            secrets["webhook"] = hook.secret.removeprefix("whsec_")
            yield made, secrets, tally


def example(parameter, operation, made):
    value = parameter.get("example", parameter["schema"].get("default"))
    return made.parameters.get((operation["operationId"], parameter["name"]), value)


def asked(made, document):
    """Send one request to each operation that takes nothing away; yield its id and the answer."""
    http = made.plane.http
    http.timeout = 120  # A report loads a plotting library, verdicts their workers.
    own = {
        "createJob": made.plane.body,
        "validateJob": made.plane.body,
        "estimateJob": made.plane.body,
        "verify": {"cases": [{"gold": "7", "output": "<think>so</think> \\boxed{7}"}]},
        "changeStage": {"to": "next"},
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "delete":
                continue
            name, query, url = operation["operationId"], {}, path
            for parameter in operation.get("parameters", []):
                value = example(parameter, operation, made)
                if parameter["in"] == "path":
                    url = url.replace("{" + parameter["name"] + "}", str(value))
                elif parameter.get("required"):
                    query[parameter["name"]] = value
            body = own.get(name, made.bodies.get(name))
            yield name, http.request(method, url, params=query, json=body)


def leaks(secrets, text, allowed=()):
    return [name for name, secret in secrets.items() if secret in text and name not in allowed]


def test_every_operation_answers_with_content_and_no_secret(found):
    made, secrets, tally = found
    document = described(made)
    answered = 0
    for name, answer in asked(made, document):
        assert answer.is_success, (name, answer.text)
        said = f"{answer.headers}\n{answer.text}"
        allowed = ("webhook",) if name in SHOWS_ITS_SECRET else ()
        assert leaks(secrets, said, allowed) == [], name
        answered += 1
    assert answered > 45
    left = [n for n in tally.never_answered(document) if not re.match("delete|unpin|Delete", n)]
    assert left == []


@pytest.mark.parametrize("what", ["events", "logs/generator/0"])
def test_no_stream_has_one(found, what):
    made, secrets, _ = found
    job = made.parameters["getReport", "job_id"]  # Has ended: so does its stream.
    headers = {"Accept": "text/event-stream"}
    text = made.plane.http.get(f"/v1/jobs/{job}/{what}", headers=headers, timeout=60).text
    assert text.count("data:") >= 1
    assert leaks(secrets, text) == []


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--json"],
        ["status", "JOB"],
        ["logs", "JOB", "generator"],
        ["checkpoints", "list", "JOB"],
        ["models", "list"],
        ["webhooks", "list"],
    ],
    ids=" ".join,
)
def test_the_command_line_prints_none(found, words):
    made, secrets, _ = found
    job = made.known["job_id"][0]
    variables = {"LACONIC_URL": made.plane.url, "LACONIC_API_KEY": made.token, "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *(job if w == "JOB" else w for w in words)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert leaks(secrets, done.stdout + done.stderr) == []
