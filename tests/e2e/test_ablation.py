"""``laconic ablate`` through a real control plane: runs, table, and going on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.control_plane import ROOT, Server

pytestmark = pytest.mark.timeout(1200)

SMALL = (
    "evaluation.questions=16",
    *(
        f"stages.{stage}.{field}"
        for stage in ("compression", "exploration")
        for field in (
            "steps=1",
            "prompts_per_step=8",
            "prompts_per_update=4",
            "sampling.group_size=4",
        )
    ),
)


def ablate(server: Server, out: Path, home: Path) -> float:
    """Run the study over one seed on the server; return the seconds it took."""
    command = [sys.executable, "-m", "api.cli", "ablate", "order", "--seeds", "1"]
    command += ["--parallel", "2", "--url", server.url, "--out", str(out), "--home", str(home)]
    command += [part for setting in SMALL for part in ("--set", setting)]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, timeout=900)
    return time.monotonic() - started


def test_a_study_ends_in_its_table_and_is_not_run_twice(server: Server, tmp_path: Path) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    ablate(server, out, home)
    rows = json.loads((out / "order.json").read_text())
    assert [r["name"] for r in rows] == [
        "base",
        "compression, then exploration: after compression",
        "compression, then exploration",
        "exploration, then compression: after exploration",
        "exploration, then compression: after compression",
    ]
    assert [r["steps"] for r in rows] == [0, 1, 2, 1, 2]
    assert all(r["responses"] == 16 and r["length_mean"] > 0 for r in rows)
    assert (out / "order-course.png").stat().st_size > 10_000
    page = (out / "report.html").read_text()
    assert "Order of the stages" in page
    assert page.count("data:image/png;base64,") == 2
    assert all(r["name"] in page for r in rows)
    jobs = server.client.get("/v1/jobs").json()["data"]
    assert {j["name"] for j in jobs} >= {"ablate-separated-0", "ablate-order-ec-0"}
    # Once by the ledger of the home folder, once by what was kept beside the table.
    for where, ledger in ((tmp_path / "again", home), (out, tmp_path / "elsewhere")):
        assert ablate(server, where, ledger) < 60
        assert len(server.client.get("/v1/jobs").json()["data"]) == len(jobs)
        assert json.loads((where / "order.json").read_text()) == rows
