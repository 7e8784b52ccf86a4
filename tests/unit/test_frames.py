"""Messages between pool and worker."""

from __future__ import annotations

import io

import pytest

from services.verification import frames

MESSAGES = [{"id": 1, "answer": "\ud800 é"}, {}, {"golds": ["x"] * 1000}]


@pytest.mark.parametrize("step", [1, 3, 4096])
def test_messages_come_out_whole_however_they_arrive(step: int):
    stream = b"".join(frames.encode(m) for m in MESSAGES)
    buffer, found = bytearray(), []
    for i in range(0, len(stream), step):
        buffer += stream[i : i + step]
        while (message := frames.take(buffer)) is not None:
            found.append(message)
    assert found == MESSAGES
    assert not buffer


def test_reading_ends_with_the_stream():
    stream = io.BytesIO(frames.encode(MESSAGES[0]) + b"\0\0")
    assert frames.read(stream) == MESSAGES[0]
    assert frames.read(stream) is None


@pytest.mark.parametrize("noise", [b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\1x"])
def test_noise_is_an_error(noise: bytes):
    with pytest.raises(ValueError, match=r".+"):
        frames.take(bytearray(noise))
