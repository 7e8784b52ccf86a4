"""A client over HTTP/1.1 that costs next to nothing, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass
class Connection:
    """Kept open; one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str

    @classmethod
    async def open(cls, port: int, key: str) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port), key)

    async def get(self, path: str, accept: str = "application/json") -> tuple[int, bytes]:
        """Status and body of an answer that says how long it is."""
        status, length = await self.begin(path, accept)
        return status, await self.reader.readexactly(length)

    async def begin(self, path: str, accept: str) -> tuple[int, int]:
        """Send a request and read the head of its answer: status and length, 0 for a stream."""
        self.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n"
            f"Authorization: Bearer {self.key}\r\n\r\n".encode()
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head.split(b" ", 2)[1]), int(length or 0)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@dataclass
class Stream:
    """An event stream that is open."""

    connection: Connection

    @classmethod
    async def open(cls, port: int, key: str, path: str) -> Stream:
        connection = await Connection.open(port, key)
        status, _ = await connection.begin(path, "text/event-stream")
        assert status == 200, f"{path}: {status}"
        return cls(connection)

    async def events(self) -> AsyncIterator[tuple[int, float]]:
        """Id and time of each event as it arrives, until the stream ends."""
        while line := await self.connection.reader.readline():
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                yield event["id"], event["time"]

    async def close(self) -> None:
        await self.connection.close()
