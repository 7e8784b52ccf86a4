"""Files as answers: whole or a range of them, and never as something a browser runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import FileResponse

from api.problems import ApiProblem

_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
_SHOWN: Final = {
    ".png": "image/png",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
"""What a browser may show; everything else is saved."""
_SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_CONTENT: Final[dict[str, Any]] = {"*/*": {"schema": {}}}
"""Any bytes: a file that holds JSON is no string, and one that does not is no JSON."""

FILE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": _CONTENT},
    206: {"description": "The range that was asked for.", "content": _CONTENT},
    416: {"description": "The range lies outside the file."},
}


def file_response(
    request: Request, path: Path, sha256: str | None = None, media_type: str | None = None
) -> FileResponse:
    """Answer with a file, or with the range the request names.

    Args:
        request: whose ``Range`` header counts.
        path: of a file there is.
        sha256: its digest, which becomes its ETag.
        media_type: else by the file's ending.

    Raises:
        ApiProblem: 400 for a range that is none or several, 416 for one outside the file.
    """
    size = path.stat().st_size
    given = request.headers.get("range")
    if given is not None and not _is_stale(request, sha256):
        _check_range(given, size)
    shown = _SHOWN.get(path.suffix)
    headers = {"Content-Security-Policy": _SANDBOX, "Accept-Ranges": "bytes"}
    if sha256 is not None:
        headers["ETag"] = f'"{sha256}"'
    return FileResponse(
        path,
        media_type=media_type or shown or "application/octet-stream",
        filename=path.name,
        content_disposition_type="inline" if shown else "attachment",
        headers=headers,
    )


def _is_stale(request: Request, sha256: str | None) -> bool:
    """Whether the range is of what the file was before (If-Range): then the whole file is sent."""
    condition = request.headers.get("if-range", "")
    return sha256 is not None and condition.startswith('"') and condition != f'"{sha256}"'


def _check_range(given: str, size: int) -> None:
    match = _RANGE.fullmatch(given.strip())
    if match is None:
        detail = "Range must be one range of bytes: bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT"
        raise ApiProblem(400, "bad_range", detail)
    first, last, count = match.groups()
    outside = int(count) == 0 if count else int(first) >= size
    if outside or (first and last and int(last) < int(first)):
        detail = f"the file has {size} bytes, and {given} lies outside"
        raise ApiProblem(
            416, "range_not_satisfiable", detail, headers={"Content-Range": f"bytes */{size}"}
        )
