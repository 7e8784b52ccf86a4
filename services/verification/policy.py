"""Grading policies: how much an answer must do to be paid."""

from __future__ import annotations

from typing import Literal

Policy = Literal["reward", "eval", "thinkless-parity"]
"""``reward`` is strict, ``eval`` grades as a person would, ``thinkless-parity`` is inflated."""
