"""The default that is frozen in a file: that it is the one of new projects, and how it is played."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.paths import ROOT
from nextlabel.commands import simulate
from nextlabel.errors import BadRunError
from nextlabel.learning import auto_recipe
from nextlabel.model import checkpoints
from nextlabel.settings import Settings
from nextlabel.simulation import frozen_default, records
from nextlabel.simulation.count_report import read_count_study
from nextlabel.simulation.count_study import steps_of_fits
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.records import SETTING
from nextlabel.simulation.starts import Cell
from nextlabel.values.examples import Example

COMMITTED = ROOT / "reports" / "frozen-default.json"


def test_the_frozen_default_is_what_a_new_project_is_served_by() -> None:
    default, served = json.loads(COMMITTED.read_text(encoding="utf-8"))["default"], dict(frozen_default.SERVED_HERE)
    settings = {name: field.default for name, field in Settings.model_fields.items() if name in default}
    assert default == {**settings, **served}
    assert set(settings) == {
        *("query_strategy", "start_order", "head", "near_copies", "control_share"),
        *("fit_schedule", "fit_every", "fit_steps", "learning_rate"),
    }
    assert served.keys() - settings.keys() == {
        *("head_every", "head_precision", "near_copies_cosine", "near_copies_words", "control_spacing"),
        *("auto_recipe", "auto_batch_size", "auto_warmup", "auto_stop_loss"),
    }
    assert frozen_default.read(COMMITTED).played["steps"] == default["fit_steps"]


def test_five_corpora_confirm_it_and_the_page_says_which_part_each_played() -> None:
    corpora = json.loads(COMMITTED.read_text(encoding="utf-8"))["corpora"]
    confirming, chosen_on = corpora["confirming"], corpora["chosen_on"]
    assert len(confirming) >= 5
    assert all(re.fullmatch(r"[0-9a-f]{16}", fingerprint) for fingerprint in confirming.values())
    with_fits = [chosen_on[name] for name in ("fit_steps", "learning_rate")]
    assert not set(confirming) & {corpus for of in with_fits for corpus in of}, "no fit on them chose anything"
    page = (ROOT / "docs" / "frozen.md").read_text(encoding="utf-8")
    for corpus in {corpus for of in chosen_on.values() for corpus in of}:
        parts = [name for name, of in chosen_on.items() if corpus in of]
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {corpus} |")]
        assert [name for name in chosen_on if f"`{name}`" in row] == parts, corpus
        assert row.endswith("| in part |") == (corpus in confirming), corpus


def test_what_the_page_says_of_the_start_order_without_the_confirming_corpora_is_so() -> None:
    confirming = json.loads(COMMITTED.read_text(encoding="utf-8"))["corpora"]["confirming"]
    files = sorted((ROOT / "reports" / "starts").glob("*.json"))
    told = [json.loads(file.read_text(encoding="utf-8"))["cells"] for file in files if file.stem not in confirming]
    cells = [Cell(**cell) for of in told for cell in of]
    above, means = {}, {}
    for labels in (8, 16, 40, 64):
        for start in ("typiclust", "medoids", "coverage"):
            of = [cell for cell in cells if (cell.labels, cell.start) == (labels, start)]
            assert [cell.corpus for cell in of] == ["mrpc", "r8", "reviews-rare", "tweets"]
            above[labels, start] = sum((cell.difference.low or 0) > 0 for cell in of)
            means[labels, start] = np.mean([cell.macro_f1 for cell in of])
    by_typiclust = [above[labels, "typiclust"] for labels in (8, 16, 40, 64)]
    assert by_typiclust == [2, 3, 3, 2]
    assert {above[labels, start] for labels, start in above if start != "typiclust"} == {2}
    first = {labels: max(means, key=lambda of: (of[0] == labels, means[of]))[1] for labels in (8, 16, 40, 64)}
    assert first == {8: "typiclust", 16: "typiclust", 40: "coverage", 64: "coverage"}
    assert [f"{means[labels, start]:.3f}" for start in ("typiclust", "medoids") for labels in (8, 16)] == [
        *("0.453", "0.507", "0.444", "0.494")
    ]


# By command line


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Texts of two kinds."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(100)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:60]), tuple(rows[60:80]), tuple(rows[80:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def frozen(path: Path, checkpoint: Path, **changes: Any) -> Path:
    """The committed file for a tiny checkpoint and few labels."""
    told = json.loads(COMMITTED.read_text(encoding="utf-8"))
    told["base_model"] = f"another name ({checkpoints.identity(str(checkpoint)).rpartition('(')[2]}"
    told["played"] = {**told["played"], "labels_at": [8, 16], "seeds": [0, 1], "full_seeds": 1, "strategy": ["live"]}
    told["default"] |= changes
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_a_corpus_is_played_as_the_file_says_and_the_record_has_its_checksum(
    corpus: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(auto_recipe, "FEWEST", 64)
    file, out = frozen(tmp_path / "file.json", tiny), tmp_path / "out"
    options = ["--frozen", f"{file}", "--corpus", f"{corpus}", "--base-model", f"{tiny}", "--out", f"{out}"]
    assert simulate.main([*options, "--seeds", "0,", "--device", "cpu"]) == 0
    run = records.read_run(out)
    assert run.invocations[0]["device"] == "cpu (1 thread)", "however many workers share the cores"
    assert {(r.seed, r.strategy, r.labels) for r in run.rounds} == {
        (0, "full", 60),
        *((0, name, labels) for name in ("random", "live") for labels in (8, 16)),
    }
    setting = json.loads((out / SETTING).read_text(encoding="utf-8"))
    assert setting["frozen"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert setting["recipe"]["steps"] == auto_recipe.RULE
    assert steps_of_fits(read_count_study([out])) == {
        **{n: auto_recipe.steps(n) for n in (8, 16)},
        60: 343,
    }, "its report can tell them"
    file.write_text(f"{file.read_text(encoding='utf-8')} ", encoding="utf-8")
    capsys.readouterr()
    with pytest.raises(BadRunError, match=r"another setting than the one asked for .*frozen: "):
        simulate.main([*options, "--seeds", "0,", "--threads", "1", "--device", "cpu"])
    assert not capsys.readouterr().out, "nothing is said that reads as if it had begun"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--lr", "1e-4"), r"--lr 0\.0001 contradicts .*file\.json, which plays auto\. Leave it out, or --frozen"),
        (("--labels-at", "8,32"), "--labels-at 8,32 contradicts .*, which plays 8,16"),
        (("--warmup", "0"), "--warmup 0.0 contradicts .*, which leaves that to the default"),
        (("--seeds", "3"), "--seeds 0,1,2 contradicts .*, which plays 0,1"),
        (("--seeds", "3", "--strategy", "tfidf:margin", "--strategy", "live"), "--seeds 0,1,2 contradicts"),
        (("--strategy", "bald"), "--strategy bald contradicts .*, which plays live"),
        (("--control-share", "0.2"), "--control-share 0.2 contradicts .*, which leaves that to the default"),
        (("--max-length", "64"), "--max-length 64 contradicts"),
        (("--reproduce-tutorial",), "--reproduce-tutorial contradicts"),
    ],
)
def test_an_option_that_contradicts_is_refused_by_name(
    option: tuple[str, ...], said: str, corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    file, out = frozen(tmp_path / "file.json", tiny), tmp_path / "out"
    with pytest.raises(BadRunError, match=said):
        simulate.main(["--frozen", f"{file}", "--corpus", f"{corpus}", "--base-model", f"{tiny}", *option])
    assert not out.exists()


def test_baselines_are_played_beside_it_and_with_more_seeds(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    file, out = frozen(tmp_path / "file.json", tiny), tmp_path / "out"
    options = ["--frozen", f"{file}", "--corpus", f"{corpus}", "--base-model", f"{tiny}", "--out", f"{out}"]
    arms = ["tfidf:random", "frozen:margin"]
    more = [part for arm in arms for part in ("--strategy", arm)]
    assert simulate.main([*options, *more, "--seeds", "3", "--threads", "1", "--device", "cpu"]) == 0
    run = records.read_run(out)
    assert {record.arm for record in run.rounds} == {(seed, arm) for seed in range(3) for arm in arms}
    assert run.setting["frozen"] == hashlib.sha256(file.read_bytes()).hexdigest()
    parser = simulate.make_parser()
    beside = parser.parse_args([*options, "--strategy", "live", "--strategy", "tfidf:margin"])
    simulate.take_frozen(beside)
    assert simulate.choose_arms(beside) == (["random", "live", "tfidf:margin"], [0, 1])


def test_a_part_of_what_it_plays_is_taken_random_sampling_too(tiny: Path, tmp_path: Path) -> None:
    plan = frozen_default.read(frozen(tmp_path / "file.json", tiny))
    assert plan.settled("strategy", ["random"]) == ["random"]
    assert plan.settled("seeds", [1]) == [1]
    assert plan.settled("full_seeds", 1) == 1
    assert plan.settled("labels_at", (8,)) == (8,), "of a corpus that has fewer texts than the last count"


@pytest.mark.parametrize(("frozen_at", "given"), [([8, 16, 32], "8,16"), ([8, 16, 99], "8,16,99"), ([8, 99], "8,9")])
def test_a_run_ends_at_the_last_count_that_the_corpus_reaches(
    frozen_at: list[int], given: str, corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    file, out = frozen(tmp_path / "file.json", tiny), tmp_path / "out"
    told = json.loads(file.read_text(encoding="utf-8"))
    told["played"]["labels_at"] = frozen_at
    file.write_text(json.dumps(told), encoding="utf-8")
    options = ["--frozen", f"{file}", "--corpus", f"{corpus}", "--base-model", f"{tiny}", "--out", f"{out}"]
    with pytest.raises(BadRunError, match=f"--labels-at {given} contradicts"):
        simulate.main([*options, "--labels-at", given])
    assert not out.exists()
    reached = tuple(count for count in frozen_at if count <= 60)
    if len(reached) > 1:
        played = frozen_default.read(file)
        assert played.counts(reached, 60) == played.counts(None, 60) == reached, "a person need not give it"
    else:
        with pytest.raises(BadRunError, match="of which 60 training examples reach fewer than two"):
            simulate.main(options)


def test_another_checkpoint_another_default_and_no_such_file_are_refused(
    corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    file = frozen(tmp_path / "file.json", tiny)
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    committed["played"]["labels_at"] = [8, 16]  # the corpus is small
    (tmp_path / "committed.json").write_text(json.dumps(committed), encoding="utf-8")
    with pytest.raises(BadRunError, match=r"frozen with all-MiniLM-L6-v2 \(sha256 .*--base-model is "):
        simulate.main(
            ["--frozen", f"{tmp_path / 'committed.json'}", "--corpus", f"{corpus}", "--base-model", f"{tiny}"]
        )
    with pytest.raises(BadRunError, match=r"serves new projects otherwise .*: head_every is 5, not 8\. Play it with"):
        frozen_default.read(frozen(file, tiny, head_every=8))
    with pytest.raises(BadRunError, match=r"serves new projects otherwise .*: control_spacing is "):
        frozen_default.read(frozen(file, tiny, control_spacing="every tenth"))
    for content in ("", "[]", "{}"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(BadRunError, match=r"--frozen .*file\.json cannot be read as a frozen default"):
            frozen_default.read(file)
