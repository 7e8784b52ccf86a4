"""Headers of everything a browser shows."""

from __future__ import annotations

from typing import Final

_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_NOWHERE: Final = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

PAGE: Final = {
    **_COMMON,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"font-src 'self'; connect-src 'self'; {_NOWHERE}; "
        # Nothing may turn a string into markup: what a job is called stays text.
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cache-Control": "no-cache",
}
"""The live page and its assets: everything from here, nothing inline."""

REPORT: Final = {
    **_COMMON,
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {_NOWHERE}; sandbox"
    ),
    "Cache-Control": "no-cache",
}
"""A report: one file with its styles and plots inside, and no script."""
