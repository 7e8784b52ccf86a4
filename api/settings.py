"""Settings of the control plane; each has an environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.limits import Limits
from services.control.webhook_target import Network, networks
from services.home import Home
from services.stores.retention import Retention

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8420


@dataclass(frozen=True)
class Settings:
    """What :func:`api.app.create_app` needs to know."""

    home: Home = field(default_factory=Home.resolve)
    ray_dashboard: str = "http://127.0.0.1:8265"
    """Address of the Ray dashboard, which takes jobs (``RAY_API_SERVER_ADDRESS``,
    or ``RAY_ADDRESS`` where that is an http address)."""
    max_running_jobs: int = 1
    """Jobs with a driver at the same time; the others wait in the queue
    (``LACONIC_MAX_RUNNING_JOBS``)."""
    reconcile_seconds: float = 1.0
    """Time between two looks at Ray; new jobs are seen to at once."""
    cancel_grace_seconds: float = 120.0
    """How long a driver may take to end itself after a cancel before its Ray job is stopped
    (``LACONIC_CANCEL_GRACE_SECONDS``)."""
    heartbeat_fresh_seconds: float = 10.0
    """A driver that was heard within this time is at work, whatever Ray says or does not say of it;
    it sends a heartbeat every two seconds (``LACONIC_HEARTBEAT_FRESH_SECONDS``)."""
    heartbeat_overdue_seconds: float = 120.0
    """A job whose driver was silent for this long is ``reconciling``, whatever Ray says of it
    (``LACONIC_HEARTBEAT_OVERDUE_SECONDS``)."""
    lease_seconds: float = 15.0
    """Of several control planes on one store: how long the jobs go unlooked after when the one that
    did so is killed (``LACONIC_LEASE_SECONDS``)."""
    retention: Retention = field(default_factory=Retention)
    """How much the store keeps (``LACONIC_KEEP_EVENTS``, ``LACONIC_KEEP_STEPS``,
    ``LACONIC_KEEP_ENDED_DAYS``)."""
    verify_workers: int = 1
    """Responses to ``POST /v1/verify`` judged at a time, and as many again that take long; jobs
    have pools of their own (``LACONIC_VERIFY_WORKERS``)."""
    poll_seconds: float = 0.5
    """Time between two looks of an event stream at the store."""
    stream_heartbeat_seconds: float = 15.0
    """A comment is sent on an event stream that was silent for this long."""
    metrics_retention_seconds: float = 600.0
    """How long ``/metrics`` still shows the series of a job that has ended."""
    takes_up_interrupted: bool = True
    """Whether jobs that were interrupted before this control plane started go on by themselves."""
    alone: bool = True
    """Whether no other control plane serves the home folder."""
    limits: Limits = field(default_factory=Limits)
    roots: tuple[Path, ...] | None = None
    """Folders that models and data sets may lie in (``LACONIC_ROOTS``, separated as ``PATH`` is).
    None is the whole machine for who needs no key, and nothing for who has one; it is refused when
    others than this machine can connect."""
    hub: tuple[str, ...] | None = None
    """Organisations and repositories of the Hugging Face hub that jobs may name (``LACONIC_HUB``,
    separated by commas; ``*`` is all). None is all for who needs no key, and none for who has one,
    as it is with :attr:`roots`."""
    allowed_hosts: frozenset[str] = frozenset()
    """Names besides localhost that a control plane without keys answers as
    (``LACONIC_ALLOWED_HOSTS``, separated by commas)."""
    webhook_networks: tuple[Network, ...] = ()
    """Networks that webhooks may point into although they are not public
    (``LACONIC_WEBHOOK_NETWORKS``, separated by commas)."""

    @classmethod
    def from_environment(
        cls, home: Home | None = None, ray_dashboard: str | None = None
    ) -> Settings:
        """Read the environment; arguments win.

        Raises:
            ValueError: a variable is not a number in its range; the message names it.
        """
        given = ray_dashboard or os.environ.get("RAY_API_SERVER_ADDRESS")
        ray_address = os.environ.get("RAY_ADDRESS", "")
        if not given and ray_address.startswith(("http://", "https://")):
            given = ray_address
        return cls(
            home=home or Home.resolve(),
            ray_dashboard=given or cls.ray_dashboard,
            max_running_jobs=int(_number("LACONIC_MAX_RUNNING_JOBS", cls.max_running_jobs, 1)),
            verify_workers=int(_number("LACONIC_VERIFY_WORKERS", cls.verify_workers, 1)),
            cancel_grace_seconds=_number(
                "LACONIC_CANCEL_GRACE_SECONDS", cls.cancel_grace_seconds, 0
            ),
            limits=Limits.from_environment(),
            roots=_roots(),
            hub=tuple(_names("LACONIC_HUB")) if "LACONIC_HUB" in os.environ else None,
            allowed_hosts=frozenset(_names("LACONIC_ALLOWED_HOSTS")),
            webhook_networks=_networks(),
            heartbeat_fresh_seconds=_number(
                "LACONIC_HEARTBEAT_FRESH_SECONDS", cls.heartbeat_fresh_seconds, 3
            ),
            heartbeat_overdue_seconds=_number(
                "LACONIC_HEARTBEAT_OVERDUE_SECONDS", cls.heartbeat_overdue_seconds, 10
            ),
            lease_seconds=_number("LACONIC_LEASE_SECONDS", cls.lease_seconds, 2),
            retention=Retention.from_environment(),
        )


def _names(variable: str) -> list[str]:
    return [n.strip() for n in os.environ.get(variable, "").split(",") if n.strip()]


def _roots() -> tuple[Path, ...] | None:
    text = os.environ.get("LACONIC_ROOTS")
    if text is None:
        return None
    roots = [Path(part).expanduser() for part in text.split(os.pathsep) if part]
    for root in roots:
        if not root.is_absolute() or not root.is_dir():
            raise ValueError(f"LACONIC_ROOTS: {root} is not the absolute path of a folder")
    return tuple(roots)


def _networks() -> tuple[Network, ...]:
    try:
        return networks(os.environ.get("LACONIC_WEBHOOK_NETWORKS", ""))
    except ValueError as error:
        raise ValueError(f"LACONIC_WEBHOOK_NETWORKS: {error}") from error


def _number(variable: str, default: float, least: float) -> float:
    text = os.environ.get(variable)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ValueError(f"{variable} must be a number of at least {least:g}, not {text!r}")
    return value
