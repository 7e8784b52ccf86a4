"""Length-prefixed JSON on a byte stream: how the pool and its workers talk."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_HEADER = struct.Struct("!I")
MAX_FRAME = 1 << 20
"""Longest message of a worker, in bytes; those of the pool are bounded where they are made."""


def encode(message: dict[str, Any]) -> bytes:
    """Return the frame of a message."""
    body = json.dumps(message).encode()
    return _HEADER.pack(len(body)) + body


def take(buffer: bytearray) -> dict[str, Any] | None:
    """Remove and return the first whole message of a buffer, if there is one.

    Raises:
        ValueError: the buffer does not hold frames.
    """
    if len(buffer) < _HEADER.size:
        return None
    (size,) = _HEADER.unpack_from(buffer)
    if size > MAX_FRAME:
        raise ValueError(f"frame of {size} bytes, at most {MAX_FRAME} are allowed")
    end = _HEADER.size + size
    if len(buffer) < end:
        return None
    body = bytes(buffer[_HEADER.size : end])
    del buffer[:end]
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("frame without an object")
    return message


def read(stream: BinaryIO) -> dict[str, Any] | None:
    """Wait for one message; None at the end of the stream."""
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    message: dict[str, Any] = json.loads(stream.read(_HEADER.unpack(header)[0]))
    return message
