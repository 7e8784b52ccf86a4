"""Whether a Ray cluster of others may be used: who reaches its Jobs API runs code on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

ASK_SECONDS: Final = 5.0
OLDEST: Final = (2, 54)
"""Before it a web page in a browser of the network could delete and submit jobs (CVE-2025-62593,
CVE-2026-27482)."""


@dataclass(frozen=True)
class Posture:
    """What a cluster says to somebody who has no token."""

    open: bool
    """It showed its jobs."""
    version: str | None
    """Of Ray; None where it was not told."""


def look(address: str, token: str | None = None, seconds: float = ASK_SECONDS) -> Posture | None:
    """Ask a cluster without a token; None where it does not answer, which says nothing of it.

    Args:
        address: of the dashboard.
        token: with which the version is asked for.
        seconds: longest wait for each answer.
    """
    own = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=address, timeout=seconds, trust_env=False) as client:
            jobs = client.get("/api/jobs/")
            version = client.get("/api/version", headers=own)
    except httpx.HTTPError:
        return None
    return Posture(jobs.is_success, _version(version))


def _version(answer: httpx.Response) -> str | None:
    try:
        found = answer.json()["ray_version"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def objections(posture: Posture, ours: str) -> tuple[list[str], list[str]]:
    """What speaks against a cluster: first what must not be beyond this machine, then what is worth
    a warning anywhere.

    Args:
        posture: of the cluster.
        ours: version of Ray that is installed here.
    """
    grave, mild = [], []
    if posture.open:
        grave.append(
            "it takes jobs from whoever reaches it; start it with RAY_AUTH_MODE=token and give the "
            "same RAY_AUTH_TOKEN to both"
        )
    numbers = re.match(r"(\d+)\.(\d+)", posture.version or "")
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        grave.append(f"it runs Ray {posture.version}; before {oldest} web pages can reach it")
    if posture.version is not None and posture.version != ours:
        mild.append(
            f"it runs Ray {posture.version}, and this control plane has {ours}; drivers may not "
            "start there: install the same version"
        )
    return grave, mild


def host_of(address: str) -> str:
    """The host of a dashboard's address."""
    return urlsplit(address).hostname or ""
