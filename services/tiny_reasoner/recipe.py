"""Makes everything that ships for the newcomer's run: model, question files and their figures.

``laconic make-tiny-reasoner`` runs it; ``README.md`` beside this file says more.
"""

from __future__ import annotations

import json
from pathlib import Path

from services.tiny_reasoner.measure import measure
from services.tiny_reasoner.train import Recipe, train, write_questions

TRAIN_QUESTIONS = 4000
HELDOUT_QUESTIONS = 600
_MEASURED = ((0.6, 0.95), (1.0, 1.0))
"""Temperature and top_p of evaluation and of exploration."""


def make(out: Path, recipe: Recipe) -> dict[str, object]:
    """Train the model, write the question files and measure the result.

    Returns:
        What ``model/recipe.json`` holds.
    """
    model = out / "model"
    write_questions(out / "train.jsonl", "train", TRAIN_QUESTIONS, recipe.seed)
    write_questions(out / "heldout.jsonl", "heldout", HELDOUT_QUESTIONS, recipe.seed)
    train(recipe, model)
    return describe(out)


def describe(out: Path) -> dict[str, object]:
    """Measure the model under ``out`` on its held-out questions and note the figures."""
    path = out / "model" / "recipe.json"
    record: dict[str, object] = json.loads(path.read_text())
    record["heldout"] = measure(out / "model", out / "heldout.jsonl", _MEASURED)
    path.write_text(json.dumps(record, indent=2) + "\n")
    return record
