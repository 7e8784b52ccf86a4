"""Where models and data sets may lie."""

from __future__ import annotations

import pytest

from services.presets.registry import resolve
from services.spec.locations import is_within, location_problems


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "models").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "rootless").mkdir()
    (tmp_path / "root" / "way-out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "way-in").symlink_to(tmp_path / "root" / "models")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root" / "loop")
    return tmp_path / "root"


@pytest.mark.parametrize("path", ["", "models", "models/../models", "way-in", "not/there"])
def test_what_lies_inside(root, path):
    assert is_within(root / path, [root])


@pytest.mark.parametrize(
    "path", ["..", "../outside", "../rootless", "models/../../outside", "way-out", "way-out/x"]
)
def test_what_leads_outside(root, path):
    assert not is_within(root / path, [root])


def test_no_root_is_no_place_and_none_is_every_place(root):
    assert not is_within(root, [])
    assert is_within(root, None)
    assert not is_within(root / "loop", [root])


def test_a_specification_is_told_where_and_not_whether(root):
    spec = resolve(
        "tiny-cpu",
        {"model": {"path": "/etc"}, "data": {"path": "/nowhere"}, "evaluation": None},
    )
    found = location_problems(spec, [root])
    assert [p.pointer for p in found] == ["/model/path", "/data/path"]
    assert len({p.detail for p in found}) == 1
    assert location_problems(resolve("tiny-cpu"), []) == []


def test_a_path_no_file_can_have(root):
    spec = resolve("tiny-cpu", {"data": {"path": "/a\0b"}})
    (problem,) = location_problems(spec, None)
    assert "printed" in problem.detail
