"""MRPC's files, whole and damaged; our own pairs; the seed set; the film reviews."""

import json
from pathlib import Path

import pytest

from helpers.mrpc import HEADER, mrpc, row, whole_mrpc
from nextlabel.errors import BadCorpusError
from nextlabel.simulation.datasets.corpora import (
    LABELS,
    MRPC_DEV_IDS,
    MRPC_SIZES,
    MRPC_TEST,
    MRPC_TEST_SIZE,
    MRPC_TRAIN,
    Corpus,
    Pair,
    download_mrpc,
    find_corpus,
    own_pairs,
    recombined,
    seed_rows,
)


def add_test_file(directory: Path, rows: list[str], header: str = HEADER) -> None:
    (directory / MRPC_TEST).write_text("\r\n".join([header, *rows, ""]), encoding="utf-8-sig", newline="")


def rows_of(corpus: Corpus) -> list[int]:
    return [pair.row for pair in (*corpus.train, *corpus.holdout, *corpus.test)]


def complaint(directory: Path) -> str:
    with pytest.raises(BadCorpusError) as refused:
        find_corpus(directory)
    return str(refused.value)


def test_mrpc_is_split_by_the_ids_of_the_validation_set(tmp_path: Path) -> None:
    corpus = find_corpus(whole_mrpc(tmp_path))
    assert (len(corpus.train), len(corpus.holdout)) == (3668, 408)
    assert corpus.train[0] == Pair(2, 'He said "0.', "It's\u20280, he said.", "different")
    assert corpus.holdout[0] == Pair(7, 'He said "5.', "It's\u20285, he said.", "paraphrase")
    assert len(set(rows_of(corpus))) == sum(MRPC_SIZES)
    assert str(tmp_path) in corpus.source
    assert corpus.test == (), "there is no test file"


def test_mrpcs_test_file_is_read_where_it_is_there(tmp_path: Path) -> None:
    add_test_file(whole_mrpc(tmp_path), [row(n, quality="01"[n % 2]) for n in range(MRPC_TEST_SIZE)])
    corpus = find_corpus(tmp_path)
    assert len(corpus.test) == 1725
    assert corpus.test[1] == Pair(sum(MRPC_SIZES) + 1 + 3, 'He said "1.', "It's\u20281, he said.", "paraphrase")
    assert len(set(rows_of(corpus))) == sum(MRPC_SIZES) + 1725


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(1), row(2)], "holds 2 pairs, MRPC has 1725"),
        ([row(1), row(2, quality="3")], ", line 3: expected a quality of 0 or 1"),
        ([], "holds 0 pairs"),
    ],
)
def test_a_damaged_test_file_is_named(tmp_path: Path, rows: list[str], words: str) -> None:
    add_test_file(whole_mrpc(tmp_path), rows)
    assert f"{tmp_path / MRPC_TEST}{words if words[0] == ',' else ' ' + words}" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("rows", "place", "words"),
    [
        ([row(1), "1\t2\t3\tonly one sentence"], ", line 3:", "expected 5 tab-separated fields, found 4"),
        ([row(1), row(2), row(3) + "\tmore"], ", line 4:", "found 6"),
        ([row(1, quality="2")], ", line 2:", "quality '2'"),
        ([row(1, quality="")], ", line 2:", "quality ''"),
        (["1\t1\t2\t \tsecond"], ", line 2:", "two sentences"),
    ],
)
def test_a_damaged_row_is_named_by_its_line(tmp_path: Path, rows: list[str], place: str, words: str) -> None:
    message = complaint(mrpc(tmp_path, rows, ["1\t2"]))
    assert f"{MRPC_TRAIN}{place}" in message
    assert words in message


@pytest.mark.parametrize("damaged", ["1", "1\t2\t3", "1 2", "a\tb", "<html>Not found</html>"])
def test_damaged_ids_are_named_by_their_line(tmp_path: Path, damaged: str) -> None:
    message = complaint(mrpc(tmp_path, [row(1)], ["1\t2", damaged]))
    assert f"{MRPC_DEV_IDS}, line 2: expected two ids" in message


def test_another_header_is_refused(tmp_path: Path) -> None:
    message = complaint(mrpc(tmp_path, [row(1)], ["1\t2"], header="label\ttext"))
    assert f"{MRPC_TRAIN}, line 1: expected the header" in message


@pytest.mark.parametrize("name", [MRPC_TRAIN, MRPC_DEV_IDS])
def test_a_missing_file_is_named_and_both_are_asked_for(tmp_path: Path, name: str) -> None:
    (mrpc(tmp_path, [row(1)], ["1\t2"]) / name).unlink()
    message = complaint(tmp_path)
    assert f"{tmp_path / name} is missing" in message
    assert MRPC_TRAIN in message
    assert MRPC_DEV_IDS in message


@pytest.mark.parametrize("name", [MRPC_TRAIN, MRPC_DEV_IDS])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    (mrpc(tmp_path, [row(1)], ["1\t2"]) / name).write_bytes(b"PK\x03\x04\xff\xfe")
    assert f"{tmp_path / name} is not a UTF-8 text file" in complaint(tmp_path)


@pytest.mark.parametrize(("rows", "sizes"), [(3, "2 training and 1 validation"), (0, "0 training and 0 validation")])
def test_a_file_that_was_cut_short_is_noticed(tmp_path: Path, rows: int, sizes: str) -> None:
    message = complaint(mrpc(tmp_path, [row(n) for n in range(rows)], ["1\t2"]))
    assert f"holds {sizes} pairs, MRPC has 3668 and 408" in message


@pytest.fixture
def hub_mrpc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small data set with MRPC's columns, read as the hub's copy is, without any network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    directory = tmp_path / "glue"
    directory.mkdir()
    monkeypatch.setattr("nextlabel.simulation.datasets.corpora.MRPC_HUB", (str(directory),))
    for split, rows in (("train", [(0, 1), (2, 0)]), ("validation", [(1, 1)]), ("test", [(0, 0), (1, 1)])):
        write_split(directory, split, rows)
    return directory


def write_split(directory: Path, split: str, rows: list[tuple[int, int]]) -> None:
    lines = [json.dumps({"sentence1": "a", "sentence2": "b", "label": label, "idx": idx}) for idx, label in rows]
    (directory / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def test_the_hubs_mrpc_has_a_test_set_with_rows_of_its_own(hub_mrpc: Path) -> None:
    corpus = download_mrpc()
    assert rows_of(corpus) == [0, 2, 1, 3, 4]
    assert [pair.label for pair in corpus.test] == ["different", "paraphrase"]
    assert str(hub_mrpc) in corpus.source


def test_a_test_set_whose_labels_are_withheld_stays_empty(hub_mrpc: Path) -> None:
    write_split(hub_mrpc, "test", [(0, 1), (1, -1)])
    assert download_mrpc().test == ()


def test_a_hub_without_mrpc_asks_for_the_files(hub_mrpc: Path) -> None:
    (hub_mrpc / "validation.jsonl").unlink()
    with pytest.raises(BadCorpusError, match=f"KeyError.* Give a directory with the official files {MRPC_TRAIN}"):
        download_mrpc()


def test_our_own_pairs_are_complete_and_apart() -> None:
    corpus = own_pairs()
    assert (len(corpus.train), len(corpus.holdout)) == (480, 160)
    both = (*corpus.train, *corpus.holdout)
    assert {pair.label for pair in corpus.train} == {pair.label for pair in corpus.holdout} == set(LABELS)
    assert all(pair.sentence1.strip() and pair.sentence2.strip() for pair in both)
    assert len({pair.row for pair in both}) == 640
    assert len({frozenset((pair.sentence1, pair.sentence2)) for pair in both}) == 640, "no pair twice, turned or not"
    sentences, held_out = (
        {s for p in part for s in (p.sentence1, p.sentence2)} for part in (corpus.train, corpus.holdout)
    )
    assert not sentences & held_out, "the holdout's sentences are all unseen"


def pairs(count: int) -> list[Pair]:
    return [Pair(row, "first", "second", LABELS[0]) for row in range(10, 10 + count)]


def test_recombined_pairs_are_all_different_and_begin_with_the_corpus() -> None:
    few = Corpus("few", own_pairs().train[:30], own_pairs().holdout)
    made = recombined(few, 30 * 30)
    assert made.train[:30] == few.train
    assert {pair.label for pair in made.train[30:]} == {LABELS[1]}
    assert len({(pair.sentence1, pair.sentence2) for pair in made.train}) == 30 * 30
    assert len({pair.row for pair in made.train + made.holdout}) == 30 * 30 + len(few.holdout)
    assert recombined(few, 100).train == made.train[:100]
    assert recombined(few, 7).train == few.train[:7]
    with pytest.raises(BadCorpusError, match="900"):
        recombined(few, 901)


@pytest.mark.parametrize(
    ("count", "start", "size"), [(3668, 0.3, 1100), (100, 0.0, 0), (100, 1, 1), (100, 24, 24), (100, 1000, 100)]
)
def test_a_seed_set_is_a_share_below_1_and_a_count_from_1(count: int, start: float, size: int) -> None:
    rows = seed_rows(pairs(count), start, seed=0)
    assert len(rows) == size
    assert rows <= {pair.row for pair in pairs(count)}


def test_the_seed_decides_the_seed_set() -> None:
    assert seed_rows(pairs(100), 0.3, seed=1) == seed_rows(pairs(100), 0.3, seed=1)
    assert seed_rows(pairs(100), 0.3, seed=1) != seed_rows(pairs(100), 0.3, seed=2)


def test_undecided_reviews_are_left_out_and_the_others_stay_where_they_are(
    tmp_path: Path,
) -> None:
    from nextlabel.simulation.datasets.reviews import split

    rows = [(f"sentence {number}", ("positive", "negative")[number % 2]) for number in range(5900)]
    undecided = {sentence for sentence, _ in rows[1:400:40]}
    list(split(rows, tmp_path / "all", undecided, leave_out=False))
    said, gone = list(split(rows, tmp_path / "without", undecided, leave_out=True)), 0
    for part, size in (("train", 3500), ("dev", 1000), ("test", 1400)):
        every, some = ((tmp_path / name / f"{part}.tsv").read_text().splitlines() for name in ("all", "without"))
        assert len(every) == 1 + size
        assert some == [line for line in every if line.split("\t")[0] not in undecided]
        gone += len(every) - len(some)
        assert any(
            f"{part}.tsv" in line and f"{len(every) - len(some)} with a mean of 0 left out" in line for line in said
        )
    assert gone == len(undecided) == 10
