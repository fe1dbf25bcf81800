"""The simulation from the command line, where nothing but torch, transformers, numpy, tqdm and matplotlib is there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.packages import SERVER_PACKAGES
from helpers.paths import ROOT
from nextlabel.commands import simulate
from nextlabel.errors import BadCorpusError, BadRunError, RefusedConfigError
from nextlabel.learning import auto_recipe
from nextlabel.simulation import session
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.simulation.experiment import ExperimentPlan, setting_of
from nextlabel.simulation.replay import RunProtocol, arms, deviations
from nextlabel.values.layout import decoded

SCRIPTS = ROOT / "scripts"
MISSING = (*SERVER_PACKAGES, "pydantic", "label_studio", "sklearn", "scipy", "small_text", "psutil", "ray", "grpc")

# Runs a script as if the packages of the server had never been installed.
WALLED = f"""
import runpy, sys
from importlib.machinery import PathFinder

class Wall(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {MISSING!r} else super().find_spec(name, path, target)

sys.meta_path = [Wall if finder is PathFinder else finder for finder in sys.meta_path]
sys.path.insert(0, {str(SCRIPTS)!r})
script = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def command(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", WALLED, str(SCRIPTS / script), *map(str, arguments)]


def run(script: str, *arguments: object) -> str:
    """What it prints; fails when it does not end well."""
    done = subprocess.run(command(script, *arguments), capture_output=True, text=True, check=False, timeout=1000)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments: object) -> str:
    """The one message of a simulation that does not start."""
    done = subprocess.run(command("simulate.py", *arguments), capture_output=True, text=True, check=False, timeout=1000)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def rounds(out: Path) -> list[dict[str, Any]]:
    """The records of a run by arm, without what no two runs share."""
    lines = [json.loads(line) for line in (out / "rounds.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        assert line.pop("seconds")["fit"] > 0
    return sorted(lines, key=lambda line: (line["seed"], line["strategy"], line["round"]))


@pytest.fixture(scope="module")
def quick(tiny: Path, patience: None) -> tuple[object, ...]:
    """Options for a few quick rounds of a model that learns little."""
    model = ("--base-model", tiny, "--steps", 3, "--batch-size", 8, "--lr", 1e-3, "--max-length", 48)
    return (*model, "--device", "cpu", "--threads", 1, "--start", 100, "--batch", 150)


def topics(path: Path, count: int, shift: int = 0) -> Path:
    """Sentences of six classes."""
    words = ("river", "engine", "bread", "violin", "planet", "goal")
    rows = [f"The {words[i % 6]} number {i + shift} is here\t{words[i % 6]}" for i in range(count)]
    path.write_text("sentence\ttopic\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_run_and_its_report(quick: tuple[object, ...], tmp_path: Path) -> None:
    options = ("--own-pairs", *quick, "--seeds", 2, "--strategy", "margin", "--strategy", "bald", "--out", tmp_path)
    said = run("simulate.py", *options, "--rounds", 2)
    assert "Arms: full, random, margin, bald; 2 seeds; 150 labels a round" in said
    found = rounds(tmp_path)
    assert [(r["seed"], r["strategy"], r["labels"]) for r in found] == [
        (seed, strategy, labels)
        for seed in (0, 1)
        for strategy, sizes in (("bald", 3), ("full", 1), ("margin", 3), ("random", 3))
        for labels in ((480,) if strategy == "full" else (100, 250, 400)[:sizes])
    ]
    report = run("report.py", tmp_path)
    assert "Supports no claim (2 paired seeds, 10 are needed)" in report
    for name in ("report.html", "summary.md", "statistics.json", "learning-curves.png", "learning-curves.svg"):
        assert (tmp_path / name).stat().st_size > 0
    assert "nextlabel simulate --own-pairs" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_a_killed_run_goes_on_and_ends_with_the_lines_of_an_unbroken_one(
    quick: tuple[object, ...], tmp_path: Path
) -> None:
    options = ("--own-pairs", *quick, "--seeds", "3,", "--out")
    run("simulate.py", *options, tmp_path / "whole")
    broken = tmp_path / "broken"
    for wanted in (1, 4):  # rounds on disk when it is killed
        with subprocess.Popen(command("simulate.py", *options, broken), stdout=-3, stderr=-3) as process:
            end = time.monotonic() + 120
            while time.monotonic() < end and process.poll() is None and written(broken) < wanted:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
    assert written(broken) >= 4  # else it was too quick to be killed
    run("simulate.py", *options, broken)
    assert rounds(broken) == rounds(tmp_path / "whole")
    assert len(json.loads((broken / "run.json").read_text(encoding="utf-8"))["invocations"]) == 3


def written(out: Path) -> int:
    path = out / "rounds.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_files_with_six_classes_and_one_text(quick: tuple[object, ...], tmp_path: Path) -> None:
    train, dev = topics(tmp_path / "train.tsv", 400), topics(tmp_path / "dev.tsv", 60, 1000)
    columns = ("--text", "sentence", "--label", "topic")
    run(
        "simulate.py", "--train", train, "--dev", dev, *columns, *quick, "--seeds", 1, "--out", tmp_path / "out"
    )  # fmt: skip
    found = rounds(tmp_path / "out")
    assert {r["strategy"]: r["labels"] for r in found} == {"full": 400, "random": 400, "entropy": 400}
    assert all(r["test"] is None for r in found)
    assert "macro" in run("report.py", tmp_path / "out") + (tmp_path / "out/summary.md").read_text(encoding="utf-8")


def test_a_variation_of_the_tutorial_is_not_called_a_reproduction(quick: tuple[object, ...], tmp_path: Path) -> None:
    options = ("--own-pairs", *quick, "--out", tmp_path, "--reproduce-tutorial", "--stop-at", 0.2)
    said = run("simulate.py", *options)
    assert "Arms: full, entropy; 1 seed" in said
    assert [(r["seed"], r["strategy"], r["round"]) for r in rounds(tmp_path)] == [
        (123, "entropy", 0),
        (123, "full", 0),
    ]
    report = run("report.py", tmp_path)
    assert "not a reproduction" in report
    assert "not evidence" in report
    setting = json.loads((tmp_path / "setting.json").read_text(encoding="utf-8"))
    assert "stop_at: 0.2, not 0.8568" in setting["deviations"]
    assert any(line.startswith("data: ") for line in setting["deviations"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_number_of_workers_changes_no_number_of_threads(
    workers: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[tuple[object, ...]] = []

    def noted(*amounts: object) -> None:
        planned.append(amounts)
        raise BadRunError("enough")

    monkeypatch.setattr(session, "make_plan", noted)
    with pytest.raises(BadRunError, match="enough"):
        simulate.main(["--own-pairs", "--base-model", f"{tiny}", "--workers", workers, "--out", f"{tmp_path / 'out'}"])
    assert planned[0][3:5] == (int(workers), 1)


def test_the_tutorial_as_it_is_deviates_in_nothing(script: dict[str, Any]) -> None:
    options = script["make_parser"]().parse_args(["--reproduce-tutorial"])
    pairs = of_pairs(own_pairs()).train
    mrpc = TextSet("MRPC", ("a", "b"), pairs[:1] * 3668, pairs[:1] * 408)
    protocol = script["make_protocol"](options, mrpc)
    assert (protocol.stop_at, protocol.training_seed) == (0.8568, 12)
    assert deviations(mrpc, protocol, *script["choose_arms"](options)) == []


def test_what_weakens_a_run_is_said_before_it(quick: tuple[object, ...], tmp_path: Path) -> None:
    train, test = topics(tmp_path / "train.tsv", 400), topics(tmp_path / "test.tsv", 5, 1000)
    columns = ("--text", "sentence", "--label", "topic", "--seeds", "1,", "--batch", 1000, "--out", tmp_path / "out")
    said = run("simulate.py", "--train", train, "--dev", train, "--test", test, *quick, *columns)
    assert f"{train}: 400 of 400 rows used." in said
    assert "Warning: a leak: 400 dev examples are also in train, word for word but for case and blanks" in said
    assert "Warning: test has no example of river" in said or "Warning: test has no example of goal" in said
    assert "Warning: an arm has 2 rounds at most: a crossing needs 3" in said


def test_what_cannot_be_played_is_refused_in_one_clear_message(quick: tuple[object, ...], tmp_path: Path) -> None:
    train, dev = topics(tmp_path / "train.tsv", 60), topics(tmp_path / "dev.tsv", 12)
    files = ("--train", train, "--dev", dev, *quick, "--out", tmp_path / "out", "--text", "sentence")
    assert "topic" in refused(*files, "--label", "label")
    assert "--start 100 is 60 of the 60 training examples" in refused(*files, "--label", "topic")
    (tmp_path / "dev.tsv").write_text("sentence\ttopic\nThe cat is here\tcat\n", encoding="utf-8")
    message = refused(*files, "--label", "topic")
    assert f"{dev}, line 2" in message
    assert "'cat'" in message
    choice = {"from_name": "mood", "type": "choices", "value": {"choices": ["good"]}}
    tasks = [{"id": 7, "data": {"text": "fine"}, "annotations": [{"result": [choice]}]}]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    export = ("--train", tmp_path / "tasks.json", "--dev", dev, "--text", "text", "--label", "topic")
    assert "no annotation answers a control named 'topic'; they answer 'mood' (1 annotations)" in refused(*export)
    assert "The device 'foo' is unknown" in refused("--own-pairs", *quick, "--device", "foo", "--out", tmp_path / "out")
    assert "--stop-at goes with --reproduce-tutorial" in refused("--own-pairs", "--stop-at", 0.5)
    assert "--full-seeds goes with --labels-at: in fixed" in refused("--own-pairs", "--full-seeds", 3)
    assert not (tmp_path / "out").exists()


def test_rows_that_are_left_out_and_texts_that_contradict_are_told(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = topics(tmp_path / "train.tsv", 60), topics(tmp_path / "test.tsv", 12, 1000)
    repeat = "The river number 0 is here"
    with train.open("a", encoding="utf-8") as file:
        file.write(f"{repeat}\tgoal\nnot yet labelled\t\n{repeat}\tRiver\n")
    options = ["--train", train, "--dev", test, "--test", test, "--text", "sentence", "--label", "topic"]
    for line in introduced(
        script,
        [*options, "--seeds", "1,"],
        capsys,
        [
            f"{train}: 62 of 63 rows used; not used: 1 without a label (the first: line 63).",
            "Warning: 12 test examples are also in dev, word for word but for case and blanks",
            "Warning: 2 train examples repeat an earlier one, word for word but for case and blanks",
            f"Warning: 1 text stands under different labels (3 examples), such as '{repeat}' as 'river' (train, id 2) "
            "and 'goal' (train, id 62) and 'River' (train, id 64)",
            "Warning: 'River' and 'river' are taken as different classes; write them alike if they are one",
        ],
    ):
        assert "leak" not in line


def test_several_labels_are_several_questions(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    rows = "".join(f"text {n},{'ab'[n % 2]},{'p;q' * (n % 3)},{n % 4}\n" for n in range(40))
    path.write_text(f"text,topic,tags,stars\n{rows}", encoding="utf-8")
    options = ["--train", path, "--dev", path, "--text", "text", "--label", "topic", "--label", "tags"]
    more = ["--label", "stars", "--label-separator", ";", "--ordered", "stars", "--seeds", "1,"]
    questions = ["topic: one of 2 (a, b)", "tags: any of 3 (p, q, qp)", "stars: one step of 4 (0, 1, 2, 3)"]
    introduced(script, [*options, *more], capsys, [f"Question {asked}" for asked in questions])


def test_a_labelling_config_tells_a_follow_up_that_was_not_shown_from_none(
    script: dict[str, Any], tmp_path: Path
) -> None:
    when = 'visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="a"'
    config, path = tmp_path / "config.xml", tmp_path / "tasks.json"
    config.write_text(
        '<View><Text name="text" value="$text"/><Choices name="topic" toName="text"><Choice value="a"/>'
        f'<Choice value="b"/></Choices><Choices name="why" toName="text" choice="multiple" {when}><Choice value="p"/>'
        "</Choices></View>"
    )

    def given(**chosen: str) -> list[dict[str, object]]:
        return [
            {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [label]}}
            for name, label in chosen.items()
        ]

    said = [given(topic="a", why="p"), given(topic="a"), given(topic="b"), given(topic="b", why="p")]
    tasks = [
        {"id": n, "data": {"text": f"text {n}"}, "annotations": [{"result": result, "lead_time": 1.0}]}
        for n, result in enumerate(said)
    ]
    path.write_text(json.dumps(tasks))

    def answers(*more: object) -> list[dict[str, tuple[str, ...]]]:
        options = ["--train", path, "--dev", path, "--text", "text", "--label", "topic", "--label", "why", *more]
        parser = script["make_parser"]()
        data = script["read_data"](parser.parse_args([str(option) for option in options]), parser)
        return [dict(decoded(answer)) for _, answer in data.train]

    with_config = [{"topic": ("a",), "why": ("p",)}, {"topic": ("a",), "why": ()}, {"topic": ("b",)}, {"topic": ("b",)}]
    assert answers("--label-config", config) == with_config
    assert answers("--any-of", "why")[2] == {"topic": ("b",), "why": ()}
    odd = {"result": given(topic="a\u00a0", why="gone"), "lead_time": 1.0}
    path.write_text(json.dumps([*tasks, {"id": 4, "data": {"text": "text 4"}, "annotations": [odd]}]))
    assert answers("--label-config", config)[4] == {"topic": ("a",)}, "spelt otherwise, and a label that is gone"
    path.write_text(json.dumps([{"text": "x", "topic": "a", "why": ["p"]}]))
    with pytest.raises(BadCorpusError, match="a labelling config goes with Label Studio's JSON export alone"):
        answers("--label-config", config)
    config.write_text(config.read_text().replace("why", "reason"))
    with pytest.raises(RefusedConfigError, match="asks no question 'why'; it asks topic, reason"):
        answers("--label-config", config)
    config.write_text("<View><!-- Größe --></View>", encoding="latin-1")
    with pytest.raises(RefusedConfigError, match=r"config\.xml is not UTF-8 \(byte 13\)\. Save it as UTF-8"):
        answers("--label-config", config)


def test_a_labelling_config_tells_a_parent_that_was_clicked_from_all_below_it(
    script: dict[str, Any], tmp_path: Path
) -> None:
    config, path = tmp_path / "config.xml", tmp_path / "tasks.json"
    config.write_text(
        '<View><Text name="text" value="$text"/><Choices name="q" toName="text" allowNested="true"><Choice value="A">'
        '<Choice value="A1"/><Choice value="A2"/></Choice><Choice value="B"/></Choices></View>'
    )
    ticked = [[["A"], ["A", "A1"], ["A", "A2"]], [["B"]], [["A", "A1"]]]
    items = [{"from_name": "q", "to_name": "text", "type": "choices", "value": {"choices": of}} for of in ticked]
    tasks = [{"id": n, "data": {"text": f"text {n}"}, "annotations": [{"result": [of]}]} for n, of in enumerate(items)]
    path.write_text(json.dumps(tasks))
    options = ["--train", path, "--dev", path, "--text", "text", "--label", "q", "--label-config", config]
    parser = script["make_parser"]()
    data = script["read_data"](parser.parse_args([str(option) for option in options]), parser)
    assert [label for _, label in data.train] == ["A", "B", "A > A1"]
    path.write_text(json.dumps([{"text": "x", "q": "A"}, {"text": "y", "q": "B"}]))
    with pytest.raises(BadCorpusError, match="a labelling config goes with Label Studio's JSON export alone"):
        script["read_data"](parser.parse_args([str(option) for option in options]), parser)


def introduced(
    script: dict[str, Any], options: list[object], capsys: pytest.CaptureFixture[str], expected: list[str]
) -> list[str]:
    """The lines that introduce a run, the expected ones among them."""
    parser = script["make_parser"]()
    parsed = parser.parse_args([str(option) for option in options])
    data = script["read_data"](parsed, parser)
    plan = ExperimentPlan(arms(*script["choose_arms"](parsed)))
    script["introduce"](data, script["make_protocol"](parsed, data), plan)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in expected if line not in lines] == []
    return lines


def test_pairs_that_are_joined_to_train_by_sentences_are_told(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = "one\tother\tlabel\n"
    files = {
        "train": [f"a{n}\tb{n}\t{n % 2}\n" for n in range(100)],
        "dev": ["b7\tc\t1\n", "d\te\t0\n"],
        "test": ["c\tf\t1\n", "g\th\t0\n", "h\ta9\t0\n"],
    }
    options: list[object] = ["--text", "one", "--pair", "other", "--label", "label"]
    for name, rows in files.items():
        (tmp_path / f"{name}.tsv").write_text(header + "".join(rows), encoding="utf-8")
        options += [f"--{name}", tmp_path / f"{name}.tsv"]
    chain = "or are joined to it by a chain of pairs that share one, such as"
    introduced(
        script,
        options,
        capsys,
        [
            f"Warning: 1 of 2 dev pairs share a sentence with train (1) {chain} 'b7' (id 103)",
            f"Warning: 3 of 3 test pairs share a sentence with train (1) {chain} 'a9' (id 108)",
        ],
    )


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The functions of nextlabel simulate."""
    return vars(simulate)


def test_what_the_environment_says_of_a_cluster_that_is_away_is_read_as_the_trainer_reads_it(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for said, away in (("", "local"), ("wait", "wait")):
        monkeypatch.setenv("COMPUTE_AWAY", said)
        assert script["make_parser"]().parse_args([]).cluster_away == away
    monkeypatch.setenv("COMPUTE_AWAY", "remote")
    with pytest.raises(SystemExit):
        script["make_parser"]().parse_args([])
    assert "'remote' (COMPUTE_AWAY, if it was not given) is neither local nor wait" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--start", "1.5"], "'1.5' is neither a share between 0 and 1 nor a whole number"),
        (["--start", "0"], "'0' is neither a share"),
        (["--start", "nan"], "'nan' is not a number"),
        (["--stop-at", "85.7"], "'85.7' is not between 0 and 1 (scores run from 0 to 1, not to 100)"),
        (["--seeds", "a"], "'a' is neither a number of seeds (20) nor a list of them (0,1,2; one: 0,)"),
        (["--batch", "-1"], "'-1' is not a whole number above 0"),
        (["--max-length", "7"], "'7' is less than 8 word pieces"),
        (["--lr", "2"], "'2' is not above 0 and below 1"),
        (["--strategy", "magic"], "invalid choice: 'magic'"),
        (["--cluster-away", "never"], "'never' (COMPUTE_AWAY, if it was not given) is neither local nor wait"),
    ],
)
def test_an_impossible_option_is_named_with_its_value(
    script: dict[str, Any], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        script["make_parser"]().parse_args(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--train", "a.tsv"], "--train needs --dev FILE, --text COLUMN and --label COLUMN"),
        (["--dataset", "nyu-mll/glue"], "--dataset needs --text COLUMN and --label COLUMN"),
        (["--dataset", "a/b", "--text", "t", *["--label", "l"] * 2], "--dataset takes one --label, of which"),
        (["--own-pairs", "--mrpc-dir", "x"], "give only one of --corpus, --mrpc-dir, --train, --dataset, --own-pairs"),
        (
            ["--dev", "d.csv", "--test", "t.csv", "--text", "t", "--label", "l"],
            "--text, --label, --dev, --test would not be heeded: the data is MRPC from the hub. Leave that out, or give"
            " --train",
        ),
        (["--corpus", "c", "--positive", "ham"], "--positive would not be heeded: the data is read from --corpus."),
        (["--corpus", "c", "--label-separator", ";"], "Leave that out, or give --train"),
        (["--mrpc-dir", "c", "--test", "t.tsv"], "--test would not be heeded"),
        (
            ["--own-pairs", "--more", "c"],
            "--more would not be heeded: the data is read from --own-pairs. Leave that out",
        ),
        (["--dataset", "a/b", "--text", "t", "--label", "l", "--id", "n"], "--id would not be heeded"),
        (["--dataset", "a/b", "--text", "t", "--label", "l", "--any-of", "l"], "--any-of would not be heeded"),
        (
            ["--splits", "a,b,c"],
            "--splits would not be heeded: the data is MRPC from the hub. Leave that out, or give --da",
        ),
        (["--config", "sst2", "--own-pairs"], "--config would not be heeded"),
    ],
)
def test_data_options_that_do_not_go_together_are_refused(
    script: dict[str, Any], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = script["make_parser"]()
    with pytest.raises(SystemExit):
        script["read_data"](parser.parse_args(arguments), parser)
    assert words in capsys.readouterr().err


def test_defaults_are_the_tutorials_and_random_is_always_among_the_arms(script: dict[str, Any]) -> None:
    pair = of_pairs(own_pairs()).train[0]
    mrpc = TextSet("as many examples as MRPC", ("a", "b"), (pair,) * 3668, (pair,))
    options = script["make_parser"]().parse_args([])
    protocol = script["make_protocol"](options, mrpc)
    recipe = protocol.recipe
    assert (recipe.base_model, recipe.steps, recipe.learning_rate) == ("google-bert/bert-base-cased", 343, 2e-5)
    assert (recipe.batch_size, recipe.max_length, recipe.warmup) == (32, 128, 0.0)
    assert (protocol.start, protocol.batch, protocol.stop_at, protocol.training_seed) == (0.3, 64, None, None)
    assert protocol.full_steps == 343
    assert script["choose_arms"](options) == (["random", "entropy"], list(range(10)))
    options = script["make_parser"]().parse_args(["--strategy", "bald", "--seeds", "7,9"])
    assert script["choose_arms"](options) == (["random", "bald"], [7, 9])


def test_auto_steps_follow_the_labels_and_come_with_a_recipe_of_their_own(script: dict[str, Any], tiny: Path) -> None:
    data = of_pairs(own_pairs())

    def protocol_of(*options: object) -> RunProtocol:
        parsed = script["make_parser"]().parse_args(["--base-model", str(tiny), *map(str, options)])
        made = script["make_protocol"](parsed, data)
        assert isinstance(made, RunProtocol)
        return made

    auto = protocol_of("--steps", "auto", "--lr", "auto")
    assert auto.recipe.learning_rate == auto_recipe.learning_rate(32)
    assert {name: getattr(auto.recipe, name) for name in auto_recipe.FIXED} == auto_recipe.FIXED
    assert [auto.steps(labels) for labels in (32, 1000)] == [auto_recipe.steps(32), auto_recipe.steps(1000)]
    assert setting_of(data, auto, None)["recipe"]["steps"] == auto_recipe.RULE
    given = protocol_of("--steps", "auto", "--lr", "1e-4", "--batch-size", "8", "--warmup", "0")
    assert (given.recipe.learning_rate, given.recipe.batch_size, given.recipe.warmup) == (1e-4, 8, 0)
    assert given.steps(1000) == auto_recipe.steps(1000, 8)
    with pytest.raises(BadRunError, match="--epochs 15 would not be heeded: with --steps auto a fit is as long as its"):
        protocol_of("--steps", "auto", "--epochs", "15")
    fixed = protocol_of("--steps", "20")
    assert (fixed.steps(1000), fixed.recipe.stop_loss) == (20, 0)
    assert "stop_loss" not in setting_of(data, fixed, None)["recipe"]
