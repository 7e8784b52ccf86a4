"""Figures of several jobs over their steps."""

from __future__ import annotations

from algorithms.strict import Strict
from services.metric_series import Curve


class JobCurves(Strict):
    """The curves of one job."""

    job: str
    curves: dict[str, Curve]
    """By the name of the figure; a figure without a measured step has an empty curve."""


class Curves(Strict):
    data: list[JobCurves]
