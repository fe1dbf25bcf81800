"""Labelled sentence pairs: the official MRPC files, the hub's copy, or our own small corpus. No Label Studio."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from nextlabel.errors import BadCorpusError, MissingPackageError, of_extra
from nextlabel.learning.start_set import seed_positions
from nextlabel.model.hub import require_hub

LABELS = ("paraphrase", "different")  # the first is the positive class of F1
MRPC_TRAIN, MRPC_DEV_IDS = "msr_paraphrase_train.txt", "dev_ids.tsv"
MRPC_TEST = "msr_paraphrase_test.txt"
MRPC_SIZES = (3668, 408)  # GLUE's training and validation sets
MRPC_TEST_SIZE = 1725
OWN_PAIRS = "640 sentence pairs that ship with Nextlabel (not MRPC)"
MRPC_HUB = ("nyu-mll/glue", "mrpc")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences and whether they are a paraphrase. `row` is unique in its corpus, over all of its parts."""

    row: int
    sentence1: str
    sentence2: str
    label: str


@dataclass(frozen=True)
class Corpus:
    """Pairs to learn from and held-out pairs to judge by. `source` says in words where they come from.

    `test` is for the final judgement of a simulation, and empty where a corpus has no such part.
    """

    source: str
    train: tuple[Pair, ...]
    holdout: tuple[Pair, ...]
    test: tuple[Pair, ...] = ()


def find_corpus(mrpc_dir: Path | None) -> Corpus:
    """MRPC from a directory of the official files if one is given, else from the hub, else our own pairs."""
    if mrpc_dir is not None:
        return read_mrpc(mrpc_dir)
    try:
        return download_mrpc()
    except (BadCorpusError, MissingPackageError):
        return own_pairs()


def corpus_without_hub(mrpc_dir: Path | None) -> Corpus:
    """MRPC from a directory of the official files if one is given, else our own pairs."""
    return read_mrpc(mrpc_dir) if mrpc_dir else own_pairs()


def own_pairs() -> Corpus:
    """The small corpus that ships with this package: 640 pairs written for it."""
    text = resources.files(__package__).joinpath("data/pairs.tsv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    pairs = [Pair(i, r["sentence1"], r["sentence2"], r["label"]) for i, r in enumerate(rows)]
    split = [row["split"] for row in rows]
    return Corpus(
        source=OWN_PAIRS,
        train=tuple(p for p, s in zip(pairs, split, strict=True) if s == "train"),
        holdout=tuple(p for p, s in zip(pairs, split, strict=True) if s == "holdout"),
    )


def recombined(corpus: Corpus, size: int) -> Corpus:
    """A corpus with `size` pairs to learn from, for measuring: first sentences with other pairs' second ones.

    The corpus's own pairs come first, with their labels; what is put together counts as different. Always the same
    ones. Raises `BadCorpusError` when there are not that many.
    """
    own = corpus.train
    if size > len(own) ** 2:
        raise BadCorpusError(f"{corpus.source} gives at most {len(own) ** 2} recombined pairs, not {size}.")
    after = max((pair.row for pair in corpus.holdout + own), default=0) + 1
    made = list(own[:size])
    for i in range(len(made), size):
        first, second = own[i % len(own)], own[(i + i // len(own)) % len(own)]
        made.append(Pair(after + i, first.sentence1, second.sentence2, LABELS[1]))
    return Corpus(f"{size} pairs made of {corpus.source}", tuple(made), corpus.holdout)


def read_mrpc(directory: Path) -> Corpus:
    """The official Microsoft Research Paraphrase Corpus with GLUE's split: 3668 pairs to train on, 408 held out.

    `directory` holds `msr_paraphrase_train.txt` (tab-separated, UTF-8 with BOM, no quoting) and `dev_ids.tsv`, the
    id pairs of the validation set; where `msr_paraphrase_test.txt` is beside them, its 1725 pairs are `test`.
    A pair's `row` is its line in the training file; lines of the test file are counted on from the training file's
    last pair. Raises `BadCorpusError` that names the file and the line.
    """
    dev_ids = {ids for _, ids in _dev_ids(directory / MRPC_DEV_IDS)}
    train: list[Pair] = []
    holdout: list[Pair] = []
    for pair, ids in _mrpc_rows(directory / MRPC_TRAIN):
        (holdout if ids in dev_ids else train).append(pair)
    sizes = (len(train), len(holdout))
    if sizes != MRPC_SIZES:
        raise BadCorpusError(
            f"{directory} holds {sizes[0]} training and {sizes[1]} validation pairs, MRPC has {MRPC_SIZES[0]} and "
            f"{MRPC_SIZES[1]}. A file is cut short or changed: get both again."
        )
    last = max(pair.row for pair in (*train, *holdout))
    test = _mrpc_test(directory / MRPC_TEST, after=last)
    return Corpus(f"MRPC, the official files in {directory}", tuple(train), tuple(holdout), test)


def _mrpc_test(path: Path, after: int) -> tuple[Pair, ...]:
    if not path.exists():
        return ()
    pairs = tuple(replace(pair, row=after + pair.row) for pair, _ in _mrpc_rows(path))
    if len(pairs) != MRPC_TEST_SIZE:
        raise BadCorpusError(
            f"{path} holds {len(pairs)} pairs, MRPC has {MRPC_TEST_SIZE}. The file is cut short or changed: get it "
            "again, or take it away to do without a test set."
        )
    return pairs


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise BadCorpusError(
            f"{path} is missing. MRPC needs {MRPC_TRAIN} and {MRPC_DEV_IDS} in one directory."
        ) from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise BadCorpusError(f"{path} is not a UTF-8 text file ({error}). Get it again.") from None


def _dev_ids(path: Path) -> list[tuple[int, tuple[str, str]]]:
    found = []
    for number, line in enumerate(_lines(path), start=1):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) != 2 or not all(field.isdigit() for field in fields):
            raise BadCorpusError(f"{path}, line {number}: expected two ids separated by a tab, found {line[:60]!r}.")
        found.append((number, (fields[0], fields[1])))
    return found


def _mrpc_rows(path: Path) -> list[tuple[Pair, tuple[str, str]]]:
    lines = _lines(path)
    if not lines[0].startswith("Quality\t"):
        raise BadCorpusError(f"{path}, line 1: expected the header 'Quality …', found {lines[0][:60]!r}.")
    found = []
    for number, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) != 5:
            raise BadCorpusError(f"{path}, line {number}: expected 5 tab-separated fields, found {len(fields)}.")
        quality, id1, id2, sentence1, sentence2 = fields
        if quality not in ("0", "1") or not sentence1.strip() or not sentence2.strip():
            raise BadCorpusError(
                f"{path}, line {number}: expected a quality of 0 or 1 and two sentences, found quality {quality!r} "
                f"and {line[:60]!r}."
            )
        label = LABELS[0] if quality == "1" else LABELS[1]
        found.append((Pair(number, sentence1, sentence2, label), (id1, id2)))
    return found


def download_mrpc() -> Corpus:
    """MRPC from the Hugging Face hub, with GLUE's numbers as rows. Raises `BadCorpusError` when it cannot be had."""
    title = f"MRPC ({'/'.join(MRPC_HUB)})"
    require_hub(title)
    with of_extra("hub", title):
        from datasets import load_dataset
    try:
        data = load_dataset(*MRPC_HUB)
        train, holdout = _hub_pairs(data["train"]), _hub_pairs(data["validation"])
        last = max(pair.row for pair in (*train, *holdout))  # GLUE numbers the test set from 0 again
        test = _hub_pairs(data["test"], after=last + 1)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BadCorpusError(
            f"MRPC cannot be loaded from the hub ({type(error).__name__}: {str(error)[:200]}). Give a directory with "
            f"the official files {MRPC_TRAIN} and {MRPC_DEV_IDS}."
        ) from None
    return Corpus(f"MRPC from the Hugging Face hub ({'/'.join(MRPC_HUB)})", train, holdout, test)


def _hub_pairs(rows: Iterable[dict[str, Any]], after: int = 0) -> tuple[Pair, ...]:
    """The pairs of a split; none of a split whose labels are withheld, which the hub marks by -1."""
    pairs = []
    for row in rows:
        if row["label"] == -1:
            return ()
        label = LABELS[0] if row["label"] == 1 else LABELS[1]
        pairs.append(Pair(after + row["idx"], row["sentence1"], row["sentence2"], label))
    return tuple(pairs)


def seed_rows(train: Sequence[Pair], start: float, seed: int) -> set[int]:
    """Rows of a random seed set, as `seed_positions` draws them."""
    return {train[i].row for i in seed_positions(len(train), start, seed)}
