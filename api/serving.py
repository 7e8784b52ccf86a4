"""A whole control plane in this process: the API, and a Ray cluster of its own unless one is
given. What ``laconic serve`` and ``laconic demo`` run."""

from __future__ import annotations

import fcntl
import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import IO, Final

import uvicorn

from api.app import create_app
from api.cluster import LocalCluster
from api.dependencies import Context
from api.first_keys import import_first_keys
from api.http_protocol import server_config
from api.ray_posture import host_of, look, objections
from api.settings import DEFAULT_HOST, DEFAULT_PORT, Settings
from services.benchmarks.load import fix_data_folder
from services.control.stores import open_control
from services.home import Home
from services.stores.lifecycle import ACTIVE
from services.stores.open import locate
from services.stores.protocol import IllegalTransition, JobRecord, JobStore, StaleAttempt
from services.stores.redis_address import RedisAddress

log = logging.getLogger("laconic.serving")

UP_SECONDS: Final = 30.0
"""Longest wait for the server to answer."""
DRAIN_SECONDS: Final = 120.0
"""Longest wait for drivers to stop at a consistent point."""

_PAGE: Final = 100


class ServingError(RuntimeError):
    """The control plane could not start; the message says what to do."""


class ControlPlane:
    """Context manager around cluster and server. Enter it in a thread that outlives it, best the
    main thread: a cluster of its own ends with the thread that started it."""

    def __init__(
        self,
        home: Home,
        *,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        takes_up: bool = True,
    ) -> None:
        """Nothing is started yet.

        Args:
            home: where it keeps its things.
            host: address to listen on.
            port: 0 takes any free port.
            takes_up: whether jobs that were interrupted before go on by themselves.
        """
        self._home, self._host, self._port, self._takes_up = home, host, port, takes_up
        self._cluster: LocalCluster | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._context: Context | None = None
        self._lock: IO[str] | None = None
        self.url = ""
        """Where the API answers, once started."""

    @property
    def owns_cluster(self) -> bool:
        """Whether Ray was started here and ends here."""
        return self._cluster is not None

    @property
    def key(self) -> str:
        """What clients in this process send; others need an API key where there are any."""
        assert self._context is not None
        return self._context.authenticator.own_token

    def __enter__(self) -> ControlPlane:
        self._home.create()
        import_first_keys(self._home)
        refuse_open_door(self._home, self._host)
        has_ray = bool(os.environ.get("RAY_ADDRESS") or os.environ.get("RAY_API_SERVER_ADDRESS"))
        # Several control planes work side by side where they share both a store and Ray.
        if not (has_ray and isinstance(locate(None, self._home), RedisAddress)):
            self._lock = lock_home(self._home)
        fix_data_folder()
        listener = self._listen()
        try:
            if has_ray:
                refuse_open_ray(Settings.from_environment(self._home).ray_dashboard)
            else:
                self._cluster = LocalCluster()
                self._cluster.start()
            self._serve(listener)
        except BaseException:
            self.close()
            listener.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise when a part that is needed has ended by itself.

        Raises:
            ServingError: with what ended.
        """
        if self._thread is not None and not self._thread.is_alive():
            raise ServingError("the API ended by itself; its error stands above")
        if self._cluster is not None and not self._cluster.is_alive():
            raise ServingError("the Ray cluster ended by itself; its jobs go on after a new start")

    def drain(
        self, seconds: float = DRAIN_SECONDS, give_up: Callable[[], bool] = lambda: False
    ) -> bool:
        """Take no jobs any more, and if the cluster is our own, have those with a driver stop where
        they can be resumed; those without one stay in the queue. True if all did so before
        ``seconds`` passed or ``give_up()``."""
        if self._context is None:
            return True
        self._context.closing.set()
        if self._cluster is None:
            return True  # The jobs go on without us.
        asked: set[str] = set()
        deadline = time.monotonic() + seconds
        # Asked again each time: a driver may just have been submitted.
        while left := with_driver(self._context.store):
            for job in left:
                if job.id not in asked:
                    asked.add(job.id)
                    self._ask_to_stop(self._context, job)
            if time.monotonic() > deadline or give_up():
                break
            time.sleep(0.2)
        for job in left:
            cause = "the control plane ended before the driver had stopped"
            self._interrupt(self._context, job, cause)
        return not left

    def close(self) -> None:
        """End the server, then the cluster, then let the home folder go. Safe to call again."""
        try:
            self._close()
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _close(self) -> None:
        if self._context is not None:
            self._context.closing.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=90)
            self._thread = None
        if self._cluster is not None:
            try:
                if self._context is not None:
                    # No cluster, no driver: nothing may be left that claims to run.
                    for job in with_driver(self._context.store):
                        self._interrupt(self._context, job, "the control plane ended")
            finally:
                self._cluster.stop()
                self._cluster = None

    # -- the inside -----------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        """Take the port first: that it is in use should not be found after Ray has started."""
        listener = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
            # Bound is not enough: another socket with the same option could still listen.
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise ServingError(
                f"cannot listen on {self._host}:{self._port} ({error.strerror}); is another "
                "laconic serve running? choose a port with --port"
            ) from error
        port = listener.getsockname()[1]
        shown = DEFAULT_HOST if self._host in ("0.0.0.0", "::") else self._host
        self.url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
        return listener

    def _serve(self, listener: socket.socket) -> None:
        dashboard = self._cluster.dashboard if self._cluster else None
        settings = replace(
            Settings.from_environment(self._home, dashboard),
            alone=self._lock is not None,
            takes_up_interrupted=self._takes_up,
        )
        app = create_app(settings)
        self._context = app.state.context
        config = server_config(
            app, settings.limits, log_level="warning", timeout_graceful_shutdown=3
        )
        self._server = server = uvicorn.Server(config)
        # Not the main thread: signals stay with the caller, who decides how to end.
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="api", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + UP_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ServingError(f"the API did not come up within {UP_SECONDS:g} s")
            time.sleep(0.05)

    def _ask_to_stop(self, context: Context, job: JobRecord) -> None:
        try:
            context.store.send_command(job.id, "stop", {})
        except IllegalTransition as error:
            log.info("%s", error)

    def _interrupt(self, context: Context, job: JobRecord, cause: str) -> None:
        try:
            context.store.set_state(job.id, "interrupted", attempt=job.attempt, cause=cause)
        except (IllegalTransition, StaleAttempt) as error:
            log.info("%s", error)


def with_driver(store: JobStore) -> list[JobRecord]:
    """The jobs that have a driver, or may have one by now."""
    found: list[JobRecord] = []
    cursor: str | None = None
    while True:
        page, cursor = store.list_jobs(_PAGE, cursor, ACTIVE)
        found += [j for j in page if j.state != "queued" or j.ray_submission_id is not None]
        if cursor is None:
            return found


def refuse_open_door(home: Home, host: str) -> None:
    """Refuse to listen where others can connect unless they need a key, and cannot have a job read
    whatever this process can.

    Raises:
        ServingError: with what to do.
    """
    if is_loopback(host):
        return
    keys = open_control(home).keys.all()
    if not any(key.status(time.time()) == "active" for key in keys):
        raise ServingError(
            f"{host} can be reached from other machines, and there is no API key yet; make one "
            "with: laconic keys create NAME --scope admin"
        )
    if Settings.from_environment(home).roots is None:
        raise ServingError(
            f"{host} can be reached from other machines; set LACONIC_ROOTS to the folders that "
            "jobs may read models and data from (empty: only what ships with Laconic)"
        )


def refuse_open_ray(address: str) -> None:
    """Refuse a Ray cluster of another machine that asks nobody for a token, or that is known to be
    unsafe; say so loudly of one on this machine. One that does not answer is let pass: jobs wait
    until it does.

    Args:
        address: of its dashboard.

    Raises:
        ServingError: with what to do.
    """
    posture = look(address, os.environ.get("RAY_AUTH_TOKEN"))
    if posture is None:
        return
    grave, mild = objections(posture, version("ray"))
    if grave and not is_loopback(host_of(address)):
        raise ServingError(f"the Ray cluster at {address} is not safe to use: {'; '.join(grave)}")
    for objection in (*grave, *mild):
        log.warning("the Ray cluster at %s: %s", address, objection)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def lock_home(home: Home) -> IO[str]:
    """Hold the home folder until the file returned is closed, or this process ends.

    Raises:
        ServingError: another control plane holds it. Each would take the other's jobs for lost.
    """
    file = home.lock.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise ServingError(
            f"the home folder {home.root} is in use by another control plane (process {holder}); "
            "talk to that one, or give this one a folder of its own with --home"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
