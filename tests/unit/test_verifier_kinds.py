"""Verifiers by name: the built-in one and installed ones."""

from __future__ import annotations

import pytest

from services.verification.kinds import UnknownKind, check, installed, load
from services.verification.pool import VerificationPool
from tests.verifier_distribution import install


@pytest.fixture
def last_word(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    return load("last-word")


def request(output: str, *golds: str) -> dict[str, object]:
    return {"golds": list(golds), "answer": output, "policy": "reward", "tolerance": None}


def test_an_unknown_name_is_refused_with_those_there_are(tmp_path, monkeypatch):
    with pytest.raises(UnknownKind, match="'last-word' is installed; there are math"):
        check("last-word")
    install(tmp_path, monkeypatch)
    assert installed() == ["math", "last-word"]
    check("last-word")
    check("math")
    with pytest.raises(UnknownKind, match="math, last-word"):
        VerificationPool(1, 1.0, 64, kind="last-words")


def test_a_name_taken_twice_is_refused(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        install(tmp_path / name, monkeypatch, name)
        info = tmp_path / name / f"{name}-1.0.dist-info"
        (info / "entry_points.txt").write_text(f"[laconic.verifiers]\nsame = {name}_module:verify")
    with pytest.raises(UnknownKind, match=r"more than one .* \(one, two\); uninstall one"):
        check("same")


def test_an_installed_verifier_judges_the_whole_response(last_word):
    assert last_word(request("it is 7", "7", "8")).verdict == "correct"
    found = last_word(request("it is 7", "9"))
    assert (found.verdict, found.reason) == ("incorrect", "another_word")


def test_what_is_no_verdict_is_an_error(last_word):
    found = last_word(request("nonsense 7", "7"))
    assert (found.verdict, found.reason) == ("error", "not_a_verdict")


def test_mathematics_is_built_in():
    found = load("math")(
        {"golds": ["x+1"], "answer": "1+x", "policy": "reward", "tolerance": [0, 0]}
    )
    assert found.verdict == "correct"
