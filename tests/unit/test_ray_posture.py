"""Which clusters of others are used, which with a warning, and which are not."""

from __future__ import annotations

import logging

import pytest

from api import serving
from api.ray_posture import Posture, look, objections
from api.serving import ServingError, refuse_open_ray

pytestmark = pytest.mark.unit


def test_a_closed_cluster_of_our_version_is_fine():
    assert objections(Posture(False, "2.60.0"), "2.60.0") == ([], [])


def test_an_open_one_an_old_one_and_another_version():
    grave, mild = objections(Posture(True, "2.53.1"), "2.60.0")
    assert "RAY_AUTH_MODE=token" in grave[0]
    assert "2.54" in grave[1]
    assert "install the same version" in mild[0]
    assert objections(Posture(False, None), "2.60.0") == ([], [])
    assert objections(Posture(False, "2.100.0"), "2.60.0")[0] == []
    assert objections(Posture(False, "3.0.0"), "2.60.0")[0] == []


def test_what_does_not_answer_says_nothing():
    assert look("http://127.0.0.1:9", seconds=1.0) is None
    refuse_open_ray("http://127.0.0.1:9")


@pytest.mark.parametrize("posture", [Posture(True, "2.60.0"), Posture(False, "2.53.0")])
def test_beyond_this_machine_it_is_refused_and_here_it_is_said(posture, monkeypatch, caplog):
    monkeypatch.setattr(serving, "look", lambda *_: posture)
    monkeypatch.setattr(serving, "version", lambda _: "2.60.0")
    with pytest.raises(ServingError, match="not safe to use"):
        refuse_open_ray("http://ray-head.example:8265")
    caplog.set_level(logging.WARNING)
    refuse_open_ray("http://127.0.0.1:8265")
    assert "the Ray cluster at http://127.0.0.1:8265" in caplog.text
