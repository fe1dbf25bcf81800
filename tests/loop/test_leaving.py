"""What is taken away, opened with what others have: plain transformers, Hugging Face's cards, `datasets`. With a real
model, however small, and labels that look like anything but labels."""

import csv
import html
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.sax.saxutils import quoteattr

import datasets
import pytest
import yaml
from huggingface_hub import ModelCard

from helpers.house import POOL, PROJECT, TRAIN, House
from helpers.paths import ROOT
from nextlabel.errors import BadSettingError, NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.certificate import digest
from nextlabel.loop import machine_labels
from nextlabel.loop.auditing import freeze_pool, in_force, progress
from nextlabel.loop.leaving import Written, effort_of, source_of, write_checkpoint, write_labels, write_summary
from nextlabel.loop.machine_labels import MACHINE, NOT_ASKED, PERSON, MachineLabels
from nextlabel.loop.sync import config_as_read
from nextlabel.problems.judgement import NO_JUDGEMENT
from nextlabel.store.pool import Pool
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import encoded
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.versions import label_files, one_page
from nextlabel.versions.audits import Audits
from nextlabel.versions.exporting import Source, whole
from nextlabel.versions.model_card import Owner
from nextlabel.versions.one_page import Effort, Outcome

OURS = {**os.environ, "PYTHONPATH": str(ROOT / "backend")}
SEED = "the house's own"
YES, NO = '=HYPERLINK("http://x")|`b`', "null"
A_DATE = "2026-11-29"
CONTROL = range(1001, 1301)  # of which those that are drawn are in the project, and answered
RIGHT = {"yes": YES, "no": NO}
LABELS = (YES, NO, "007", "1e5", "no", A_DATE, "-1", "+1-A1", "😀\u2028")
OWNER = Owner("other", "Ours: no. 1", "https://example.com/licence", ("no", "en"))
FORM = (
    '<View><Text name="t" value="$t"/><Text name="u" value="$u"/><Text name="v" value="$v"/>'
    '<Choices name="tags" toName="t" choice="multiple"><Choice value="yes"/><Choice value="rare"/></Choices>'
    '<Choices name="topic" toName="t" choice="single"><Choice value="a"/><Choice value="b"/></Choices>'
    '<Choices name="why" toName="t" choice="single" visibleWhen="choice-selected" whenTagName="topic" '
    'whenChoiceValue="a"><Choice value="because"/><Choice value="so"/></Choices></View>'
)


def choices(labels: Sequence[str]) -> str:
    inside = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    return (
        f'<View><Text name="t" value="$t"/><Choices name="label" toName="t" choice="single">{inside}</Choices></View>'
    )


def config_of(house: House) -> LabelConfig:
    return config_as_read(house.pool, house.settings, house.registry.options(PROJECT))


def active(house: House) -> Source:
    return source_of(house.settings, house.registry, PROJECT, None, of_audit=False)


def word_of(task: int) -> str:
    return ("yes", "no")[task % 2]


def text_of(task: int) -> str:
    return f"={word_of(task)}, {word_of(task)}, <b>number</b> {task}"


def put(house: House, ids: Sequence[int], labelled: bool = False) -> None:
    """Tasks with texts that a spreadsheet would compute, those of the control set always are."""
    drawn = config_of(house).control.drawn
    for task in ids:
        example = Example(task, text_of(task))
        draw = drawn(example)
        votes = (Vote(RIGHT[word_of(task)], False, "2026-11-01"),) if labelled or draw else ()
        row = TaskRow(task, example, False, bool(votes), False, len(votes), votes, draw=draw)
        house.pool.upsert([row])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[House]:
    """With a version, and a control set of which some tasks are answered."""
    found = House(tmp_path_factory.mktemp("house"), tiny, control_share=0.3)
    found.registry.know(PROJECT)
    found.registry.put_options(PROJECT, ProjectOptions(control_seed=SEED, defaults=LATEST))
    found.configure(choices(LABELS))
    put(found, TRAIN, labelled=True)
    put(found, POOL)
    drawn = config_of(found).control.drawn
    put(found, [task for task in CONTROL if drawn(Example(task, text_of(task)))])
    found.fit()
    assert found.active_version
    yield found
    found.pool.__exit__()


def run_code(card: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the lines of the card define, run as they stand where they say."""
    [code] = re.findall(r"^```python\n(.*?)^```$", card.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    monkeypatch.chdir(card.parent)
    exec(code, names)
    return names


def test_a_checkpoint_has_a_card_that_says_what_it_is_and_code_that_answers_as_predictions_do(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, source = tmp_path / "model", active(house)
    judgement = write_checkpoint(house.settings, house.registry, source, out, OWNER)
    text = (out / "README.md").read_text(encoding="utf-8")
    card, head = ModelCard.load(out / "README.md"), yaml.safe_load(text.split("---\n")[1])
    assert head["language"] == ["no", "en"]
    assert (head["license"], head["license_name"], head["license_link"]) == ("other", "Ours: no. 1", OWNER.license_link)
    assert "base_model" not in head, "a directory of this machine is nobody else's business"
    for file in out.glob("*.json"):
        assert str(tmp_path.parent) not in text + file.read_text(encoding="utf-8"), file
    figures = judgement.figures
    assert figures is not None
    assert figures.accuracy.value is not None
    measured = {result.metric_type: result.metric_value for result in card.data.eval_results or ()}
    low, high = figures.accuracy.interval
    assert measured["accuracy"] == pytest.approx(figures.accuracy.value, abs=1e-6)
    assert (measured["accuracy_low"], measured["accuracy_high"]) == pytest.approx((low, high), abs=1e-6)
    assert {result.dataset_split for result in card.data.eval_results or ()} == {"control"}
    again = yaml.safe_load(str(card).split("---\n")[1])
    assert again["model-index"][0]["results"][0]["metrics"][0]["value"] == measured["accuracy"]
    assert "number 1" not in text, "no text of a task"
    assert "texts like those of this project" in text
    assert f"| `` {YES.replace('|', chr(92) + '|')} `` | {source.label_counts[YES]} |" in text
    assert "`-1`" in text
    of_hub = replace(source, card=replace(source.card, base_model="sentence-transformers/all-MiniLM-L6-v2"))
    write_checkpoint(house.settings, house.registry, of_hub, tmp_path / "other", Owner())
    other = ModelCard.load(tmp_path / "other" / "README.md")
    assert (other.data.base_model, other.data.license) == (of_hub.card.base_model, None)
    answer = run_code(out / "README.md", monkeypatch)["answer"]
    for label in MachineLabels(house.settings, house.registry, house.pool, config_of(house), source).all():
        [example] = house.pool.examples([label.task])
        said, chances = answer(*example.texts)
        assert list(chances) == list(LABELS)
        assert list(chances.values()) == pytest.approx(label.probs_C.tolist(), abs=1e-5)
        assert said == LABELS[int(label.probs_C.argmax())]


def test_what_the_owner_says_is_checked_before_anything_is_written() -> None:
    for given, what in (
        ({"license": "Apache 2"}, "is no identifier"),
        ({"license": "other"}, "--license-name"),
        ({"license": "mit", "license_name": "x", "license_link": "y"}, "nothing else"),
        ({"languages": ("English",)}, "no code of a language"),
    ):
        with pytest.raises(BadSettingError, match=what):
            Owner(**given)


def written(house: House, path: Path, source: Source | None = None) -> Written:
    return write_labels(house.settings, house.registry, source or active(house), path)


def loaded(directory: Path, kind: str) -> list[dict[str, Any]]:
    rows = datasets.load_dataset(str(directory / kind), cache_dir=f"{directory}-read/{kind}")["train"]
    return [dict(row) for row in rows]


def test_labels_of_all_tasks_are_read_alike_from_each_file(house: House, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    done = written(house, out)
    assert done == Written(house.pool.size(), 0, ("csv/labels.csv", "jsonl/labels.jsonl", "parquet/labels.parquet"))
    rows = loaded(out, "parquet")
    assert rows == loaded(out, "jsonl")
    assert [row["task"] for row in rows] == sorted(house.pool.task_ids())
    assert len(rows) > len(TRAIN) + len(POOL)
    for row in rows[: len(TRAIN)]:
        assert (row["label"], row["by"], row["votes"]) == (RIGHT[word_of(row["task"])], PERSON, 1)
    for row in rows:
        chances = [row[f"probability: {label}"] for label in LABELS]
        assert sum(chances) == pytest.approx(1)
        assert row["probability"] == max(chances)
        assert row["version"] == active(house).name
        assert row["certified"] is False
        assert row["by"] == PERSON or row["label"] == LABELS[chances.index(max(chances))]
    tame = {YES: f"'{YES}", "+1-A1": "'+1-A1", NO: NO, "-1": "-1"}
    for row, of_csv in zip(rows, loaded(out, "csv"), strict=True):
        assert (of_csv["task"], of_csv["label"]) == (row["task"], tame[row["label"]])
        names = [name for name in row if name.startswith("probability: ")]
        assert [of_csv[f"{name}"] for name in names if name in of_csv] == [row[name] for name in names]
        assert (of_csv["by"], of_csv["certified"], of_csv["votes"]) == (row["by"], row["certified"], row["votes"])
    with (out / "csv" / "labels.csv").open(encoding="utf-8", newline="") as file:
        cells = {cell for line in csv.reader(file) for cell in line}
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    for kind in ("csv", "jsonl", "parquet"):
        assert written(house, tmp_path / f"one.{kind}").rows == done.rows
        assert (tmp_path / f"one.{kind}").read_bytes() == (out / kind / f"labels.{kind}").read_bytes()
    with pytest.raises(BadSettingError, match="ends in none of"):
        written(house, tmp_path / "labels.xlsx")
    with pytest.raises(NextlabelError, match="cannot be written"):
        written(house, tmp_path / "nowhere" / "labels.csv")


@pytest.mark.parametrize("label", LABELS)
def test_a_column_of_one_label_alone_stays_text(tmp_path: Path, label: str) -> None:
    columns = [label_files.Column("task", label_files.INTEGER), label_files.Column("label", label_files.TEXT)]
    files = {kind: tmp_path / kind / f"labels.{kind}" for kind in label_files.FORMATS}
    for path in files.values():
        path.parent.mkdir()
        card = label_files.dataset_card(path.name, columns, "about it")
        (path.parent / "README.md").write_text(card, encoding="utf-8")
    label_files.write(files, columns, [{"task": [1, 2], "label": [label, label]}])
    for kind in files:
        stored = [row["label"] for row in loaded(tmp_path, kind)]
        if kind == "parquet" or (kind == "jsonl" and label != A_DATE):
            assert stored == [label, label]
        else:
            assert all(isinstance(one, str) and one for one in stored), "guessed, as docs/leaving.md says"


def test_without_pyarrow_two_files_are_written_and_the_third_names_what_to_install(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(label_files, "find_spec", lambda name: None)
    assert written(house, tmp_path / "labels").files == ("csv/labels.csv", "jsonl/labels.jsonl")
    with pytest.raises(NextlabelError, match=r"in the checkout, pip install '\.\[export\]'"):
        written(house, tmp_path / "labels.parquet")
    assert not list(tmp_path.glob(".*")), "nothing is left of what failed"


def test_people_and_trainer_go_on_while_labels_are_written(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before.jsonl"
    written(house, before)
    monkeypatch.setattr(machine_labels, "SLICE", 8)
    real, seen, last = Pool.asked, list[int](), max(house.pool.task_ids())

    def asked(pool: Pool, task_ids: Sequence[int]) -> object:
        seen.append(len(task_ids))
        if len(seen) == 3:
            pool.keep_scores_of("nextlabel-9-later")  # what another version's publishing does
            pool.forget([last])
        return real(pool, task_ids)

    with monkeypatch.context() as other:
        other.setattr(Pool, "asked", asked)
        written(house, tmp_path / "after.jsonl")
    assert max(seen) == 8
    rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in (before, tmp_path / "after.jsonl")]
    assert len(rows[1]) == len(rows[0]) - 1
    for row, again in zip(*rows, strict=False):
        assert {**again, **dict.fromkeys(row, None)} == dict.fromkeys(row, None)
        assert [again["task"], again["label"], again["by"]] == [row["task"], row["label"], row["by"]]
        assert again["probability"] == pytest.approx(row["probability"], abs=1e-5)
    put(house, [last])


def test_only_what_a_certificate_is_about_is_marked_and_only_for_the_version_that_was_audited(
    house: House, tmp_path: Path
) -> None:
    config, version = config_of(house), in_force(house.registry, PROJECT, house.active_version)
    house.pool.keep_scores_of("nothing")
    scored = house.resident.score(version.card, house.pool.unscored(version.card.version), exact=True)
    house.pool.put_scores(version.name, scored.examples, scored.values_N, scored.probs_NC, exact=True)
    audits = Audits(house.settings.model_dir)
    audit = freeze_pool(house.pool, house.registry, config, SEED, version, 1, "2026-11-29T10:00:00+00:00", 20, 0.4)
    audits.begin(audit, None)
    source = source_of(house.settings, house.registry, PROJECT, None, of_audit=True)
    assert source.name == version.name

    def certified() -> set[int]:
        written(house, out := tmp_path / "labels.jsonl", source)
        return {row["task"] for row in map(json.loads, out.read_text().splitlines()) if row["certified"]}

    assert certified() == set()
    first = audit.ids_N[:14].tolist()
    for task, said in zip(first, audit.said, strict=False):
        [example] = house.pool.examples([task])
        house.pool.upsert([TaskRow(task, example, False, True, False, 1, (Vote(said, False, "2026-11-29T11"),))])
    part = progress(house.pool, config, audit).part
    assert part is not None
    within = set(audit.ids_N[audit.confidences_N >= part.threshold].tolist())
    assert certified() == within
    assert within.isdisjoint(TRAIN)
    write_checkpoint(house.settings, house.registry, source, tmp_path / "model", Owner())
    card = ModelCard.load(tmp_path / "model" / "README.md")
    found = {result.dataset_split: result for result in card.data.eval_results or ()}
    assert found["audit"].metric_value == pytest.approx(0.6)
    certificate = json.loads((tmp_path / "model" / "certificate.json").read_text())
    claim, issued = certificate["claim"], Audits(house.settings.model_dir).issued(PROJECT, certificate["audit"])
    assert issued == (frozenset([digest(certificate)]), True), "else nobody could tell it from a forged one"
    assert claim in card.text
    edited = min(within - set(first))
    house.pool.upsert([TaskRow(edited, Example(edited, "another text"), False, False, False, 0, ())])
    assert certified() == within - {edited}
    other = Source(source.card, "nextlabel-1.7-of-another-head", None, source.fitted)
    written(house, tmp_path / "other.jsonl", other)
    assert '"certified": true' not in (tmp_path / "other.jsonl").read_text()


def test_a_form_with_thresholds_and_three_texts_is_read_by_the_code_of_its_card(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path / "home", tiny, fit_steps=60, control_share=0)
    house.configure(FORM)
    for task in [*TRAIN, *POOL]:
        yes = task % 2 == 0
        answers = {"tags": ("yes",) if yes else (), "topic": ("a",) if task % 3 else ("b",)}
        answers |= {"why": ("because",) if yes else ("so",)} if task % 3 else {}
        votes = (Vote(encoded(answers), False, ""),) if task in TRAIN else ()
        example = Example(task, word_of(task), "" if task % 5 else "five", (f"{word_of(task)} {task}",))
        house.pool.upsert([TaskRow(task, example, False, bool(votes), False, len(votes), votes)])
    house.fit()
    source, out = active(house), tmp_path / "model"
    assert source.layout is not None
    assert source.layout.cuts[0].kind == "any_of"
    write_checkpoint(house.settings, house.registry, source, out, Owner())
    answer = run_code(out / "README.md", monkeypatch)["answer"]
    hidden, config = 0, config_of(house)
    for label in MachineLabels(house.settings, house.registry, house.pool, config, source).of(POOL):
        [example] = house.pool.examples([label.task])
        given, chances = answer(*example.texts)
        assert [p for of_one in chances.values() for p in of_one.values()] == pytest.approx(label.probs_C, abs=1e-5)
        for name, labels in label.answers.items():
            hidden += label.by[name] == NOT_ASKED
            assert tuple(given[name]) == labels or (label.by[name], given["topic"]) == (NOT_ASKED, ["b"])
    written(house, tmp_path / "labels")
    rows = loaded(tmp_path / "labels", "parquet")
    assert rows == loaded(tmp_path / "labels", "jsonl")
    assert [row["label: why"] == "" for row in rows] == [row["by: why"] == NOT_ASKED for row in rows]
    assert {row["by: tags"] for row in rows} == {PERSON, MACHINE}
    assert [row["label: tags: yes"] for row in rows[: len(TRAIN)]] == [task % 2 == 0 for task in TRAIN]
    house.pool.__exit__()


def test_a_writer_that_is_killed_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    out = tmp_path / "model"
    code = """
import os, signal, sys
from pathlib import Path
from nextlabel.versions.exporting import whole
with whole(Path(sys.argv[1])) as beside:
    (beside / "model.safetensors").write_bytes(b"half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(out)], check=False, timeout=300, env=OURS)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    with whole(out) as beside:
        (beside / "model.safetensors").write_bytes(b"all of it")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in out.iterdir()] == ["model.safetensors"]
    with pytest.raises(NextlabelError, match="is not empty"), whole(out):
        raise AssertionError


@pytest.mark.parametrize(
    ("givers", "shown", "hours"),
    [("112233", False, 0.05), ("111123", False, None), ("1122", False, None), ("1111", True, 4 * 30 / 3600)],
)
def test_the_hours_are_told_where_they_are_nobodys_own(givers: str, shown: bool, hours: float | None) -> None:
    given = [{"completed_by": int(giver), "lead_time": 30.0, "result": []} for giver in givers]
    imported: dict[str, Any] = {"completed_by": 9, "lead_time": None, "result": []}
    studio = cast(LabelStudioClient, SimpleNamespace(annotated_tasks=lambda _: [[{"annotations": [*given, imported]}]]))
    found = effort_of(studio, 1, shown)
    assert (found.people, found.answers, found.imported) == (len(set(givers)), len(givers), 1)
    assert found.hours == pytest.approx(hours) if hours else found.hours is None


def test_the_page_for_whoever_paid_says_what_is_known_and_names_nobody(house: House, tmp_path: Path) -> None:
    write_summary(house.settings, house.registry, active(house), tmp_path / "page", None, "2026-11-30")
    for name in ("summary.md", "summary.html"):
        page = (tmp_path / "page" / name).read_text(encoding="utf-8")
        assert "New texts like these" in page
        assert "Certificate" in page
        assert "number 1" not in page, "no text of a task"
    page = (tmp_path / "page" / "summary.html").read_text(encoding="utf-8")
    assert YES not in page
    assert html.escape(YES) in page
    assert not re.findall(r"https?://(?!x)|<script|src=", page), "nothing from outside"
    outcome = Outcome(
        1, "v", "today", 9, 4, 2, {"a": 9}, Effort(2, 4, 0.5, 3), NO_JUDGEMENT, "So it is.", [(8, 0.5), (16, 1)]
    )
    assert one_page.html(outcome).count("<circle") == 2
    told = one_page.markdown(outcome)
    for sentence in (
        "2 people gave 4 answers in about 0.5 hours",
        "3 more came with an import",
        "So it is.",
        "about 2 labels",
    ):
        assert sentence in told
