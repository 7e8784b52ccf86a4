"""Models and data files of the Hugging Face hub, at one commit, in the cache of the home folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from services.home import Home

SUBMISSION_SECONDS: Final = 45.0
"""Longest download while a submission waits: a data file, or a model without its weights."""
JOB_SECONDS: Final = 4 * 3600.0
"""Longest download when a job starts."""
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
SUFFIXES: Final = (".jsonl", ".json", ".parquet")
_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_REPO: Final = re.compile(f"{_PART}/{_PART}")
_DESCRIPTION: Final = ("*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")
_WEIGHTS: Final = ("*.safetensors",)
"""Nothing else of a model is fetched: no code (``*.py``), no pickle (``*.bin``, ``*.pt``)."""
_ROOT: Final = Path(__file__).resolve().parents[1]


class HubError(RuntimeError):
    """The hub did not give it; the message says why and what to do."""


@dataclass(frozen=True)
class HubSource:
    """What a specification names on the hub."""

    kind: Literal["model", "dataset"]
    repo: str
    """``organisation/name``."""
    revision: str
    """Full hash of a commit."""
    file: str | None = None
    """Of a data set: the file in the repository."""

    def place(self, home: Home) -> Path:
        """Where it lies once it is fetched, the same on every machine with this home folder."""
        folder = home.hub / f"{self.kind}s--{self.repo.replace('/', '--')}"
        snapshot = folder / "snapshots" / self.revision
        return snapshot if self.file is None else snapshot / self.file

    def fetch(
        self,
        home: Home,
        *,
        weights: bool,
        seconds: float,
        waiting: Callable[[], None] = lambda: None,
    ) -> Path:
        """Fetch what is not there yet; return :meth:`place`. A download that was cut off goes on.

        In a process of its own, which can be ended. ``HF_ENDPOINT``, ``HF_TOKEN`` and
        ``HF_HUB_OFFLINE`` count.

        Args:
            home: whose cache it goes to.
            weights: of a model, whether they are wanted too.
            seconds: longest wait.
            waiting: called twice a second meanwhile; may raise to give up.

        Raises:
            HubError: the hub cannot be reached or may not be, has no such thing, or is too slow.
        """
        place = self.place(home)
        patterns = [*_DESCRIPTION, *(_WEIGHTS if weights else ())]
        wanted = patterns if self.file is None else [self.file]
        reason = _download(self, home.hub, wanted, seconds, waiting)
        there = place.is_file() if self.file else (place / "config.json").is_file()
        if reason is None and there:
            return place
        if reason is None:
            reason = f"it has no file {self.file or 'config.json'} at this commit"
        raise HubError(f"{self.repo} at {self.revision[:12]} of the Hugging Face hub: {reason}")


def repo_objection(repo: str) -> str | None:
    """Say why a text is no id of a repository, or None."""
    if not _REPO.fullmatch(repo) or "--" in repo or ".." in repo:
        return f"{repo[:80]!r} is not the id of a repository; write organisation/name"
    return None


def file_objection(file: str) -> str | None:
    """Say why a text names no data file of a repository, or None."""
    parts = PurePosixPath(file).parts
    plain = re.fullmatch(r"[A-Za-z0-9._/ =+-]{1,300}", file) and not file.startswith("/")
    if not plain or any(p in ("..", ".") for p in file.split("/")) or not parts:
        return f"{file[:80]!r} is not a file of a repository; write its path there, without .."
    if not file.endswith(SUFFIXES):
        return f"{file[:80]!r} is not a {', '.join(SUFFIXES)} file"
    return None


def _download(
    source: HubSource,
    cache: Path,
    patterns: list[str],
    seconds: float,
    waiting: Callable[[], None],
) -> str | None:
    """Run the client; return why it failed, or None."""
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])]),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    asked = [source.kind, source.repo, source.revision, str(cache), *patterns]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.hub_source", *asked],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        deadline = time.monotonic() + seconds
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    return f"not delivered within {seconds:g} s; what came is kept, try again"
                waiting()
                try:
                    process.wait(0.5)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        text = said.read().strip().splitlines()
    if process.returncode or not text:
        return f"the download ended with code {process.returncode}"
    reason: str | None = json.loads(text[-1])["error"]
    return reason


def _main(kind: str, repo: str, revision: str, cache: str, *patterns: str) -> None:
    from huggingface_hub import constants, snapshot_download

    reason = None
    try:
        snapshot_download(
            repo,
            repo_type=kind,
            revision=revision,
            cache_dir=cache,
            allow_patterns=list(patterns),
            # A model's own folder has all it needs; what lies deeper is of other formats.
            ignore_patterns=["*/*"] if kind == "model" else None,
            local_files_only=constants.HF_HUB_OFFLINE,
        )
    except Exception as error:  # whatever the client and the network fail with
        first = (str(error).strip().splitlines() or [""])[0]
        reason = f"{type(error).__name__}: {first}"[:300]
        if constants.HF_HUB_OFFLINE:
            reason = f"it is not in the cache ({cache}), and HF_HUB_OFFLINE forbids to fetch it"
    print(json.dumps({"error": reason}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
