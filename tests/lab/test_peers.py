"""Other tools play by our rules: same start, same label counts, same records; who breaks them is told so."""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from helpers.paths import ROOT
from nextlabel.__main__ import main
from nextlabel.errors import BadRunError
from nextlabel.lab.peers import environment, process
from nextlabel.lab.peers.play import play
from nextlabel.lab.peers.process import Peer
from nextlabel.learning import auto_recipe
from nextlabel.model import checkpoints
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import Labelled, TextSet, of_pairs
from nextlabel.simulation.experiment import Experiment, ExperimentPlan
from nextlabel.simulation.records import Record
from nextlabel.simulation.replay import Arm, RunProtocol, start_set
from nextlabel.values.examples import Example

WORDS = {
    "fruit": ["apple", "pear", "plum", "cherry", "juice"],
    "metal": ["steel", "iron", "copper", "zinc", "ore"],
    "beast": ["dog", "cat", "horse", "cow", "goat"],
}
AT = (8, 16, 24)

# Asks for the start set and then for whatever comes next, and always predicts the first class.
HONEST = """
import sys
sys.path.insert(0, {backend!r})
from nextlabel.lab.peers.channel import opened

channel = opened()
game = channel.game
print("what a library prints does not get into the pipe")
left = [i for i in range(len(game.train)) if i not in game.start]
channel.ask(game.start)
asked = len(game.start)
for wanted in game.at:
    while asked < wanted:
        channel.ask([left.pop(0)])
        asked += 1
    channel.spent("fit")
    first = [1.0] + [0.0] * (len(game.labels) - 1)
    channel.tell([first] * len(game.dev), [first] * len(game.test), [first] * wanted)
"""

StandIn = Callable[..., Peer]


@pytest.fixture(scope="module")
def data() -> TextSet:
    """60 short texts of three classes to learn from, 18 dev, 18 test."""
    draw = random.Random(0)

    def part(first: int, size: int) -> tuple[Labelled, ...]:
        labels = [list(WORDS)[i % 3] for i in range(size)]
        texts = [" ".join(["the", *draw.choices(WORDS[label], k=4), "of", str(i)]) for i, label in enumerate(labels)]
        return tuple((Example(first + i, texts[i]), labels[i]) for i in range(size))

    return TextSet("things", tuple(WORDS), part(0, 60), part(100, 18), part(200, 18))


@pytest.fixture
def protocol(tiny: Path) -> RunProtocol:
    """A few quick steps."""
    return RunProtocol(Recipe(str(tiny), 3, 1e-3, 8, max_length=16, seed=0, device="cpu"), full_steps=4, at=AT)


@pytest.fixture(autouse=True)
def _threads() -> object:
    """A plan sets the number of torch's threads; other tests want theirs back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stand_in(patience: None, tmp_path: Path) -> StandIn:
    """A peer of ours, with a piece of its code replaced."""

    def make(name: str = "small-text", old: str = "", new: str = "") -> Peer:
        script = tmp_path / "peer.py"
        script.write_text(HONEST.format(backend=str(ROOT / "backend")).replace(old or "\0", new), encoding="utf-8")
        return Peer(name, [sys.executable, str(script)], {"stand-in": "1"})

    return make


def played(out: Path, data: TextSet, protocol: RunProtocol, peer: Peer) -> list[Record]:
    """All records after a start."""
    with Experiment(out, data, protocol) as experiment:
        play(experiment, peer, [0, 1], 1, "nextlabel play-peer")
    return records.read_rounds(out / "rounds.jsonl")


def test_a_peer_is_judged_at_our_label_counts_from_our_start(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, stand_in: StandIn
) -> None:
    made = played(tmp_path / "run", data, protocol, stand_in())
    assert [(r.seed, r.strategy, r.round, r.labels) for r in made] == [
        (seed, "small-text", number, labels) for seed in (0, 1) for number, labels in enumerate(AT)
    ]
    for seed in (0, 1):
        chosen = [id for record in made if record.seed == seed for id in record.chosen]
        rest = [example.id for example, _ in data.train if example.id not in start_set(data, protocol, seed)]
        assert chosen == rest[: AT[-1] - AT[0]]
    scores = {"accuracy": 1 / 3, "f1": 1 / 6, "combined": 1 / 4, "macro_f1": 1 / 6, "examples": 18}
    assert made[0].dev == pytest.approx(scores)
    assert made[0].mix is not None
    assert sum(made[0].mix.values()) == 8
    fruit = [example.id for example, label in data.train if label == "fruit"]
    assert made[0].train_accuracy == len(start_set(data, protocol, 0) & set(fruit)) / 8
    assert made[0].versions is not None
    assert made[0].versions["stand-in"] == "1"
    said = probabilities.read(tmp_path / "run", 1, "small-text", 2)
    assert set(said) == {"dev", "test"}
    assert (said["test"].classes_N == 0).all()


def test_what_is_played_is_not_played_again_and_what_was_cut_short_begins_anew(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, stand_in: StandIn
) -> None:
    out = tmp_path / "run"
    whole = played(out, data, protocol, stand_in())
    assert played(out, data, protocol, stand_in(old="channel = opened()", new="sys.exit(3)")) == whole
    records.write_rounds(out / "rounds.jsonl", whole[:-1])
    again = played(out, data, protocol, stand_in())
    assert [record.result() for record in again] == [record.result() for record in whole]


def test_our_classifier_in_a_peers_order_is_the_one_that_our_arms_have(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, stand_in: StandIn
) -> None:
    made = played(tmp_path / "run", data, protocol, stand_in("potato"))
    assert {record.strategy for record in made} == {"potato", "potato-order"}
    with Experiment(tmp_path / "ours", data, protocol) as experiment:
        experiment.play(ExperimentPlan([Arm(0, "random")], threads=1), "nextlabel simulate")
        assert experiment.setting == records.read_json(tmp_path / "run" / "setting.json")
    ours = records.read_rounds(tmp_path / "ours" / "rounds.jsonl")[0]
    theirs = next(record for record in made if record.strategy == "potato-order")
    assert (theirs.dev, theirs.test, theirs.labels) == (ours.dev, ours.test, ours.labels)
    assert theirs.train_accuracy == ours.train_accuracy
    by_arm = {(r.seed, r.strategy, r.round): r.chosen for r in made}
    assert all(by_arm[r.seed, "potato", r.round] == r.chosen for r in made)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("channel = opened()", "sys.exit('no such model')", "ended with exit code 1.*\n.*no such model"),
        ("left.pop(0)", "game.start[0]", "asked for text .* not there or is labelled"),
        ("left.pop(0)", "999", "asked for text 999"),
        ("in game.at:", "in game.at[:2]:", r"at \[8, 16\] labels, not at \[8, 16, 24\]"),
    ],
)
def test_a_peer_that_breaks_the_rules_leaves_no_record(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, stand_in: StandIn, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(BadRunError, match=complaint):
        played(tmp_path / "run", data, protocol, stand_in(old=old, new=new))
    assert records.read_rounds(tmp_path / "run" / "rounds.jsonl") == []


def test_a_peer_is_played_as_a_file_froze_and_reported_beside_what_was_played_so(
    tmp_path: Path,
    data: TextSet,
    tiny: Path,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fetched.write(tmp_path / "things", data, {"title": "things", "package": "none", "word_pieces": 16, "removed": {}})
    told = json.loads((ROOT / "reports" / "frozen-default.json").read_text(encoding="utf-8"))
    played = {
        "strategy": ["margin"],
        "seeds": [0, 1],
        "full_seeds": 1,
        "labels_at": [8, 16],
        "steps": "auto",
        "lr": "auto",
    }
    file = tmp_path / "frozen.json"
    file.write_text(
        json.dumps({**told, "base_model": checkpoints.identity(str(tiny)), "played": played}), encoding="utf-8"
    )
    monkeypatch.setattr(auto_recipe, "FEWEST", 64)
    monkeypatch.setattr(process, "installed", lambda *_: stand_in())
    given = ["--frozen", file, "--corpus", tmp_path / "things", "--base-model", tiny, "--seeds", "0,", "--threads", "1"]
    ours, theirs = ([*map(str, given), "--out", str(tmp_path / name)] for name in ("ours", "theirs"))
    assert main(["simulate", *ours, "--device", "cpu"]) == 0
    assert main(["play-peer", "small-text", *theirs]) == 0
    runs = {name: records.read_run(tmp_path / name) for name in ("ours", "theirs")}
    assert {r.strategy for r in records.merge(runs).rounds} == {"full", "random", "margin", "small-text"}
    assert main(["play-peer", "small-text", *theirs, "--steps", "20"]) == 1
    assert f"--steps 20 contradicts {file}, which plays auto" in capsys.readouterr().err


def test_pairs_are_refused(tmp_path: Path, protocol: RunProtocol) -> None:
    peer = Peer("potato", [sys.executable, "-c", ""], {})
    with pytest.raises(BadRunError, match=r"potato reads one text, and .* has pairs"):
        played(tmp_path / "run", of_pairs(own_pairs()), protocol, peer)


def test_an_environment_that_pip_cannot_make_says_so(
    tmp_path: Path, patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "pins", lambda peer: ["no such requirement"])
    with pytest.raises(BadRunError, match="pip could not install small-text"):
        environment.prepared("small-text", tmp_path)
    assert list(tmp_path.glob("*/stamp")) == []


@pytest.mark.parametrize("peer", ["small-text", "potato"])
@pytest.mark.parametrize("defaults", [False, True])
def test_the_real_peers_play(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    patience: None,
    data: TextSet,
    tiny: Path,
    peer: str,
    defaults: bool,
) -> None:
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    about = {"title": "things", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "things", data, about)
    where = ("--corpus", tmp_path / "things", "--out", tmp_path / "run", "--cache", "cache")
    recipe = ("--base-model", tiny, "--steps", 6, "--lr", 1e-3, "--batch-size", 8, "--threads", 1)
    options = ("--seeds", "0,", "--labels-at", "8,16,24", *(["--defaults"] if defaults else []))
    assert main(["play-peer", *map(str, (peer, *where, *recipe, *options))]) == 0
    made = records.read_rounds(tmp_path / "run" / "rounds.jsonl")
    own = f"{peer}-defaults" if defaults else peer
    arms = [own, *([f"{own}-order"] if peer == "potato" else [])]
    assert [(record.strategy, record.labels) for record in made] == [(arm, labels) for arm in arms for labels in AT]
    assert made[0].versions is not None
    assert {*environment.pins(peer)} <= {f"{name}=={version}" for name, version in made[0].versions.items()}
    assert all(record.test is not None for record in made)
