"""Fetching from the hub with its real client: from its cache, over HTTP, and when nothing comes.

The hub itself cannot be asked here. :class:`LocalHub` answers the three requests its client makes
for a file, over HTTP; the client, its cache and our process around it are the real ones.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest

from services.benchmarks import hub
from services.benchmarks.load import VARIABLE, load_benchmark
from services.benchmarks.registry import BENCHMARKS, HubCopy
from services.data_error import DataError
from services.job_data import load_job_data
from services.presets.registry import resolve
from services.question_columns import Columns

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/some-benchmark"
COPY = HubCopy(REPO, "data/test*.jsonl", Columns("problem", "answer"))
CONTENT = b'{"problem": "1 + 1?", "answer": "2"}\n'


class LocalHub(BaseHTTPRequestHandler):
    """One data set with two files."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith(f"/api/datasets/{REPO}/revision/"):
            self._send({"id": REPO, "sha": COMMIT, "siblings": []})
        elif path.startswith(f"/api/datasets/{REPO}/tree/"):
            names = ["README.md", "data/test-0.jsonl"]
            oid = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
            self._send([{"type": "file", "path": n, "size": len(CONTENT), "oid": oid}
                        for n in names])  # fmt: skip
        elif path == f"/datasets/{REPO}/resolve/{COMMIT}/data/test-0.jsonl":
            self._send(CONTENT)
        else:
            self.send_error(404)

    def _send(self, body):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("ETag", f'"{hashlib.sha1(payload).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(payload)

    def log_message(self, *args):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the client's own, empty."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    folder = tmp_path / "hf" / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def served(cache, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), LocalHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    yield server
    server.shutdown()
    server.server_close()


def in_cache(cache, name, content=CONTENT, commit=COMMIT):
    folder = cache / f"datasets--{REPO.replace('/', '--')}"
    file = folder / "snapshots" / commit / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    return file


def test_a_file_in_the_cache_is_taken_from_there(cache):
    file = in_cache(cache, "data/test-0.jsonl")
    assert hub.cached(COPY) == hub.Fetched(file, COMMIT)


def test_another_file_in_the_cache_is_not(cache):
    in_cache(cache, "data/train-0.jsonl")
    assert hub.cached(COPY) is None


def test_a_pinned_revision_is_not_another_one(cache):
    in_cache(cache, "data/test-0.jsonl")
    pinned = HubCopy(REPO, COPY.files, COPY.columns, revision="f" * 40)
    assert hub.cached(pinned) is None


def test_a_download_brings_the_file_and_its_revision(served, cache):
    assert hub.cached(COPY) is None
    fetched = hub.download(COPY)
    assert (fetched.file.read_bytes(), fetched.revision) == (CONTENT, COMMIT)
    assert hub.cached(COPY) == fetched
    assert not list(cache.rglob("README.md")), "only the file that is needed"


def test_offline_mode_is_respected(served, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(hub.HubError, match="HF_HUB_OFFLINE"):
        hub.download(COPY)


def test_a_repository_without_the_file(served):
    with pytest.raises(hub.HubError, match=r"none\*"):
        hub.download(HubCopy(REPO, "none*", COPY.columns))


def test_an_unknown_repository(served):
    with pytest.raises(hub.HubError, match="404"):
        hub.download(HubCopy("someone/else", "*", COPY.columns))


def test_a_hub_that_is_not_there(cache, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(hub.HubError, match="onnect"):
        hub.download(COPY)


def test_a_hub_that_never_answers_is_given_up(cache, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(hub.HubError, match="within 3 s"):
            hub.download(COPY, seconds=3)
        assert time.monotonic() - started < 20


def test_a_benchmark_from_the_hub_has_its_revision(served, monkeypatch):
    """And a second time it comes from the cache, with the hub gone."""
    monkeypatch.delenv(VARIABLE, raising=False)
    entry = BENCHMARKS["math500"]
    changed = replace(entry, hub=(COPY,), rows=1, sha256=None)
    monkeypatch.setitem(BENCHMARKS, "math500", changed)
    found = load_benchmark("math500")
    assert (found.revision, found.source) == (COMMIT, f"{REPO}: test-0.jsonl")
    assert [q.gold for q in found.questions] == [("2",)]
    served.shutdown()
    assert load_benchmark("math500") == found


def test_a_resumed_job_takes_the_commit_it_began_with(served, cache, monkeypatch, tmp_path):
    """The hub has a newer one meanwhile; a job that begins then takes that."""
    monkeypatch.delenv(VARIABLE, raising=False)
    newer, content = "89abcdef" * 5, b'{"problem": "2 + 2?", "answer": "4"}\n'
    entry = replace(BENCHMARKS["math500"], hub=(COPY,), rows=1, sha256=None)
    monkeypatch.setitem(BENCHMARKS, "math500", entry)
    spec = resolve("tiny-cpu", {"data": {"path": "benchmark:math500"}, "evaluation": None})

    def questions(job):
        (tmp_path / job).mkdir(exist_ok=True)
        data = load_job_data(spec, tmp_path / job / "gold_check.json", lambda *_: None)
        return data.questions[0].question, data.notices[0].data["train"]["revision"]

    assert questions("first") == ("1 + 1?", COMMIT)
    in_cache(cache, "data/test-0.jsonl", content, newer)
    assert questions("first") == ("1 + 1?", COMMIT)
    assert questions("second") == ("2 + 2?", newer)


def test_a_benchmark_that_is_nowhere(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError) as caught:
        load_benchmark("gsm8k", tmp_path)
    assert "openai/gsm8k" in caught.value.remedy
    assert str(tmp_path / "gsm8k.jsonl") in caught.value.remedy
