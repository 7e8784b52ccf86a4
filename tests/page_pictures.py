"""Pictures of the live page for the documentation, of a job that a control plane has.

``.venv/bin/python -m tests.page_pictures http://127.0.0.1:8420 JOB docs/images``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser import Reader, headless_chromium

_DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 1150}}
PICTURES: dict[str, dict[str, Any]] = {
    "page-light": _DESKTOP,
    "page-dark": {**_DESKTOP, "color_scheme": "dark"},
    "page-phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5},
}


def take(url: str, job: str, folder: Path) -> None:
    """Write the pictures; each shows the page as far as the window of its device reaches."""
    with headless_chromium() as browser:
        for name, options in PICTURES.items():
            reader = Reader.before(url, browser, **options)
            page = reader.open(f"/jobs/{job}")
            page.wait_for_selector("#accuracy .uplot")
            page.wait_for_timeout(1500)
            file = folder / f"{name}.png"
            page.screenshot(path=file)
            # A palette is enough for flat colours, and a third of the size.
            Image.open(file).convert("RGB").quantize(128).save(file, optimize=True)
            reader.check()


if __name__ == "__main__":
    take(sys.argv[1].rstrip("/"), sys.argv[2], Path(sys.argv[3]))
