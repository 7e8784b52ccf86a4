"""Where models and data sets may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.home import Home
from services.presets.registry import resolve
from services.spec.locations import Reach, location_problems


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "models").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "rootless").mkdir()
    (tmp_path / "root" / "way-out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "way-in").symlink_to(tmp_path / "root" / "models")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root" / "loop")
    return tmp_path / "root"


def reach(roots, home="/nowhere/home"):
    return Reach(roots, Home(Path(home)), "a", {"job-mine"}.__contains__)


@pytest.mark.parametrize("path", ["", "models", "models/../models", "way-in", "not/there"])
def test_what_lies_inside(root, path):
    assert reach([root]).covers(root / path)


@pytest.mark.parametrize(
    "path", ["..", "../outside", "../rootless", "models/../../outside", "way-out", "way-out/x"]
)
def test_what_leads_outside(root, path):
    assert not reach([root]).covers(root / path)


def test_no_root_is_no_place_and_none_is_every_place(root):
    assert not reach([]).covers(root)
    assert reach(None).covers(root)
    assert not reach([root]).covers(root / "loop")


def test_a_specification_is_told_where_and_not_whether(root):
    spec = resolve(
        "tiny-cpu",
        {"model": {"path": "/etc"}, "data": {"path": "/nowhere"}, "evaluation": None},
    )
    found = location_problems(spec, reach([root]))
    assert [p.pointer for p in found] == ["/model/path", "/data/path"]
    assert len({p.detail for p in found}) == 1
    assert location_problems(resolve("tiny-cpu"), reach([])) == []


def test_a_path_no_file_can_have(root):
    spec = resolve("tiny-cpu", {"data": {"path": "/a\0b"}})
    (problem,) = location_problems(spec, reach(None))
    assert "printed" in problem.detail


@pytest.fixture
def home(root):
    """A home folder below a root, with things of two tenants, and links to it from the root."""
    home = root / "home"
    for place in ("promoted/a/x/model", "promoted/b/x/model", "jobs/job-mine/models", "jobs/job-b"):
        (home / place).mkdir(parents=True)
    (root / "to-home").symlink_to(home)
    (root / "to-theirs").symlink_to(home / "promoted/b/x/model")
    return home


@pytest.mark.parametrize("roots", [None, "below", "home itself"])
@pytest.mark.parametrize(
    "path",
    [
        ".",
        "control.db",
        "jobs.db",
        "promoted",
        "promoted/a",
        "promoted/b/x/model",
        "promoted/a/../b/x/model",
        "promoted/c/not/there",
        "jobs",
        "jobs/job-b",
        "jobs/job-b/models/compression",
        "jobs/job-mine/../job-b/models",
        "../to-home/promoted/b/x/model",
        "../to-theirs",
        "../to-theirs/../../../a/../b/x",
    ],
)
def test_of_the_home_folder_nothing_but_ones_own(root, home, roots, path):
    chosen = {None: None, "below": [root], "home itself": [home]}[roots]
    assert not reach(chosen, home).covers(home / path)


@pytest.mark.parametrize("roots", [None, (), "below"])
@pytest.mark.parametrize(
    "path",
    [
        "promoted/a/x/model",
        "promoted/b/../a/x/model",
        "jobs/job-mine/models",
        "../to-home/promoted/a/x/model",
    ],
)
def test_ones_own_models_and_jobs_may_be_read(root, home, roots, path):
    assert reach([root] if roots == "below" else roots, home).covers(home / path)


def test_a_model_folder_with_a_link_to_where_one_may_not_read(root, home):
    model = root / "models" / "mixed"
    model.mkdir()
    (model / "config.json").write_text("{}")
    spec = resolve("tiny-cpu", {"model": {"path": str(model)}})
    (model / "tokenizer.json").symlink_to(model / "config.json")
    assert location_problems(spec, reach([root], home)) == []
    for roots in ([root], None):
        (model / "model.safetensors").unlink(missing_ok=True)
        (model / "model.safetensors").symlink_to(home / "promoted/b/x/model/model.safetensors")
        (problem,) = location_problems(spec, reach(roots, home))
        assert problem.pointer == "/model/path"


@pytest.mark.parametrize("path", ["~", "~/x", "~root/x", "~nosuchuser/x"])
def test_whose_home_is_meant_is_not_guessed(path):
    spec = resolve("tiny-cpu", {"data": {"path": path}})
    (problem,) = location_problems(spec, reach(None))
    assert problem.pointer == "/data/path"
    assert "whole path" in problem.detail
