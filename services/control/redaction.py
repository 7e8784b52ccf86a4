"""Takes our own secrets out of texts that are shown, kept or logged."""

from __future__ import annotations

import json
import re
from typing import Final

_KEY: Final = r"(lk_[a-z0-9]{8})_[A-Za-z0-9_-]{43}"
_WEBHOOK: Final = r"(whsec_)[A-Za-z0-9+/]{43}="
_SECRET: Final = re.compile(f"{_KEY}|{_WEBHOOK}")
_SECRET_BYTES: Final = re.compile(_SECRET.pattern.encode())


def redact(text: str) -> str:
    """The text with what opens something replaced; of a key its prefix stays."""
    return _SECRET.sub(lambda m: f"{m[1] or m[2]}***", text)


def holds_secret(content: bytes) -> bool:
    """Whether there is an API key or a webhook secret in it, as it stands or, in JSON, in what its
    strings say."""
    if _SECRET_BYTES.search(content) is not None:
        return True
    if b"\\" not in content:
        return False
    try:
        said = json.dumps(json.loads(content), ensure_ascii=False)
    except (ValueError, RecursionError):
        return False  # No JSON: nothing of it is kept.
    return _SECRET.search(said) is not None
