"""A short run of schemathesis over the whole API; ``scripts/fuzz-api.sh`` is the long one."""

from __future__ import annotations

import importlib.util

import pytest

from tests.integration.api.schema_fuzz import OWN, fuzz

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None,
    reason="schemathesis is not installed (it is in the extra dev)",
)


def test_nothing_is_found_and_every_operation_answers(tmp_path):
    outcome = fuzz(tmp_path, executable=OWN, examples=6, seed=1)
    assert outcome.status == 0, outcome.output
    assert outcome.requests > 1500, outcome.line
    assert outcome.never_answered == [], outcome.line
    assert not [a for a in outcome.answers if a[2] >= 500]
