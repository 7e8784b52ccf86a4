"""Settings of the control plane; each has an environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from services.home import Home

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
    verify_workers: int = 1
    """Responses to ``POST /v1/verify`` judged at a time, and as many again that take long; jobs
    have pools of their own (``LACONIC_VERIFY_WORKERS``)."""
    poll_seconds: float = 0.5
    """Time between two looks of an event stream at the store."""
    stream_heartbeat_seconds: float = 15.0
    """A comment is sent on an event stream that was silent for this long."""
    metrics_retention_seconds: float = 600.0
    """How long ``/metrics`` still shows the series of a job that has ended."""

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
        )


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
