"""The benchmark: it counts, ranks and takes turns as it says, and a run of it holds all numbers."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend import benchmark
from backend.benchmark import (
    END,
    FITS,
    START,
    STATUS,
    Plan,
    Shape,
    check_readme,
    flop,
    interleave,
    limit,
    measure,
    peak_memory,
    ranks,
    seconds_per_step,
    shuffled_batches,
    spearman,
    spread,
    top_overlap,
    update_readme,
    write_result,
)
from backend.corpora import own_pairs
from backend.errors import BadRunError
from backend.textsets import of_pairs


@pytest.fixture(scope="module")
def result(tiny: Path) -> Iterator[dict[str, Any]]:
    """A run with as little of everything as can be."""
    data = of_pairs(own_pairs())
    data = replace(data, train=data.train[:96], dev=data.dev[:24])
    plan = Plan(str(tiny), "cpu", repeats=2, warm_steps=3, singles=3, fit_steps=2, memory=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "true")  # what a run sets, and other tests shall not inherit
        yield measure(data, plan, "scripts/benchmark.py --quick")


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    if isinstance(value, list):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, int | float) else []


def test_operations_are_those_counted_by_hand() -> None:
    shape = Shape(layers=1, hidden=2, intermediate=3, classes=2)
    # A text of 3 word pieces, in multiplications. Linear layers: 3 pieces through four 2x2 (48) and through 2x3 and
    # 3x2 (36). Attention: 3x3 scores of 2 each (18), and 3 means over 3 values of 2 each (18). Pooler 4, classes 4.
    assert flop(shape, np.array([3])) == 2 * (48 + 36 + 18 + 18 + 4 + 4)


def test_operations_add_up_over_layers_and_texts() -> None:
    one, two = (Shape(layers, 8, 16, 2) for layers in (1, 2))
    head = 2 * (8 * 8 + 8 * 2)
    assert flop(two, np.array([5])) - head == 2 * (flop(one, np.array([5])) - head)
    assert flop(two, np.array([5, 9])) == flop(two, np.array([5])) + flop(two, np.array([9]))


def test_ways_take_turns() -> None:
    turns: list[tuple[str, int]] = []

    def action(name: str) -> Any:
        return lambda repeat: turns.append((name, repeat)) or float(len(turns))

    measured = interleave({name: action(name) for name in "ABC"}, repeats=2)
    assert turns == [(name, repeat) for repeat in (0, 1) for name in "ABC"]
    assert measured == {"A": [1, 4], "B": [2, 5], "C": [3, 6]}


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert spread([3, 1, 8]) == {"median": 3, "min": 1, "max": 8, "values": [3, 1, 8]}


def test_equal_values_share_their_mean_rank() -> None:
    assert ranks(np.array([0.3, 0.1, 0.3, 0.9])).tolist() == [2.5, 1, 2.5, 4]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 1000], 1),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),  # 1 - 6 * 4 / (5 * 24)
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / math.sqrt(4.5 * 5)),
    ],
)
def test_spearman_is_that_of_hand_examples(a: list[float], b: list[float], expected: float) -> None:
    assert spearman(np.array(a, dtype=float), np.array(b, dtype=float)) == pytest.approx(expected)


def test_overlap_is_the_share_of_the_highest_that_both_have() -> None:
    a, b = np.array([0.9, 0.8, 0.1, 0.2]), np.array([0.9, 0.1, 0.8, 0.2])
    assert top_overlap(a, a, 2) == 1
    assert top_overlap(a, b, 2) == 0.5
    assert top_overlap(a, 1 - a, 2) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_limit_is_a_speed(dtype: torch.dtype) -> None:
    assert 0 < limit(Shape(2, 32, 64, 2), 64, dtype, torch.device("cpu")) < 1e6


def test_shuffled_batches_visit_every_example_once_an_epoch() -> None:
    batches = list(shuffled_batches(10, 4, 4, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [4, 4, 2, 4]
    assert sorted(np.concatenate(batches[:3]).tolist()) == list(range(10))


def test_a_step_is_the_mean_of_all_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([100.0, 112.0])
    monkeypatch.setattr(benchmark, "_clock", lambda device: next(seconds))

    def fit(recipe: Any, labels: Any, examples: Any, targets_N: Any, progress: Any) -> None:
        for step in range(recipe.steps):
            progress(step + 1, recipe.steps)

    assert seconds_per_step(fit, Plan("none").recipe(5), (), (), np.array([]), torch.device("cpu")) == 3.0


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux has it")
@pytest.mark.parametrize("name", FITS)
def test_the_peak_of_a_fit_is_more_than_its_weights(name: str, tiny: Path) -> None:
    learnt = [example for example, _ in of_pairs(own_pairs()).train[:8]]
    targets_N = np.array([0, 1] * 4)
    peak = peak_memory(name, Plan(str(tiny), "cpu").recipe(2), "ab", learnt, targets_N, torch.get_num_threads())
    assert peak["resident_mib"] > 50


def test_a_run_holds_all_numbers_and_each_is_finite(result: dict[str, Any]) -> None:
    scoring, fit, predict = result["scoring"], result["fit"], result["predict"]
    assert scoring["ways"].keys() == {"naive", "pipeline", "padded", "ours_fp32", "ours_fast"}
    assert fit["ways"].keys() == set(FITS)
    assert predict["ways"].keys() == {"naive", "ours"}
    assert scoring["ratio_to_naive"] == scoring["ways"]["ours_fast"]["ratio_to_naive"]["median"]
    assert scoring["share_of_limit"] == scoring["ways"]["ours_fast"]["share_of_limit"]["median"]
    assert fit["ratio_to_tutorial"] == fit["ways"]["ours"]["ratio_to_tutorial"]["median"]
    assert predict["p50_ratio_to_naive"] == predict["ways"]["ours"]["p50_ratio_to_naive"]["median"]
    assert 0 <= scoring["top_100_overlap"] <= 1
    assert -1 <= scoring["spearman"] <= 1
    assert {"command", "machine", "device", "versions", "data", "base_model"} <= result.keys()
    assert len(numbers_in(result)) > 100
    assert all(math.isfinite(number) for number in numbers_in(result))


def test_each_way_is_its_own_measure_in_every_repetition(result: dict[str, Any]) -> None:
    for way in result["scoring"]["ways"].values():
        assert len(way["seconds"]["values"]) == 2
    assert result["scoring"]["ways"]["naive"]["ratio_to_naive"]["values"] == [1, 1]
    assert result["fit"]["ways"]["padded"]["ratio_to_tutorial"]["values"] == [1, 1]
    assert result["predict"]["ways"]["naive"]["p50_ratio_to_naive"]["values"] == [1, 1]


def test_all_ways_compute_the_same_probabilities(result: dict[str, Any]) -> None:
    off = {name: way["largest_difference"] for name, way in result["scoring"]["ways"].items()}
    assert max(off[name] for name in ("naive", "pipeline", "padded", "ours_fp32")) < 1e-5
    assert off["ours_fast"] < 0.02


def test_a_result_is_written_for_machines_and_for_people(result: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "runs" / "benchmark.json"
    write_result(result, out)
    assert json.loads(out.read_text(encoding="utf-8")) == result
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| Nextlabel, fast" in page
    assert "scripts/benchmark.py --quick" in page


def test_a_readme_is_renewed_between_its_markers_only_and_once(result: dict[str, Any], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Before\n\n{START}\nold\n{END}\n\nAfter\n", encoding="utf-8")
    assert update_readme(readme, result)
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"# Before\n\n{START}\n")
    assert once.endswith(f"\n{END}\n\nAfter\n")
    assert "old" not in once
    assert not update_readme(readme, result)
    assert readme.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("text", ["nothing", START, f"{END}\n{START}", f"{START}\n{START}\n{END}"])
def test_a_readme_without_markers_is_refused_and_left_alone(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(BadRunError, match="Add the two lines <!-- benchmark --> and <!-- /benchmark -->"):
        check_readme(readme)
    assert readme.read_text(encoding="utf-8") == text


def test_a_missing_readme_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match=r"none\.md cannot be read"):
        check_readme(tmp_path / "none.md")
