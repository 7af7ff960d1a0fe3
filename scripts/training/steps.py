"""The examples of every step of a run, made once and kept in a file. Knows the data sets, not the model."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.retrieval import diverse, squad
from scripts.retrieval.corpus import data_file
from scripts.retrieval.examples import Example, labelled, taught
from scripts.training.recipe import Recipe


def steps(recipe: Recipe, cache: Path, data: Path | None) -> list[list[Example]]:
    """A list of examples for each step; read from `cache` if it was written for this recipe, else made and written.

    Making them embeds the sampled passages with the base model: minutes on a CPU.
    """
    if cache.is_file():
        stored = json.loads(cache.read_text(encoding="utf-8"))
        if stored["recipe"] == recipe.to_json():
            return [[Example(*fields) for fields in step] for step in stored["steps"]]
    made = _make(recipe, data)
    rows = [[(example.query, example.passages, example.target) for example in step] for step in made]
    cache.write_text(json.dumps({"recipe": recipe.to_json(), "steps": rows}), encoding="utf-8")
    return made


def _make(recipe: Recipe, data: Path | None) -> list[list[Example]]:
    questions = squad.load(data_file("squad11_train.json", data))
    sure = labelled(questions, recipe.steps * recipe.labelled_per_step, recipe.seed)
    corpus = diverse.load(data, recipe.diverse_passages_per_file, recipe.seed)
    soft = taught(corpus, recipe.steps * recipe.taught_per_step, recipe.seed)
    return [
        sure[step * recipe.labelled_per_step : (step + 1) * recipe.labelled_per_step]
        + soft[step * recipe.taught_per_step : (step + 1) * recipe.taught_per_step]
        for step in range(recipe.steps)
    ]
