"""The script that does every write of what a control plane keeps on a Redis server."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.stores.redis_script import framed

CONTROL: Final = framed((Path(__file__).parent / "control_store.lua").read_text())
