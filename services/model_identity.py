"""Which model was evaluated: a digest of what makes its answers, and its size."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PARTS: Final = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt")


@dataclass(frozen=True)
class ModelIdentity:
    """What tells two models apart, wherever they lie."""

    sha256: str
    """Over name and content of weights, configuration, tokenizer and chat template."""
    parameters: int
    """Elements of all tensors in the weight files; tied ones stand there once."""


def identify(folder: Path) -> ModelIdentity:
    """Read a checkpoint folder through, at the speed of the disk.

    Raises:
        OSError: a file cannot be read.
    """
    files = sorted({f for part in _PARTS for f in folder.glob(part)})
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.name}\0{digest}\n".encode())
    weights = (f for f in files if f.suffix == ".safetensors")
    return ModelIdentity(whole.hexdigest(), sum(map(_elements, weights)))


def _elements(file: Path) -> int:
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(t["shape"]) for n, t in header.items() if n != "__metadata__")
