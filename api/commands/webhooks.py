"""``laconic webhooks``: addresses that are told what happens to jobs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from api.client import Client
from api.commands.options import AsJson, Url, err, out, tell, tell_done

app = typer.Typer(help="Addresses that are told what happens to jobs.", no_args_is_help=True)

WebhookId = Annotated[str, typer.Argument(help="Id of the webhook.", metavar="WEBHOOK")]


@app.command()
def create(
    address: Annotated[str, typer.Argument(help="https URL to tell.", metavar="URL")],
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="e.g. job.failed; repeat it.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Tell an address what happens from now on; print the secret, which is shown once."""
    topics = topic or ["job.succeeded", "job.failed", "job.cancelled", "job.interrupted"]
    with Client(url) as client:
        found = client.create_webhook(address, topics, description)
    if as_json:
        tell(found, "", as_json)
        return
    print(found.secret)
    err.print(f"webhook {found.id}; verify its messages with this secret", highlight=False)


@app.command("list")
def list_(as_json: AsJson = False, url: Url = None) -> None:
    """Show the webhooks."""
    with Client(url) as client:
        found = client.webhooks()
    if as_json:
        tell(found, "", as_json)
        return
    table = Table("id", "url", "topics", "disabled")
    for w in found:
        table.add_row(w.id, w.url, " ".join(w.topics), w.disabled or "")
    out.print(table)


@app.command()
def rotate(webhook: WebhookId, as_json: AsJson = False, url: Url = None) -> None:
    """Give a webhook a new secret and print it; the old one signs too for a day."""
    with Client(url) as client:
        found = client.rotate_webhook(webhook)
    print(found.model_dump_json() if as_json else found.secret)


@app.command("test")
def send_test(webhook: WebhookId, as_json: AsJson = False, url: Url = None) -> None:
    """Send a webhook a message that only shows that messages arrive."""
    with Client(url) as client:
        found = client.test_webhook(webhook)
    tell(found, f"{found.id} is on its way", as_json)


@app.command()
def deliveries(webhook: WebhookId, as_json: AsJson = False, url: Url = None) -> None:
    """Show what was sent, is due, or was given up."""
    with Client(url) as client:
        found = client.deliveries(webhook, 100)
    if as_json:
        tell(found, "", as_json)
        return
    table = Table("id", "topic", "state", "attempts", "status", "error")
    for d in found:
        status = "" if d.status is None else str(d.status)
        values = (str(d.attempts), status, d.error or "")
        table.add_row(d.id, d.topic, d.state, *values)
    out.print(table)


@app.command()
def redeliver(
    webhook: WebhookId,
    delivery: Annotated[str, typer.Argument(help="Id of the delivery.", metavar="DELIVERY")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Send a message once more."""
    with Client(url) as client:
        found = client.redeliver(webhook, delivery)
    tell(found, f"{delivery} is on its way again", as_json)


@app.command()
def delete(webhook: WebhookId, as_json: AsJson = False, url: Url = None) -> None:
    """Tell a webhook nothing more."""
    with Client(url) as client:
        client.delete_webhook(webhook)
    tell_done({"id": webhook, "deleted": True}, f"{webhook} is gone", as_json)
