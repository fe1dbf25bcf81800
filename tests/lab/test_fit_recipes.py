"""The benchmark of recipes: its figures are means as it says, and a run of it plays both fits on the same labels."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nextlabel.commands import benchmark
from nextlabel.errors import BadRunError
from nextlabel.lab.benchmark import fit_recipes
from nextlabel.lab.benchmark.fit_recipes import Outcome, Pair, RecipesPlan, measure, summary, to_markdown
from nextlabel.learning import auto_recipe
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import of_pairs


def pair(labels: int, seconds: tuple[float, float], scores: tuple[float, float]) -> Pair:
    previous, auto = (
        Outcome(fit_s, 2 * fit_s, steps, score) for fit_s, steps, score in zip(seconds, (343, 100), scores, strict=True)
    )
    return Pair("corpus", labels, 0, previous, auto)


def test_the_time_ratio_is_the_mean_over_label_counts_and_the_quality_that_over_pairs() -> None:
    pairs = [
        pair(32, (10, 1), (0.5, 0.5)),
        pair(32, (10, 3), (0.5, 0.6)),
        pair(64, (10, 6), (0.7, 0.64)),
    ]
    assert summary(pairs)["quality_interval"] == [None, None], "an interval takes five pairs"
    pairs += [pair(64, (10, 6), (0.7, 0.7)), pair(32, (10, 2), (0.5, 0.5))]
    figures = summary(pairs)
    assert figures["time_ratio_to_previous"] == pytest.approx((0.2 + 0.6) / 2)
    assert figures["time_ratio_range"] == pytest.approx([0.2, 0.6])
    assert figures["cpu_ratio_to_previous"] == pytest.approx((0.2 + 0.6) / 2)
    assert figures["quality_difference"] == pytest.approx((0 + 0.1 - 0.06 + 0 + 0) / 5)
    low, high = figures["quality_interval"]
    assert -0.06 <= low < figures["quality_difference"] < high <= 0.1
    assert [row["labels"] for row in figures["by_labels"]] == [32, 64]


def test_one_pair_has_no_interval() -> None:
    assert summary([pair(32, (10, 1), (0.5, 0.5))])["quality_interval"] == [None, None]


@pytest.mark.usefixtures("patience")
def test_both_fits_are_played_in_turns_on_the_same_labels(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_recipes, "PREVIOUS", ("4 steps of 8", 4, 8, 1e-4))
    monkeypatch.setattr(auto_recipe, "FEWEST", 32)
    monkeypatch.setattr(auto_recipe, "BY_ROOT", 0)
    pairs = of_pairs(own_pairs())
    data = replace(pairs, train=pairs.train[:20], dev=pairs.dev[:16], test=())
    kept: list[int] = []
    plan = RecipesPlan(str(tiny), counts=(6, 12, 24), seeds=2, precision="fp32")
    result = measure([(data, 32)], plan, "the command", keep=lambda result: kept.append(len(result["pairs"])))
    played = [(row["labels"], row["seed"], row["previous"]["steps"], row["auto"]["steps"]) for row in result["pairs"]]
    assert played == [(12, 0, 4, 4), (6, 0, 4, 2), (12, 1, 4, 4), (6, 1, 4, 2)]
    assert kept == [1, 2, 3, 4]
    assert result["pairs_planned"] == 4
    assert result["fit"]["time_ratio_to_previous"] > 0
    assert "macro-F1 differs by" in to_markdown(result)
    short = measure([(data, 32)], replace(plan, most_s=0.0), "the command")
    assert [(row["labels"], row["seed"]) for row in short["pairs"]] == [(12, 0)]


def test_a_corpus_with_too_few_examples_is_named(tiny: Path) -> None:
    pairs = of_pairs(own_pairs())
    with pytest.raises(BadRunError, match="has 20 examples to learn from, fewer than 32"):
        measure([(replace(pairs, train=pairs.train[:20]), 32)], RecipesPlan(str(tiny)), "the command")


@pytest.mark.usefixtures("patience")
def test_the_command_writes_the_keys(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_recipes, "PREVIOUS", ("2 steps of 8", 2, 8, 1e-4))
    monkeypatch.setattr(auto_recipe, "FEWEST", 32)
    monkeypatch.setattr(auto_recipe, "BY_ROOT", 0)
    monkeypatch.setattr(fit_recipes, "QUICK_COUNTS", (8,))
    out = tmp_path / "recipes.json"
    benchmark.main(["--fit-recipes", "--quick", "--base-model", str(tiny), "--seeds", "1", "--out", str(out)])
    result = json.loads(out.read_text(encoding="utf-8"))
    assert set(result["fit"]) >= {"time_ratio_to_previous", "quality_difference"}
    assert str(tiny) not in out.read_text(encoding="utf-8")
    assert out.with_suffix(".md").read_text(encoding="utf-8").startswith("# Recipes")
