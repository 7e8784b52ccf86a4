"""A short run of schemathesis over the whole API; ``scripts/fuzz-api.sh`` is the long one."""

from __future__ import annotations

from importlib.util import find_spec

from tests.integration.api.schema_fuzz import LEAST, OWN, Outcome, fuzz, shortcomings


def test_nothing_is_found_and_every_operation_answers(tmp_path):
    assert find_spec("schemathesis"), "schemathesis is not installed; it is in the extra dev"
    outcome = fuzz(tmp_path, executable=OWN, examples=6, seed=1)
    assert outcome.status == 0, outcome.output
    assert shortcomings(outcome, 1500) == [], outcome.line


def test_a_run_that_says_too_little_fails():
    answers = {("GET", "/v1/jobs", 200): LEAST}
    assert shortcomings(Outcome(0, "", LEAST, 1.0, [], answers), LEAST) == []
    few = shortcomings(Outcome(0, "", LEAST - 1, 1.0, ["getJob"], answers), LEAST)
    assert few == [
        "only 9999 requests were sent, and 10000 were to be",
        "never answered with success: getJob",
    ]
    fault = {("GET", "/v1/jobs", 503): 1}
    assert shortcomings(Outcome(0, "", LEAST, 1.0, [], fault), LEAST) == [
        "there were server errors"
    ]
