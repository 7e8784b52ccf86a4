"""Verbs for what jobs leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api.answers.artifacts import ArtifactList, ArtifactView
from api.answers.checkpoints import CheckpointList, CheckpointManifest, CheckpointView
from api.answers.models import Model, ModelList
from api.client.steering import job_path
from api.client.verbs import Verbs
from api.download import fetch


class Files(Verbs):
    """Checkpoints, artifacts, named models, results of evaluations."""

    def result(self, job_id: str) -> dict[str, Any]:
        """What ``evaluation.json`` holds."""
        return self._http.json("GET", job_path(job_id, "result"))

    def responses(self, job_id: str, benchmark: str) -> Iterator[bytes]:
        """The Parquet file with every response to a benchmark, in parts."""
        return self._http.download(job_path(job_id, f"responses/{quote(benchmark, safe='')}"))

    def checkpoints(self, job_id: str) -> list[CheckpointView]:
        """Every checkpoint of a job, the newest first."""
        return self._get(CheckpointList, job_path(job_id, "checkpoints")).data

    def checkpoint(self, job_id: str, step: int) -> CheckpointManifest:
        """A checkpoint with its files."""
        return self._get(CheckpointManifest, job_path(job_id, f"checkpoints/{step}"))

    def pin(self, job_id: str, step: int) -> None:
        """Keep a checkpoint, whatever newer ones there are."""
        self._http.json("PUT", job_path(job_id, f"checkpoints/{step}/pin"))

    def unpin(self, job_id: str, step: int) -> None:
        """Let go of a checkpoint."""
        self._http.json("DELETE", job_path(job_id, f"checkpoints/{step}/pin"))

    def delete_checkpoint(self, job_id: str, step: int) -> None:
        """Take a checkpoint away, if nothing needs it."""
        self._http.json("DELETE", job_path(job_id, f"checkpoints/{step}"))

    def artifacts(self, job_id: str, kind: str | None = None) -> list[ArtifactView]:
        """Files of a job besides its checkpoints."""
        return self._get(ArtifactList, job_path(job_id, "artifacts"), kind=kind).data

    def download(self, path: str, target: Path, sha256: str | None = None) -> None:
        """Fetch a file of the API, e.g. ``/v1/jobs/JOB/artifacts/report/report.json``. What is
        there already of a download that broke is not fetched again, and what is there at the end
        has the digest: ``sha256``, else the one that the server names.

        Raises:
            DigestMismatch: it has another one.
        """
        fetch(self._http, quote(path, safe="/:"), target, sha256)

    def promote(self, name: str, job_id: str, step: int) -> Model:
        """Give the policy of a checkpoint a name."""
        body = {"job": job_id, "step": step}
        return self._ask(Model, "PUT", f"/v1/models/{quote(name)}", json=body)

    def models(self) -> list[Model]:
        """The named models."""
        return self._get(ModelList, "/v1/models").data

    def model(self, name: str) -> Model:
        """A named model with its files; :meth:`download` fetches one,
        ``/v1/models/NAME/files/PATH``."""
        return self._get(Model, f"/v1/models/{quote(name)}")

    def delete_model(self, name: str) -> None:
        """Take a name away, with its files."""
        self._http.json("DELETE", f"/v1/models/{quote(name)}")
