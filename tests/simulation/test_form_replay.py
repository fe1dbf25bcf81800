"""Replays of several questions: what is chosen, recorded, stored and reported."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.pages import parse
from nextlabel.learning.rounds import round_seed, run_round
from nextlabel.learning.strategies import acquire, most_informative_first
from nextlabel.learning.thresholds import with_thresholds
from nextlabel.model.classifier import Recipe
from nextlabel.problems.form import Form
from nextlabel.simulation import probabilities, report
from nextlabel.simulation.count_report import write_report
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import Labelled, TextSet, of_pairs
from nextlabel.simulation.experiment import Experiment
from nextlabel.simulation.measures import check as check_scores
from nextlabel.simulation.records import Record, read_run
from nextlabel.simulation.replay import Arm, Player, RunProtocol, arms, start_set
from nextlabel.simulation.scores import ByQuestion
from nextlabel.simulation.session import introduction, make_plan
from nextlabel.values.examples import Example
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Cut, Layout, encoded

LAYOUT = Layout(
    (
        Cut("kind", ONE_OF, ("different", "paraphrase")),
        Cut("tags", ANY_OF, ("long", "odd")),
        Cut("length", ORDERED, ("1", "2", "3")),
    )
)
FORM = Form.of_layout(LAYOUT)
NAMES = ["kind", "tags", "length"]
STRATEGIES = ("random", "margin")


def asked(items: Sequence[Labelled]) -> tuple[Labelled, ...]:
    """The pairs with answers to three questions; of every fifth nobody was asked how long it is."""
    found = []
    for example, label in items:
        words = len(example.text.split())
        tags = tuple(name for name, holds in (("long", words > 9), ("odd", example.id % 2)) if holds)
        length = {} if example.id % 5 == 0 else {"length": (str(1 + (words > 8) + (words > 11)),)}
        found.append((example, encoded({"kind": (label,), "tags": tags, **length})))
    return tuple(found)


def of_test(record: Record) -> ByQuestion:
    assert record.questions is not None
    return record.questions["test"]


@pytest.fixture(scope="module")
def data() -> TextSet:
    pairs = own_pairs()
    of = of_pairs(replace(pairs, train=pairs.train[:60], holdout=pairs.holdout[:15], test=pairs.holdout[15:35]))
    return TextSet(of.source, FORM.labels, asked(of.train), asked(of.dev), asked(of.test), form=FORM)


@pytest.fixture(scope="module")
def protocol(tiny: Path) -> RunProtocol:
    recipe = Recipe(str(tiny), 3, 1e-3, 8, max_length=48, seed=0, device="cpu")
    return RunProtocol(recipe, at=(16, 28, 40), full_steps=4)


@pytest.fixture(scope="module")
def played(data: TextSet, protocol: RunProtocol, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "form"
    plan = make_plan(STRATEGIES, [0, 1], None, 1, 1, full_seeds=1)
    with Experiment(out, data, protocol) as experiment:
        assert experiment.play(plan, "nextlabel simulate") == []
    return out


def test_the_least_certain_of_all_questions_together_are_chosen(data: TextSet, protocol: RunProtocol) -> None:
    first = next(iter(Player(data, protocol).play(Arm(3, "margin"), []))).record
    start = start_set(data, protocol, 3)
    recipe = replace(protocol.recipe, seed=round_seed(3, 0))
    model = run_round(recipe, FORM, [i for i in data.train if i[0].id in start], [], [], "random").classifier
    pool = [example for example, _ in data.train if example.id not in start]
    values_N = acquire("margin", model.predict_proba(pool)[:, None, :], np.zeros(len(pool)), LAYOUT)
    assert list(first.chosen) == [pool[i].id for i in most_informative_first(values_N)[:12]]


@pytest.mark.usefixtures("patience")
def test_a_record_has_the_measures_of_each_question_and_all_of_it_follows_from_what_is_stored(
    data: TextSet, played: Path
) -> None:
    run = read_run(played)
    check_scores(played, run)
    assert run.setting["data"]["questions"] == LAYOUT.as_dict()
    assert run.setting["data"]["counts"]["test"] == data.counts()["test"]
    record = next(r for r in run.rounds if r.strategy == "margin" and r.round == 1)
    assert record.questions is not None
    assert {part: [*of] for part, of in record.questions.items()} == dict.fromkeys(("dev", "test"), NAMES)
    measured = of_test(record)
    assert measured["length"]["examples"] == sum("length" in answer for _, answer in data.test) < len(data.test)
    assert {"exact_match", "macro_f1", "micro_f1", "f1 long", "f1 odd"} <= set(measured["tags"])
    assert {"mean_absolute_error", "kappa", "f1 2"} <= set(measured["length"])
    said = probabilities.read(played, 0, "margin", 1)["test"]
    assert said.classes_N.shape == said.probs_NC.shape == (20, 7)
    answers = {example.id: answer for example, answer in data.train}
    assert record.mix is not None
    assert record.mix["kind: paraphrase"] == sum('"paraphrase"' in answers[number] for number in record.chosen)


@pytest.mark.usefixtures("patience")
def test_an_arm_goes_on_from_its_records(data: TextSet, protocol: RunProtocol, played: Path) -> None:
    whole = [r for r in read_run(played).rounds if r.arm == (1, "margin")]
    rest = [p.record for p in Player(data, protocol).play(Arm(1, "margin"), whole[:1])]
    assert [record.result() for record in rest] == [record.result() for record in whole[1:]]


@pytest.mark.usefixtures("patience")
def test_the_report_says_what_was_asked_and_how_well_each_question_was_answered(played: Path, tmp_path: Path) -> None:
    found = write_report([played], tmp_path)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    parse((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "test macro-F1 (mean of the questions kind and tags and length) of " in summary
    assert "length: one step of 3 (1, 2, 3)" in summary
    rows = {
        tuple(cells[:2]): cells[2:]
        for line in summary.partition("## Questions")[2].partition("\n## ")[0].splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 7
    }
    [margin] = [arm for arm in found.study.comparison.arms if arm.strategy == "margin"]
    macro = [float(rows[name, "margin"][1]) for name in NAMES]
    assert np.mean(macro) == pytest.approx(margin.final.test.mean, abs=1e-4)
    assert [bool(cell) for cell in rows["kind", "random"]] == [True, True, False, False, False]
    assert [bool(cell) for cell in rows["tags", "random"]] == [True, True, True, False, False]
    assert [bool(cell) for cell in rows["length", "full data"]] == [True, True, False, True, True]
    assert "| tags: odd |" in summary.partition("## Labels, with 40 labels")[2]


@pytest.mark.usefixtures("patience")
def test_rounds_of_a_fixed_size_have_their_report_too(data: TextSet, protocol: RunProtocol, tmp_path: Path) -> None:
    plan = make_plan(STRATEGIES, [0], 1, 1, 1)
    with Experiment(tmp_path / "run", data, replace(protocol, at=None, start=16, batch=12)) as experiment:
        assert experiment.play(plan, "nextlabel simulate") == []
    report.write_report([tmp_path / "run"], tmp_path)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "The score is the mean of accuracy and F1 over the questions" in summary
    assert "Each question on test, with 28 labels" in summary
    records = {record.strategy: record for record in read_run(tmp_path / "run").rounds if record.labels == 28}
    shown = [f"{of_test(records[name])['tags']['f1 long']:.4f}" for name in ("margin", "random")]
    of_labels = summary.partition("F1 on test, with 28 labels")[2]
    assert "| question | label | margin | random |" in of_labels
    assert f"| tags | long | {' | '.join(shown)} |" in of_labels


def test_what_a_person_is_told_before_it_begins(data: TextSet, protocol: RunProtocol) -> None:
    plan = replace(make_plan(STRATEGIES, [0], None, 1, 1), arms=arms(STRATEGIES, [0]))
    told = list(introduction(data, protocol, plan))
    assert "Question tags: any of 2 (long, odd)" in told
    assert not any("is taken as a class" in line for line in told)
    assert not any("F1 is that of" in line for line in told)


@pytest.mark.usefixtures("patience")
def test_cheap_models_and_control_labels_are_about_each_question_too(data: TextSet, protocol: RunProtocol) -> None:
    player = Player(data, replace(protocol, control_share=0.3))
    played = next(iter(player.play(Arm(0, "tfidf:margin"), [])))
    assert played.layout is not None
    cut = played.layout.cuts[NAMES.index("tags")]
    assert all(0.2 <= threshold <= 0.8 for threshold in cut.thresholds)
    said_NC = played.said["test"]
    assert said_NC.shape == (len(data.test), 7)
    for of, at in played.layout.parts:
        if of.kind != "any_of":
            np.testing.assert_allclose(said_NC[:, at].sum(axis=1), 1)
    assert [*of_test(played.record)] == NAMES
    [_, second] = [p.record for p in itertools.islice(player.play(Arm(0, "tfidf:margin"), []), 2)]
    assert second.control is not None
    of_kind = second.control["questions"]["kind"]
    low, high = of_kind["accuracy_limits"]
    assert 0 <= low <= of_kind["accuracy"] <= high <= 1
    assert of_kind["labels"] > 0


def test_thresholds_are_those_that_the_live_loop_would_choose(tiny: Path) -> None:
    recipe = Recipe(str(tiny), 3, 1e-3, 8, max_length=48, seed=0, device="cpu")
    layout = Layout((Cut("tags", ANY_OF, ("long", "odd")),))
    form = Form.of_layout(layout)
    items = tuple((Example(n, f"number {n}"), encoded({"tags": ("odd",) if n % 3 == 0 else ()})) for n in range(60))
    data = TextSet("made up", form.labels, items, items[:30], (), form=form)
    played = next(iter(Player(data, RunProtocol(recipe, at=(60,), full_steps=4)).play(Arm(0, "random"), [])))
    round_0 = run_round(replace(recipe, seed=round_seed(0, 0)), form, items, [], [], "random").classifier
    features_ND = round_0.predict_with_features([example for example, _ in items], exact=False)[1]
    targets_NC = form.class_numbers([answer for _, answer in items])
    assert played.layout == with_thresholds(layout, round_0.last_layer, features_ND, targets_NC) != layout
    guesses_NC = played.layout.guesses(played.said["dev"])
    assert played.record.dev["accuracy"] == form.evaluate(targets_NC[:30], guesses_NC).accuracy
