"""One file of a data set on the Hugging Face hub, from the cache or over the network."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.benchmarks.registry import HubCopy

SECONDS: Final = 45.0
"""Longest download: a submission waits for it, and its client for a minute."""

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fetched:
    """A file in the cache of the hub's client."""

    file: Path
    revision: str
    """Commit of the repository it is from."""


class HubError(RuntimeError):
    """The hub did not give the file; the message says why."""


def cached(copy: HubCopy) -> Fetched | None:
    """Return the file if it is in the cache; the network is not touched."""
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            copy.repo,
            repo_type="dataset",
            revision=copy.revision,
            allow_patterns=copy.files,
            local_files_only=True,
        )
    except OSError:  # not there, not complete, or not readable: the download says which
        return None
    return _only_file(Path(folder), copy.files)


def download(copy: HubCopy, seconds: float = SECONDS) -> Fetched:
    """Fetch the file into the cache. A download that was cut off goes on where it was.

    In a process of its own: the client has no limit for a download as a whole, and its threads
    cannot be ended. ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HOME`` count.

    Raises:
        HubError: the hub cannot be reached or may not be, has no such file, or is too slow.
    """
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])]),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "services.benchmarks.hub", copy.repo, copy.files]
    try:
        done = subprocess.run(
            [*command, *([copy.revision] if copy.revision else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HubError(f"the hub did not deliver the file within {seconds:g} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise HubError(f"the download ended with code {done.returncode}: {last}")
    answer = json.loads(done.stdout)
    if reason := answer.get("error"):
        raise HubError(reason)
    found = _only_file(Path(answer["folder"]), copy.files)
    if found is None:
        raise HubError(f"the repository has no file {copy.files}, or several")
    return found


def _only_file(folder: Path, pattern: str) -> Fetched | None:
    """The one file that matches, in a folder named after its commit."""
    names = (p for p in sorted(folder.rglob("*")) if p.is_file())
    files = [p for p in names if fnmatch.fnmatch(p.relative_to(folder).as_posix(), pattern)]
    return Fetched(files[0], folder.name) if len(files) == 1 else None


def _main(repo: str, files: str, revision: str | None = None) -> None:
    from huggingface_hub import constants, snapshot_download

    try:
        folder = snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=files
        )
    except Exception as error:  # whatever the client and the network fail with
        first = (str(error).strip().splitlines() or [""])[0]
        reason = f"{type(error).__name__}: {first}"[:300]
        if constants.HF_HUB_OFFLINE:
            reason = "not in the cache, and HF_HUB_OFFLINE forbids to download it"
        print(json.dumps({"error": reason}))
    else:
        print(json.dumps({"folder": folder}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
