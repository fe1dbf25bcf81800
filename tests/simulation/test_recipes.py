"""A table of recipes: what is refused, what is played, and that all recipes see the same labels."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nextlabel.errors import BadRunError
from nextlabel.simulation import recipes, records
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import of_pairs

GOOD: dict[str, Any] = {
    "corpora": ["small"],
    "labels": [8, 16],
    "seeds": 2,
    "recipes": {"short": {"steps": 2}, "long": {"steps": 2, "epochs": 3, "learning_rate": 1e-3}},
}


def written(directory: Path, **changes: Any) -> Path:
    path = directory / "table.json"
    path.write_text(json.dumps({**GOOD, **changes}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": [16, 8]}, r"labels is \[16, 8\]"),
        ({"labels": [16]}, "at least two rising"),
        ({"seeds": 0}, "seeds is 0"),
        ({"seeds": True}, "seeds is true"),
        ({"recipes": {}}, "recipes is {}"),
        ({"recipes": {"a": {"depth": 3}}}, "changes 'depth'; it can change steps"),
        ({"recipes": {"a": {"steps": "many"}}}, 'has steps "many"'),
        ({"recipes": {"a": {"batch_size": "auto"}}}, 'has batch_size "auto"'),
        ({"recipes": {"a": {"batch_size": 0}}}, "'a' has batch_size 0; give a whole number from 1 on"),
        ({"recipes": {"a": {"steps": 150.5}}}, r"has steps 150\.5; give auto or a whole number"),
        ({"recipes": {"a": {"steps": True}}}, "has steps true"),
        ({"recipes": {"a": {"learning_rate": 2}}}, "has learning_rate 2; give auto or a number between 0 and 1"),
        ({"recipes": {"a": {"warmup": 5}}}, "has warmup 5; give a share"),
        ({"recipes": {"a": {"max_length": 7}}}, "has max_length 7; give a whole number from 8 on"),
        ({"recipes": {"a": {"precision": "foo"}}}, 'has precision "foo"; give auto, bf16 or fp32'),
        ({"recipes": {"a": {"epochs": float("inf")}}}, "has epochs Infinity"),
        ({"recipes": {"a": {"steps": "auto", "epochs": 15}}}, "'a' has epochs beside steps of auto"),
        ({"recipes": {"../a": {"steps": 3}}}, "recipe '../a' has a name that no directory can have"),
        ({"recipes": {"a": 3}}, "recipe 'a' is 3"),
        ({"corpora": []}, r"corpora is \[\]"),
        ({"colour": "red"}, "expected the keys corpora, labels, recipes, seeds, found .*colour"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_key_and_value(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRunError, match=said):
        recipes.read_table(written(tmp_path, **changes))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match=r"none\.json is missing"):
        recipes.read_table(tmp_path / "none.json")


@pytest.mark.usefixtures("patience")
def test_recipes_are_played_on_the_same_labels_and_compared_with_the_first(tmp_path: Path, tiny: Path) -> None:
    pairs = own_pairs()
    data = of_pairs(replace(pairs, train=pairs.train[:40], holdout=pairs.holdout[:12], test=pairs.holdout[12:20]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 48, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    table, out = recipes.read_table(written(tmp_path)), tmp_path / "out"
    assert recipes.play(table, str(tiny), out, "the command", workers=1, threads=1) == []
    runs = {name: records.read_run(out / "small" / name) for name in GOOD["recipes"]}
    assert [r.chosen for r in runs["short"].rounds] == [r.chosen for r in runs["long"].rounds]
    assert [r.labels for r in runs["long"].rounds] == [8, 16, 8, 16]
    assert runs["long"].setting["epochs"] == 3
    cells = recipes.compared(table, out)
    assert [(cell.labels, cell.recipe) for cell in cells] == [(8, "short"), (8, "long"), (16, "short"), (16, "long")]
    assert all(cell.difference.mean == 0 for cell in cells if cell.recipe == "short")
    long = {r.seed: r.dev["macro_f1"] for r in runs["long"].rounds if r.labels == 16}
    assert cells[3].score.mean == pytest.approx((long[0] + long[1]) / 2)
    assert recipes.to_markdown(cells).count("| 16 | long | 2 |") == 1
    for other, said in (
        (
            {"recipes": {"short": {"steps": 3}}},
            r"short was not played as the table has 'short' \(recipe\.steps: 2, not 3",
        ),
        ({"recipes": {"short": {}}}, r"recipe\.steps: 2, not 343"),
        ({"recipes": {"short": {"steps": "auto"}}}, r"recipe\.steps: 2, not \"auto: "),
        ({"recipes": {"long": {"steps": 2}}}, r"epochs: 3\.0, not 0\.0; recipe\.learning_rate: 0\.001, not 2e-05"),
        ({"labels": [8, 20]}, r"at: \[8, 16\], not \[8, 20\]"),
    ):
        with pytest.raises(BadRunError, match=said):
            recipes.compared(recipes.read_table(written(tmp_path, **other)), out)
    before = (out / "small" / "long" / "rounds.jsonl").read_bytes()
    recipes.play(table, str(tiny), out, "the command", workers=1, threads=1)
    assert (out / "small" / "long" / "rounds.jsonl").read_bytes() == before


def test_a_table_can_have_steps_and_rate_of_auto(tmp_path: Path) -> None:
    auto = {"ours": {"steps": "auto", "learning_rate": "auto"}}
    assert recipes.read_table(written(tmp_path, recipes=auto)).recipes == auto
