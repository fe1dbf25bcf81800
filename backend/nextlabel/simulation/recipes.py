"""A table of corpora x label counts x recipes x seeds: how well, and how long, each way to fit does on the same labels.

Every cell is a run of its own, `OUT/CORPUS/RECIPE`, with the records of any other run. Labels are drawn at random and
are the same for all recipes of a seed.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning import auto_recipe
from nextlabel.simulation import records, session
from nextlabel.simulation.curves import Estimate, estimate, resample
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.records import MACRO_F1, RANDOM, Record
from nextlabel.simulation.replay import TUTORIAL, RunProtocol
from nextlabel.simulation.session import AUTO, SHORTEST
from nextlabel.values import markdown

# Of `Recipe`, what a table can vary, and to what; `epochs` is the fewest of a fit.
VARIED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "steps": ("auto or a whole number from 1 on", lambda value: value == AUTO or _is_whole(value, 1)),
    "learning_rate": ("auto or a number between 0 and 1", lambda value: value == AUTO or 0 < _number(value) < 1),
    "batch_size": ("a whole number from 1 on", lambda value: _is_whole(value, 1)),
    "max_length": (f"a whole number from {SHORTEST} on", lambda value: _is_whole(value, SHORTEST)),
    "warmup": ("a share from 0 to 1", lambda value: 0 <= _number(value) <= 1),
    "precision": ("auto, bf16 or fp32", lambda value: value in (AUTO, "bf16", "fp32")),
    "epochs": ("a number from 0 on", lambda value: 0 <= _number(value) < math.inf),
}


@dataclass(frozen=True)
class RecipeTable:
    """What is to be played. `corpora` are directories; `labels` rise; `recipes` are changes of the default, by name."""

    corpora: tuple[Path, ...]
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    recipes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """A recipe at one label count of a corpus, over the seeds: mean dev macro-F1 with its interval, its difference to
    the first recipe, mean seconds and steps of a fit, and how well a fit knows its own labels."""

    corpus: str
    labels: int
    recipe: str
    score: Estimate
    difference: Estimate
    fit_s: float
    train_accuracy: float


def read_table(path: Path, base: Path | None = None) -> RecipeTable:
    """The table in a JSON file, with corpora below `base` (by default the file's directory).

    Its keys are `corpora` (directories), `labels` (rising counts), `seeds` (how many, from 0 on) and `recipes` (names
    with what they change). Raises `BadRunError` that names the file, the key and the value.
    """
    told = records.read_json(path)
    if told is None:
        raise BadRunError(f"{path} is missing. Give a table of recipes, as docs/simulation.md describes it.")
    wanted = {field.name for field in fields(RecipeTable)}
    if told.keys() != wanted:
        raise BadRunError(f"{path}: expected the keys {', '.join(sorted(wanted))}, found {', '.join(sorted(told))}.")
    labels, seeds, recipes = told["labels"], told["seeds"], told["recipes"]
    if not _rising(labels):
        raise BadRunError(f"{path}: labels is {json.dumps(labels)}; give at least two rising whole numbers.")
    if type(seeds) is not int or seeds < 1:
        raise BadRunError(f"{path}: seeds is {json.dumps(seeds)}; give a whole number from 1 on.")
    if not isinstance(recipes, dict) or not recipes:
        raise BadRunError(f"{path}: recipes is {json.dumps(recipes)}; give an object of names with what they change.")
    for name, changes in recipes.items():
        _require_known(path, name, changes)
    if not isinstance(told["corpora"], list) or not told["corpora"]:
        raise BadRunError(f"{path}: corpora is {json.dumps(told['corpora'])}; give a list of directories.")
    corpora = tuple((base or path.parent) / str(corpus) for corpus in told["corpora"])
    return RecipeTable(corpora, tuple(labels), tuple(range(seeds)), recipes)


def _rising(labels: object) -> bool:
    if not isinstance(labels, list) or len(labels) < 2 or not all(type(count) is int for count in labels):
        return False
    return labels == sorted(set(labels)) and labels[0] > 1


def _require_known(path: Path, name: str, changes: object) -> None:
    if not isinstance(changes, dict):
        raise BadRunError(f"{path}: recipe {name!r} is {json.dumps(changes)}; give an object of what it changes.")
    if name in ("", ".", "..") or Path(name).name != name:
        raise BadRunError(f"{path}: recipe {name!r} has a name that no directory can have. Give it another one.")
    for key, value in changes.items():
        if key not in VARIED:
            raise BadRunError(f"{path}: recipe {name!r} changes {key!r}; it can change {', '.join(VARIED)}.")
        words, fits = VARIED[key]
        if not fits(value):
            raise BadRunError(f"{path}: recipe {name!r} has {key} {json.dumps(value)}; give {words}.")
    if changes.get("steps") == AUTO and changes.get("epochs"):
        raise BadRunError(f"{path}: recipe {name!r} has epochs beside steps of auto, which settle them. Leave out one.")


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _number(value: object) -> float:
    """Not a number for what is none."""
    return float(value) if type(value) in (int, float) else math.nan  # type: ignore[arg-type]


def play(table: RecipeTable, base_model: str, out: Path, command: str, workers: int, threads: int) -> Sequence[str]:
    """Play what OUT does not hold yet; why arms failed, in sentences."""
    failed: list[str] = []
    for corpus in table.corpora:
        data, word_pieces = fetched.read_single(corpus)
        for name, changes in table.recipes.items():
            protocol = _protocol(table, data, base_model, {"max_length": word_pieces, **changes})
            directory = out / corpus.name / name
            experiment = session.open_experiment(directory, data, protocol, [RANDOM], table.seeds)
            print(f"{corpus.name}, {name}:")
            with experiment:
                plan = session.make_plan([RANDOM], table.seeds, None, workers, threads, full_seeds=0)
                events = session.play(experiment, plan, command)
            failed += [f"{corpus.name}, {name}, seed {event.arm.seed}: {event.failed}" for event in events]
    return failed


def _protocol(table: RecipeTable, data: TextSet, base_model: str, changes: Mapping[str, Any]) -> RunProtocol:
    recipe = {"base_model": base_model, **{key: value for key, value in changes.items() if key != "epochs"}}
    return session.make_protocol(data, recipe, {"at": table.labels, "epochs": float(changes.get("epochs", 0))})


def compared(table: RecipeTable, out: Path) -> list[Cell]:
    """The cells that all recipes of a corpus have, over the seeds that all have. Raises `BadRunError` as `read_run`,
    and for runs that were played with other counts or recipes than the table's."""
    return [cell for corpus in table.corpora for cell in _compared(table, corpus.name, out / corpus.name)]


def _compared(table: RecipeTable, corpus: str, directory: Path) -> Iterator[Cell]:
    runs = {name: records.read_run(directory / name) for name in table.recipes}
    for name, run in runs.items():
        _require_same(table, name, directory / name, run.setting)
    found: dict[str, dict[tuple[int, int], Record]] = {
        name: {(r.labels, r.seed): r for r in run.rounds} for name, run in runs.items()
    }
    for labels in table.labels:
        seeds = [seed for seed in table.seeds if all((labels, seed) in of_recipe for of_recipe in found.values())]
        if not seeds:
            continue
        rows_BS = resample(len(seeds))
        of_recipe = {name: [by[labels, seed] for seed in seeds] for name, by in found.items()}
        scores = {name: np.array([record.dev[MACRO_F1] for record in made]) for name, made in of_recipe.items()}
        first = scores[next(iter(table.recipes))]
        for name, made in of_recipe.items():
            yield Cell(
                corpus,
                labels,
                name,
                estimate(scores[name], rows_BS),
                estimate(scores[name] - first, rows_BS),
                float(np.mean([record.seconds["fit"] for record in made])),
                float(np.mean([record.train_accuracy or 0.0 for record in made])),
            )


def _require_same(table: RecipeTable, name: str, directory: Path, setting: Mapping[str, Any]) -> None:
    """As far as the table alone tells what was to be played: not the rate of auto, nor a corpus' length."""
    changes = dict(table.recipes[name])
    told = {**vars(TUTORIAL.recipe), "max_length": AUTO}
    if changes.get("steps") == AUTO:
        told |= session.without_auto({"steps": AUTO})
        changes["steps"] = auto_recipe.RULE
    told |= changes
    recipe = {key: told[key] for key in VARIED if key != "epochs" and told[key] != AUTO}
    asked = {"at": list(table.labels), "epochs": float(changes.get("epochs", 0)), "recipe": recipe}
    played = {**setting, "recipe": {key: setting["recipe"].get(key) for key in recipe}}
    differing = records.differences({key: played.get(key) for key in asked}, asked)
    if differing:
        raise BadRunError(
            f"{directory} was not played as the table has {name!r} ({'; '.join(differing)}). Give the table that it "
            "was played with, or another --out."
        )


def to_markdown(cells: Sequence[Cell]) -> str:
    """A table for each corpus."""
    head = ["labels", "recipe", "seeds", "dev macro-F1", "difference to the first", "accuracy on its labels", "fit, s"]
    parts = []
    for corpus, some in groupby(cells, key=lambda cell: cell.corpus):
        rows = (
            [
                str(cell.labels),
                cell.recipe,
                str(cell.score.seeds),
                _shown(cell.score),
                _shown(cell.difference, "+"),
                f"{cell.train_accuracy:.3f}",
                f"{cell.fit_s:.1f}",
            ]
            for cell in some
        )
        parts.append(f"## {corpus}\n\n{markdown.table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def _shown(value: Estimate, sign: str = "") -> str:
    ends = "" if value.low is None else f" [{value.low:{sign}.3f} to {value.high:{sign}.3f}]"
    return f"{value.mean:{sign}.3f}{ends}"
