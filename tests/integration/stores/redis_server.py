"""A Redis server of a test's own: the Debian program, a free port, a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from services.stores.protocol import StoreUnavailable
from services.stores.redis_address import RedisAddress
from services.stores.redis_calls import RedisCalls

START_SECONDS = 20.0


def program(name: str, package: str) -> str:
    """The path of a program the tests need; fails, never skips, where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(
            f"{name} is not installed: run scripts/system-packages.sh as root, or install the "
            f"Debian package {package}",
            pytrace=False,
        )
    return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class RedisServer:
    """Start, kill and start again; what the server wrote to its folder stays."""

    def __init__(self, folder: Path, *settings: str, url: str = "", port: int = 0) -> None:
        """Nothing is started yet.

        Args:
            folder: the server's own.
            settings: as on its command line, e.g. ``--appendonly yes``; they win.
            url: how to get in, where the plain address does not do.
            port: to listen on; 0 takes any that is free.
        """
        self.folder, self.port = folder, port or free_port()
        self.url = url or f"redis://127.0.0.1:{self.port}/0"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            program("redis-server", "redis-server"),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--daemonize", "no", "--loglevel", "warning"),
            *self._settings,
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        calls = RedisCalls(RedisAddress.parse(self.url, {}), START_SECONDS)
        try:
            calls.ask(lambda client: client.ping())
        except StoreUnavailable:
            pytest.fail(f"redis-server did not start: {(self.folder / 'log').read_text()[-2000:]}")
        finally:
            calls.close()
        return self

    def kill(self) -> None:
        """End it as a power cut would end its process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_SECONDS)
        self._process = None

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def commands_seen(self) -> int:
        """How many commands it has processed."""
        calls = RedisCalls(RedisAddress.parse(self.url, {}), START_SECONDS)
        try:
            return int(calls.ask(lambda client: client.info("stats"))["total_commands_processed"])
        finally:
            calls.close()


def wait_for_port(port: int, seconds: float = START_SECONDS) -> None:
    """Return once something listens."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listened on port {port} within {seconds:g} s")
