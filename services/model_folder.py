"""A checkpoint folder, looked at without loading it: is it one that can be trained?"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEADER_LIMIT = 100 * 2**20
"""Largest header the safetensors format allows, in bytes."""


@dataclass(frozen=True)
class ModelFacts:
    """What a specification is checked against."""

    context: int | None
    """``max_position_embeddings``; None where the configuration does not say."""
    parameters: int = 0
    """Numbers in the weight files; a tied head counts once."""
    layers: int = 0
    hidden: int = 0
    vocabulary: int = 0
    """Of the configuration, 0 where it does not say."""


class ModelError(ValueError):
    """A model folder that cannot be used; the message names the remedy."""


def inspect_model(folder: Path, *, weights: bool = True) -> ModelFacts:
    """Look at a Hugging Face checkpoint folder.

    Args:
        folder: to look at.
        weights: whether they must be there already; without them nothing is counted.

    Raises:
        ModelError: no folder, no readable configuration, tokenizer or safetensors weights.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ModelError(
            f"{folder} {what}; give a folder with a Hugging Face checkpoint (config.json, "
            "tokenizer.json, model.safetensors)"
        )
    config = _read_config(folder)
    _refuse_code(folder)
    _check_tokenizer(folder)
    parameters = _check_weights(folder) if weights else 0

    def number(field: str) -> int:
        value = config.get(field)
        return value if isinstance(value, int) else 0

    return ModelFacts(
        context=number("max_position_embeddings") or None,
        parameters=parameters,
        layers=number("num_hidden_layers"),
        hidden=number("hidden_size"),
        vocabulary=number("vocab_size"),
    )


def _refuse_code(folder: Path) -> None:
    """A configuration with ``auto_map`` asks its reader to run code that lies beside it."""
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        try:
            content = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and "auto_map" in content:
            raise ModelError(
                f"{folder / name} has auto_map: the model brings code of its own, which is never "
                "run; use a model of an architecture that transformers and vLLM have, saved "
                "without auto_map"
            )


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} has no config.json; save the model with save_pretrained"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file} cannot be read ({error}); save the model again with save_pretrained"
        ) from error
    if not isinstance(config, dict) or not config.get("model_type"):
        raise ModelError(f"{file} names no model_type; save the model again with save_pretrained")
    return config


def _check_tokenizer(folder: Path) -> None:
    complete = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))
    if not any(all((folder / name).is_file() for name in names) for names in complete):
        raise ModelError(
            f"{folder} has no tokenizer (tokenizer.json); save it beside the model with "
            "tokenizer.save_pretrained"
        )
    if not _has_chat_template(folder):
        raise ModelError(
            f"the tokenizer in {folder} has no chat template; set tokenizer.chat_template and "
            "save it again"
        )


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(config.get("chat_template"))


def _check_weights(folder: Path) -> int:
    """Return how many numbers the weight files hold."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = {str(v) for v in json.loads(index.read_bytes())["weight_map"].values()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"{index} cannot be read; save the model again") from error
        if led := sorted(s for s in shards if Path(s).name != s):
            raise ModelError(
                f"{index} names {led[0]!r}, which is not a file beside it; save the model again"
            )
        files = [folder / name for name in sorted(shards)]
        if missing := [f.name for f in files if not f.is_file()]:
            raise ModelError(
                f"{folder} lacks {', '.join(missing)}, which {index.name} lists; complete the copy"
            )
    else:
        files = [f for f in (folder / "model.safetensors",) if f.is_file()]
    if not files:
        other = sorted(
            f.name for f in folder.iterdir() if f.suffix in {".bin", ".pt", ".pth", ".gguf", ".h5"}
        )
        found = f"only {', '.join(other)}: " if other else ""
        raise ModelError(
            f"{folder} has {found}no safetensors weights; convert with "
            "model.save_pretrained(folder, safe_serialization=True)"
        )
    return sum(_check_safetensors(file) for file in files)


def _check_safetensors(file: Path) -> int:
    """Read the header and compare it with the size: catches pointer files and cut downloads. Return
    how many numbers the file holds."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= min(_HEADER_LIMIT, size - 8):
            raise ModelError(f"{file} is not a safetensors file; fetch or save the weights again")
        try:
            header = json.loads(stream.read(length))
            tensors = [t for n, t in header.items() if n != "__metadata__"]
            end = 8 + length + max((t["data_offsets"][1] for t in tensors), default=0)
            numbers = int(sum(math.prod(t["shape"]) for t in tensors))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ModelError(
                f"the header of {file} cannot be read; fetch or save the weights again"
            ) from error
    if end != size:
        raise ModelError(
            f"{file} has {size} bytes where its header says {end}; fetch the weights again"
        )
    return numbers
