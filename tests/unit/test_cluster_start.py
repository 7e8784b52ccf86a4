"""What is said when Ray does not start."""

from __future__ import annotations

from api.cluster import LocalCluster


def said(folder, text):
    (folder / "ray-start.log").write_text(text)
    cluster = LocalCluster()
    cluster._folder = folder
    return cluster._output()


def test_a_machine_that_is_too_busy_is_named_in_plain_words(tmp_path):
    text = "Exception: The current node timed out during startup.\n"
    assert said(tmp_path, text).splitlines()[1].startswith("the machine was too busy")
    assert "busy" not in said(tmp_path, "Exception: no such option\n")


def test_of_a_long_log_the_last_whole_lines_are_shown(tmp_path):
    lines = [f"line {n} of what Ray has to say" for n in range(200)]
    shown = said(tmp_path, "\n".join(lines)).strip().splitlines()
    assert shown[-1] == lines[-1]
    assert set(shown) <= set(lines)
    assert len(shown) > 20
