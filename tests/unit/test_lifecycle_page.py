"""``docs/lifecycle.md`` prints the tables that the code goes by."""

from __future__ import annotations

from pathlib import Path

from services.stores.lifecycle import MEANING, STATES, actions, allowed

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"


def row(state):
    targets = ", ".join(f"`{s}`" for s in allowed(state)) or "nothing"
    asked = ", ".join(actions(state)) or "nothing"
    if state == "reconciling":
        asked = "as the state it was last seen in"
    return f"| `{state}` | {MEANING[state]} | {targets} | {asked} |"


def test_the_page_has_the_row_of_every_state_and_no_other():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [row(state) for state in STATES]
