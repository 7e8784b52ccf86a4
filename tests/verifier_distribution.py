"""A distribution with a verifier, installed into a folder as an administrator would have it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MODULE = '''
"""Judges by the last word of a response; some first words do what no verifier should."""
import os, signal, subprocess, sys, time

def verify(golds, output):
    first, *_, last = output.split()
    if first == "spin":
        while True:
            pass
    if first == "sleep":
        time.sleep(3600)
    if first == "nap":
        time.sleep(0.02)
    if first == "child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        time.sleep(3600)
    if first == "raise":
        raise LookupError("no")
    if first == "nonsense":
        return "fine"
    if first == "environment":
        return "correct", str(sorted(k for k in os.environ if "SECRET" in k))
    return "correct" if last in golds else ("incorrect", "another_word")
'''


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "last-word") -> None:
    """Install a verifier for this process and those it starts."""
    (folder / f"{name.replace('-', '_')}_module.py").write_text(MODULE)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[laconic.verifiers]\n{name} = {name.replace('-', '_')}_module:verify\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    inherited = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [inherited])]))
