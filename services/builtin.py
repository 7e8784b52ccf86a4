"""What a specification names rather than locates: models and data sets that ship with Laconic
(``builtin:NAME``), and benchmarks (``benchmark:NAME``)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PREFIX: Final = "builtin:"
BENCHMARK_PREFIX: Final = "benchmark:"

_ASSETS: Final = Path(__file__).parent / "tiny_reasoner" / "assets"

BUILTIN: Final[dict[str, Path]] = {
    "tiny-reasoner": _ASSETS / "model",
    "tiny-train": _ASSETS / "train.jsonl",
    "tiny-heldout": _ASSETS / "heldout.jsonl",
}


class UnknownBuiltin(ValueError):
    """Nothing of this name ships with Laconic."""

    def __init__(self, name: str) -> None:
        names = ", ".join(PREFIX + n for n in BUILTIN)
        super().__init__(f"nothing named {PREFIX}{name} ships with Laconic; use {names} or a path")


def is_name(path: str) -> bool:
    """Whether a path of a specification is a name, the same in every folder."""
    return path.startswith((PREFIX, BENCHMARK_PREFIX))


def resolve_path(path: str) -> Path:
    """The file or folder that a path of a specification names.

    Raises:
        UnknownBuiltin: ``builtin:`` with an unknown name.
    """
    if not path.startswith(PREFIX):
        return Path(path).expanduser()
    name = path.removeprefix(PREFIX)
    if name not in BUILTIN:
        raise UnknownBuiltin(name)
    return BUILTIN[name]
