"""The client has a verb for every operation of the API, and each does what it is for."""

from __future__ import annotations

import pytest

from api.client import Client
from tests.integration.api.schema_fuzz import Furnished, Tally, furnished

NEW_HOOK = {"url": "http://127.0.0.1:9/other", "topics": ["job.failed"]}


@pytest.fixture(scope="module")
def tally():
    return Tally()


@pytest.fixture(scope="module")
def found(tmp_path_factory, tally):
    with furnished(tmp_path_factory.mktemp("client"), tally) as made:
        tally.answers.clear()
        yield made


def every_verb(client: Client, found: Furnished, folder) -> None:
    works, done, other, resting, broken = found.known["job_id"]
    evaluation, failed = found.known["evaluation_id"]
    (webhook,), (delivery,) = found.known["webhook_id"], found.known["delivery_id"]
    body = found.plane.body
    assert client.is_alive()
    found.plane.wait_for("a look at the jobs", client.is_ready)
    # What jobs are.
    assert client.validate(body).spec.name == "tiny-cpu"
    assert client.estimate(body).steps == 38
    made = client.submit(body).id
    assert client.job(made).id == made == client.jobs(limit=1).data[0].id
    assert client.evaluate(found.bodies["createEvaluation"]["spec"]).state == "queued"
    assert failed in [e.id for e in client.evaluations().data]
    assert client.job(evaluation).id == evaluation
    assert "train" in client.result(evaluation)["benchmarks"]
    assert b"".join(client.responses(evaluation, "train"))[:4] == b"PAR1"
    # What is asked of them; the reason stands in the log.
    client.change_stage(works, "next", reason="short enough")
    assert client.pause(resting).state == "pausing"
    client.cancel(other, reason="wrong data", grace_seconds=5)
    assert client.resume(broken).attempt == 2
    assert client.resume(failed).attempt == 2
    assert client.cancel(failed).state == "cancelled"
    assert [e.reason for e in client.events(works)][-1] == "short enough"
    assert [e.reason for e in client.events(other)][-1] == "wrong data"
    forked = client.fork(done, 20, name="again", overrides={"seed": 3}, reason="what if")
    assert (forked.name, forked.forked_from.step, forked.spec.seed) == ("again", 20, 3)
    # What they say.
    assert client.events(evaluation)[0].id == 1
    assert [m["step"] for m in client.metrics(works)] == [1, 2, 3, 4, 5]
    assert b"".join(client.metrics_csv(works)).count(b"\n") == 6
    assert client.curves([works, done], ["entropy"])[0].job == works
    assert client.logs(works)[0].role
    assert client.log(works, "generator").text == "first\nsecond\n"
    assert client.report(done)["job"]["id"] == done
    # What they leave.
    assert [c.step for c in client.checkpoints(done)] == [50, 40, 30, 20, 10]
    assert client.checkpoint(done, 10).files
    client.pin(done, 10)
    client.unpin(done, 10)
    client.delete_checkpoint(done, 10)
    client.download(f"/v1/jobs/{works}/checkpoints/20/files/driver.json", folder / "driver.json")
    assert client.artifacts(done, "plot")[0].path == "report/entropy.svg"
    client.download(f"/v1/jobs/{done}/artifacts/report/report.json", folder / "report.json")
    assert client.promote("other", done, 20).step == 20
    assert {m.name for m in client.models()} == {"short", "other"}
    assert client.model("short").files
    client.download("/v1/models/short/files/config.json", folder / "config.json")
    client.delete_model("other")
    # The rest.
    assert client.presets()[0].name == client.preset("tiny-cpu").name
    assert client.verify([{"gold": "7", "output": "</think> \\boxed{7}"}])[0].verdict == "correct"
    assert client.whoami().actor == "test"
    new = client.create_webhook(**NEW_HOOK).id
    assert {h.id for h in client.webhooks()} == {webhook, new}
    assert client.rotate_webhook(new).secret
    assert client.webhook(new).topics == ["job.failed"]
    client.test_webhook(new)
    assert client.deliveries(webhook)
    client.redeliver(webhook, delivery)
    client.delete_webhook(new)
    assert client.audit(tenant="default")[0].method == "POST"
    assert b"createJob" in b"".join(client.audit_log())
    assert "laconic_" in client.prometheus()


def test_there_is_a_verb_for_every_operation(found, tally, tmp_path):
    with Client(found.plane.url, found.token) as client:
        every_verb(client, found, tmp_path)
    document = found.plane.http.get("/openapi.json").json()
    assert tally.never_answered(document) == []
