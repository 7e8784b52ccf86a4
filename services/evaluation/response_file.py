"""Responses on disk: Parquet files that are whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from services.atomic_write import replacing
from services.evaluation.response import Response

SCHEMA: Final = pa.schema(
    [
        ("question_id", pa.string()),
        ("sample", pa.int32()),
        ("seed", pa.int64()),
        ("question", pa.string()),
        ("gold", pa.list_(pa.string())),
        ("text", pa.string()),
        ("response_tokens", pa.int32()),
        ("thinkless_tokens", pa.int32()),
        ("token_digest", pa.string()),
        ("repetition", pa.float64()),
        ("finish_reason", pa.string()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("correct", pa.bool_()),
        ("seconds", pa.float64()),
    ]
)
"""The columns, named after the fields of :class:`Response`."""

_FACTS: Final = b"laconic"


class ResponseFileError(ValueError):
    """A file of responses that cannot be read; the message names it and the remedy."""


def write_responses(path: Path, responses: Sequence[Response], facts: Mapping[str, Any]) -> None:
    """Write responses, one a row.

    Args:
        path: its folder is made.
        responses: in the order of the questions.
        facts: kept with the file, JSON-ready.
    """
    table = pa.Table.from_pylist([_row(r) for r in responses], schema=SCHEMA)
    table = table.replace_schema_metadata({_FACTS: json.dumps(facts).encode()})
    with replacing(path) as file:
        pq.write_table(table, file, compression="zstd")


def read_responses(path: Path) -> tuple[list[Response], dict[str, Any]]:
    """Return the responses of a file and the facts kept with it.

    Raises:
        ResponseFileError: it cannot be read, or has other columns.
    """
    try:
        # The reader's threads would outlive the call, in processes that fork.
        table = pq.read_table(path, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise ResponseFileError(
            f"{path} cannot be read ({error}); remove it and resume the evaluation"
        ) from error
    if not table.schema.equals(SCHEMA):
        raise ResponseFileError(
            f"{path} has other columns than responses have ({', '.join(table.column_names)}); "
            "remove it and resume the evaluation"
        )
    rows = table.to_pylist()
    facts = json.loads((table.schema.metadata or {}).get(_FACTS, b"{}"))
    return [Response(**{**row, "gold": tuple(row["gold"])}) for row in rows], facts


def _row(response: Response) -> dict[str, Any]:
    return {**asdict(response), "gold": list(response.gold)}
