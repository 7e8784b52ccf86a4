"""Points in time as people write them."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Final

from api.overrides import BadInput

_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(option: str, text: str | None) -> float | None:
    """Unix seconds of a date (``2026-11-25``), a date with a time (ISO 8601, local unless it says
    otherwise), Unix seconds, or a while ago (``90m``, ``2d``); None of None.

    Raises:
        BadInput: it is none of these; the message names the option.
    """
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return float(text) if text.isdigit() else datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise BadInput(f"{option} {text}: write 2026-11-25, 2026-11-25T12:00 or 2h") from None
