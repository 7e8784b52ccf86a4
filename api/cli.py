"""The command ``laconic``: a client of the REST API, and the server itself.

Exit codes: 0 done, 1 the job did not succeed or the server cannot, 2 bad input or refused, 3 the
time that was given is over, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer
from rich.text import Text

from api.client import ApiError, DigestMismatch, Unreachable
from api.commands import (
    audit,
    data,
    evaluations,
    files,
    jobs,
    keys,
    looking,
    quota,
    records,
    results,
    running,
    steering,
    studies,
    verify,
    webhooks,
)
from api.commands.options import err
from api.overrides import BadInput

BAD_INPUT_STATUS = frozenset({400, 401, 403, 404, 405, 409, 412, 422})

app = typer.Typer(
    help="Trains a reasoning model to think shorter.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (running, jobs, steering, records, looking, evaluations, verify, results, studies):
    app.add_typer(group.app)
app.add_typer(data.app, name="data")
app.add_typer(files.checkpoints, name="checkpoints")
app.add_typer(files.models, name="models")
app.add_typer(files.artifacts, name="artifacts")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(keys.app, name="keys")
app.add_typer(quota.app, name="quota")
app.add_typer(audit.app, name="audit")


def _fail(lines: list[str], code: int) -> int:
    for line in lines:
        err.print(Text("error: ", "red").append(line, "default"), soft_wrap=True)
    return code


def main() -> None:
    """Entry point of the console script."""
    sys.exit(_run())


def _run() -> int:
    try:
        app(standalone_mode=True)
    except BadInput as error:
        return _fail([str(error)], 2)
    except ApiError as error:
        return _fail(error.lines, 2 if error.status in BAD_INPUT_STATUS else 1)
    except KeyboardInterrupt:
        return 130
    except (Unreachable, DigestMismatch, RuntimeError, ValueError, OSError) as error:
        # Also what the server's own start may raise: each says what to do.
        return _fail([str(error)], 1)
    return 0


if __name__ == "__main__":
    main()
