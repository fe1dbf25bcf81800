"""The benchmark: it counts, ranks and takes turns as it says, and a run of it holds all numbers."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertModel

from nextlabel.errors import BadRunError
from nextlabel.lab.benchmark import fitting, rivals
from nextlabel.lab.benchmark.clock import interleave, ranks, spearman, spread, top_overlap
from nextlabel.lab.benchmark.fitting import STATUS, peak_memory, seconds_per_step
from nextlabel.lab.benchmark.limits import Shape, flop, limit, shape_of
from nextlabel.lab.benchmark.plan import BenchmarkPlan, random_checkpoint
from nextlabel.lab.benchmark.quality import measure_quality
from nextlabel.lab.benchmark.report import check_readme, markers, to_markdown, update_readme, write_result
from nextlabel.lab.benchmark.rivals import fit_by_trainer, fit_ways
from nextlabel.lab.benchmark.run import measure
from nextlabel.lab.benchmark.scoring import measure_scoring
from nextlabel.model import classifier as classifiers
from nextlabel.model import training
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.values.arrays import Ints
from nextlabel.values.examples import Example

Learnt = tuple[tuple[str, ...], list[Example], Ints]


@pytest.fixture(scope="module")
def data() -> TextSet:
    """A few of our own pairs."""
    pairs = of_pairs(own_pairs())
    return replace(pairs, train=pairs.train[:96], dev=pairs.dev[:24])


@pytest.fixture(scope="module")
def result(tiny: Path, data: TextSet, patience: None) -> Iterator[dict[str, Any]]:
    """A run with as little of everything as can be."""
    plan = BenchmarkPlan(
        str(tiny), "cpu", repeats=2, warm_steps=3, singles=3, fit_steps=2, pool=40, whole_steps=3, memory=False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "true")  # what a run sets, and other tests shall not inherit
        yield measure(data, plan, "nextlabel benchmark --quick")


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


def test_a_plan_is_settled_on_one_precision(tiny: Path) -> None:
    assert BenchmarkPlan(str(tiny), "cpu").settled().precision in {"bf16", "fp32"}
    assert BenchmarkPlan(str(tiny), "cpu", "bf16").settled().recipe(3).precision == "bf16"


def test_ways_take_turns() -> None:
    turns: list[tuple[str, int]] = []

    def action(name: str) -> Any:
        def act(repeat: int) -> float:
            turns.append((name, repeat))
            return float(len(turns))

        return act

    measured = interleave({name: action(name) for name in "ABC"}, repeats=2)
    assert turns == [(name, repeat) for repeat in (0, 1) for name in "ABC"]
    assert measured == {"A": [1, 4], "B": [2, 5], "C": [3, 6]}


def test_what_is_over_soon_takes_a_turn_after_each_of_the_others_and_its_mean_counts() -> None:
    turns: list[str] = []

    def action(name: str) -> Any:
        def act(repeat: int) -> float:
            turns.append(name)
            return float(len(turns))

        return act

    measured = interleave({name: action(name) for name in "AB"}, repeats=2, after_each={"x": action("x")})
    assert turns == ["A", "x", "B", "x"] * 2
    assert measured == {"A": [1, 5], "B": [3, 7], "x": [(2 + 4) / 2, (6 + 8) / 2]}


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


def test_a_step_is_the_mean_of_all_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([100.0, 112.0])
    monkeypatch.setattr(fitting, "clock", lambda device: next(seconds))

    def fit(recipe: Any, labels: Any, examples: Any, targets_N: Any, progress: Any) -> Any:
        for step in range(recipe.steps):
            progress(step + 1, recipe.steps)

    assert seconds_per_step(fit, BenchmarkPlan("none").recipe(5), (), (), np.array([]), torch.device("cpu")) == 3.0


def weights(classifier: classifiers.Classifier) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in classifier.model.parameters()])


@pytest.fixture(scope="module")
def learnt(data: TextSet) -> Learnt:
    """Labels, examples and targets, as every fit takes them."""
    return data.labels, [example for example, _ in data.train[:8]], np.array([0, 1] * 4)


def note(told: list[tuple[int, ...]], *step: int) -> None:
    told.append(step)


def test_every_fit_tells_each_step_and_the_trainers_learn_in_fp32_again_after_bf16(tiny: Path, learnt: Learnt) -> None:
    recipe = BenchmarkPlan(str(tiny), "cpu").recipe(3)
    fitted: dict[str, torch.Tensor] = {}
    ways = fit_ways(BenchmarkPlan(str(tiny), "cpu"))
    for name in (*ways, "dynamic"):
        told: list[tuple[int, ...]] = []
        before = fitted.get(name)
        fitted[name] = weights(ways[name].fit(recipe, *learnt, partial(note, told)))
        assert [step for step in told if step != (0, 3)] == [(1, 3), (2, 3), (3, 3)]
    assert before is not None
    assert torch.equal(fitted["dynamic"], before)
    assert not torch.equal(fitted["dynamic"], fitted["dynamic_bf16"])


def test_both_fits_of_a_seed_begin_with_the_same_weights(tiny: Path, learnt: Learnt) -> None:
    standing = replace(BenchmarkPlan(str(tiny), "cpu").recipe(1, seed=3), learning_rate=0.0)
    fits = (partial(fit_by_trainer, padding="max_length"), training.fit)
    theirs, ours = (weights(fit(standing, *learnt, lambda done, total: None)) for fit in fits)
    assert torch.equal(theirs, ours)


def test_the_tutorials_way_pads_every_text_to_the_full_length(
    tiny: Path, learnt: Learnt, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    forward = BertModel.forward

    def seen(self: Any, input_ids: Any, **others: Any) -> Any:
        shapes.append(tuple(input_ids.shape))
        return forward(self, input_ids=input_ids, **others)

    monkeypatch.setattr(BertModel, "forward", seen)
    plan = BenchmarkPlan(str(tiny), "cpu", max_length=100)
    for name in ("padded", "dynamic"):
        fit_ways(plan)[name].fit(plan.recipe(1), *learnt, lambda done, total: None)
    assert shapes[0] == (8, 100)
    assert shapes[1] < (8, 100)


def test_without_the_rivals_package_a_run_says_what_to_install(
    tiny: Path, data: TextSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda name: None)
    with pytest.raises(BadRunError, match="Run pip install accelerate"):
        measure(data, BenchmarkPlan(str(tiny), "cpu"), "command")


@pytest.mark.skipif(
    not STATUS.exists(), reason="peaks are read from Linux's /proc; elsewhere the benchmark leaves them out"
)
@pytest.mark.parametrize("name", ["padded", "dynamic", "dynamic_bf16", "ours"])
def test_the_peak_of_a_fit_is_more_than_its_weights(name: str, tiny: Path, learnt: Learnt) -> None:
    plan = BenchmarkPlan(str(tiny), "cpu")
    peak = peak_memory(fit_ways(plan)[name].fit, plan.recipe(2), *learnt, torch.get_num_threads())
    assert peak["resident_mib"] > 50


def test_a_run_holds_all_numbers_and_each_is_finite(result: dict[str, Any]) -> None:
    scoring, fit, predict = result["scoring"], result["fit"], result["predict"]
    assert scoring["ways"].keys() == {"naive", "pipeline", "padded", "ours_fp32", "ours_fast"}
    assert fit["ways"].keys() == {"padded", "dynamic", "dynamic_bf16", "ours"}
    assert predict["ways"].keys() == {"naive", "ours_fp32", "ours_fast"}
    assert scoring["ratio_to_naive"] == scoring["ways"]["ours_fast"]["ratio_to_naive"]["median"]
    assert scoring["share_of_limit"] == scoring["ways"]["ours_fast"]["share_of_limit"]["median"]
    assert fit["ratio_to_tutorial"] == fit["ways"]["ours"]["ratio_to_tutorial"]["median"]
    assert fit["share_of_limit"] == fit["ways"]["ours"]["share_of_limit"]["median"]
    assert predict["p50_ratio_to_naive"] == predict["ways"]["ours_fast"]["p50_ratio_to_naive"]["median"]
    assert 0 <= scoring["top_100_overlap"] <= 1
    assert -1 <= scoring["spearman"] <= 1
    assert -1 <= scoring["spearman_of_bf16_autocast"] <= 1
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


def test_a_steps_share_of_the_limit_is_three_forward_passes_over_its_seconds(result: dict[str, Any]) -> None:
    fit = result["fit"]
    way, limits = fit["ways"]["padded"], fit["limit_gflops"]["fp32"]["values"]
    for i, gflop in enumerate(fit["gflop_per_step"]["values"]):
        share = gflop / way["seconds_per_step"]["values"][i] / limits[i]
        assert way["share_of_limit"]["values"][i] == pytest.approx(share)
    # Two batches of 32 are drawn from 96 examples: their work is a third of the work on all, on average.
    assert fit["gflop_per_step"]["median"] / 3 / 32 == pytest.approx(result["scoring"]["gflop_per_example"], rel=0.3)


def test_single_texts_and_three_labels_are_measured_alike(tiny: Path, data: TextSet) -> None:
    examples = [Example(example.id, example.text) for example, _ in data.train[:30]]
    fitted = training.fit(BenchmarkPlan(str(tiny), "cpu").recipe(2), "abc", examples, np.arange(30) % 3)
    ways = measure_scoring(fitted, examples, 1)["ways"]
    assert max(ways[name]["largest_difference"] for name in ("naive", "pipeline", "padded", "ours_fp32")) < 1e-5


def test_a_random_checkpoint_has_the_sizes_it_is_named_by_and_a_real_tokenizer(tiny: Path, tmp_path: Path) -> None:
    made = random_checkpoint(str(tiny), (3, 24, 40, 4), tmp_path)
    assert made.name == "random-3x24x40x4"
    loaded = classifiers.load(made, "cpu")
    assert shape_of(loaded.model.config) == Shape(layers=3, hidden=24, intermediate=40, classes=2)
    assert loaded.model.config.num_attention_heads == 4
    assert loaded.predict_proba([Example(1, "A text.", "Another one.")]).shape == (1, 2)


def test_random_weights_are_said_to_be_random(result: dict[str, Any]) -> None:
    random = {**result, "plan": {**result["plan"], "random_weights": True}}
    assert "weights were random" in to_markdown(random)
    assert "weights were random" not in to_markdown(result)


def test_quality_is_paired_by_seed_kept_after_each_and_goes_on(tiny: Path, data: TextSet) -> None:
    plan = BenchmarkPlan(str(tiny), "cpu", learning_rate=1e-2)
    kept: list[dict[str, Any]] = []
    measure_quality(data, plan, 2, 8, "command", keep=kept.append)
    assert [[of["seed"] for of in quality["seeds"]] for quality in kept] == [[0], [0, 1]]

    shown: list[str] = []
    whole = measure_quality(data, plan, 3, 8, "command", json.loads(json.dumps(kept[1])), show=shown.append)
    assert shown == ["quality of padded, seed 2", "quality of ours, seed 2"]
    assert whole["seeds"][:2] == kept[1]["seeds"]
    of_dev = whole["combined"]["dev"]
    for i, of_seed in enumerate(whole["seeds"]):
        theirs, ours = (of_seed["dev"][way]["combined"] for way in ("padded", "ours"))
        assert of_dev["difference"]["values"][i] == ours - theirs
    assert of_dev["difference"]["mean"] == pytest.approx(of_dev["ours"]["mean"] - of_dev["padded"]["mean"])
    assert of_dev["difference"]["standard deviation"] == pytest.approx(np.std(of_dev["difference"]["values"], ddof=1))
    page = to_markdown({"quality": whole})
    assert f"| mean | {100 * of_dev['padded']['mean']:.2f} | {100 * of_dev['ours']['mean']:.2f} |" in page
    assert "| seed 2 |" in page


def test_a_single_seed_has_no_spread(tiny: Path, data: TextSet) -> None:
    alone = measure_quality(data, BenchmarkPlan(str(tiny), "cpu"), 1, 2, "command")
    assert alone["combined"]["dev"]["difference"]["standard deviation"] is None
    assert "not known" in to_markdown({"quality": alone})


def test_quality_does_not_go_on_with_another_setting(tiny: Path, data: TextSet) -> None:
    plan = BenchmarkPlan(str(tiny), "cpu")
    earlier = measure_quality(data, plan, 1, 2, "command")
    with pytest.raises(BadRunError, match=r"recipe\.steps: 3, not 2"):
        measure_quality(data, plan, 2, 3, "command", earlier)


def test_a_result_is_written_for_machines_and_for_people(result: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "runs" / "benchmark.json"
    write_result(result, out)
    assert json.loads(out.read_text(encoding="utf-8")) == result
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| Nextlabel, fast" in page
    assert "nextlabel benchmark --quick" in page


@pytest.mark.parametrize("block", ["", "gpu"])
def test_a_readme_is_renewed_between_its_markers_only_and_once(
    block: str, result: dict[str, Any], tmp_path: Path
) -> None:
    readme, (start, end), (other, other_end) = tmp_path / "README.md", markers(block), markers("other")
    after = f"After\n{other}\nas it was\n{other_end}\n"
    readme.write_text(f"# Before\n\n{start}\nold\n{end}\n\n{after}", encoding="utf-8")
    assert update_readme(readme, result, block)
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"# Before\n\n{start}\n")
    assert once.endswith(f"\n{end}\n\n{after}")
    assert "old" not in once
    assert not update_readme(readme, result, block)
    assert readme.read_text(encoding="utf-8") == once


START, END = markers()


@pytest.mark.parametrize("text", ["nothing", START, f"{END}\n{START}", f"{START}\n{START}\n{END}"])
def test_a_readme_without_markers_is_refused_and_left_alone(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(BadRunError, match="Add the two lines <!-- benchmark --> and <!-- /benchmark -->"):
        check_readme(readme)
    assert readme.read_text(encoding="utf-8") == text


def test_a_missing_readme_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match=r"Cannot read .*none\.md: .*Give another --readme"):
        check_readme(tmp_path / "none.md")
