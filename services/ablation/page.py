"""``report.html`` of a folder of studies: every table and plot in it, on one page."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.ablation.studies import STUDIES
from services.ablation.table import HEAD, cells, from_json
from services.reports.page import page

_TITLES: Final = {
    "order": ("Order of the stages", "Table 2a."),
    "clip": (
        "Length clip",
        "Table 2b; the threshold and the cap of the exploration stage follow the clip.",
    ),
    "shaping": ("Length shaping", "Table 2c; every form has f(0) = 1 and f(L) = r."),
    "entanglement": (
        "Separated against entangled objectives",
        "Figures 3a to 3c. EG: one stage after the other; EE: both objectives in every batch, over "
        "as many steps; EE*: EE, gone on with for as many steps as an exploration stage has.",
    ),
    "guided": (
        "Entropy-guided schedules and spared connectors",
        "Not in the paper: compression until its entropy rests, cycles, and fixed schedules of "
        "another length, with as many generated tokens as the fixed schedule; less weight on "
        "high-entropy tokens while compressing.",
    ),
}
_IMAGES: Final = (
    ("", "accuracy against length"),
    ("-course", "length, accuracy and entropy over the steps"),
    ("-routing", "samples by objective"),
)


@dataclass(frozen=True)
class _Image:
    title: str
    data: str
    """PNG in base64."""


@dataclass(frozen=True)
class _Study:
    title: str
    note: str
    rows: list[list[str]]
    images: list[_Image]


def write_page(out: Path) -> Path:
    """Write ``report.html`` with every study whose table lies in ``out``; return it."""
    studies = [_read(out, name) for name in STUDIES if (out / f"{name}.json").exists()]
    path = out / "report.html"
    path.write_text(page("studies.html.j2", {}, studies=studies, head=HEAD))
    return path


def _read(out: Path, name: str) -> _Study:
    title, note = _TITLES[name]
    rows = from_json(json.loads((out / f"{name}.json").read_text()))
    files = [(out / f"{name}{suffix}.png", what) for suffix, what in _IMAGES]
    images = [
        _Image(f"{title}: {what}", base64.b64encode(file.read_bytes()).decode())
        for file, what in files
        if file.exists()
    ]
    return _Study(title, note, [cells(row) for row in rows], images)
