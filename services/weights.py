"""Policy weights as one contiguous buffer with an index and a checksum.

One buffer makes one object in the store: readers map it without a copy, and a single digest covers
every byte and every name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

Bundle = dict[str, Any]
"""``{"index": [[name, dtype, shape, offset, nbytes], ...], "buffer": uint8 array}``: built-in
types and one array, so any version of the code can read it."""

_ALIGN = 64


def pack(named: Iterable[tuple[str, torch.Tensor]]) -> Bundle:
    """Copy the tensors into one buffer, in the given order."""
    index: list[list[Any]] = []
    parts: list[tuple[int, np.ndarray[Any, Any]]] = []
    offset = 0
    for name, tensor in named:
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        index.append([name, str(tensor.dtype), list(tensor.shape), offset, raw.nbytes])
        parts.append((offset, raw))
        offset += -(-raw.nbytes // _ALIGN) * _ALIGN
    buffer = np.zeros(offset, dtype=np.uint8)
    for at, raw in parts:
        buffer[at : at + raw.nbytes] = raw
    return {"index": index, "buffer": buffer}


def unpack(bundle: Bundle) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors as views into the buffer. They must not be written to."""
    buffer = bundle["buffer"]
    for name, dtype, shape, offset, nbytes in bundle["index"]:
        raw = torch.from_numpy(buffer[offset : offset + nbytes])
        yield name, raw.view(getattr(torch, dtype.removeprefix("torch."))).reshape(shape)


def checksum(bundle: Bundle) -> str:
    """Return a hex digest of every name, shape and byte."""
    digest = hashlib.blake2b(json.dumps(bundle["index"]).encode(), digest_size=16)
    digest.update(bundle["buffer"])
    return digest.hexdigest()
