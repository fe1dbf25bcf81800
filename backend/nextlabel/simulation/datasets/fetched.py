"""Corpora as directories: made once from a package, cleaned, drawn, written whole, and read back with a check."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nextlabel.errors import BadCorpusError
from nextlabel.problems.form import Form
from nextlabel.simulation.datasets import cleaning, corpora, packages, textsets
from nextlabel.simulation.datasets.public import CORPORA, PublicCorpus
from nextlabel.simulation.datasets.tables import read_table, shown
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.values.examples import Example
from nextlabel.values.layout import Layout, decoded, encoded

MRPC = "mrpc"
NAMES = (*CORPORA, MRPC)  # last, as it is the one that may need the hub
ABOUT = "corpus.json"
PARTS = ("train", "dev", "test")


def fetch(name: str, out: Path, mrpc_dir: Path | None = None) -> str:
    """Make `out`/`name` unless it is there; a sentence that says what is there now.

    Raises `BadCorpusError` when the corpus cannot be had, or what is there is damaged.
    """
    directory = out / name
    if directory.exists():
        data, _ = read(directory)
        return f"{directory} is there already: {sizes(data)}"
    data, about = of_mrpc(mrpc_dir) if name == MRPC else of_package(CORPORA[name])
    write(directory, data, {"name": name, **about})
    return f"{directory}: {sizes(data)}"


def sizes(data: TextSet) -> str:
    """How many examples each part has, in words."""
    return ", ".join(f"{len(part)} {name}" for name, part in data.parts().items())


def of_package(corpus: PublicCorpus) -> tuple[TextSet, dict[str, Any]]:
    """The corpus as it is drawn, and what to tell about it."""
    found = corpus.read(packages.download(corpus.package))
    kept = cleaning.cleaned(found.parts)
    parts = cleaning.dealt(kept.parts, corpus.whole)
    classes = sorted({label for _, label in parts["train"]}, key=lambda label: (label != corpus.positive, label))
    train, dev, test = (tuple(parts[part]) for part in PARTS)
    labels = corpus.form.labels if corpus.form else tuple(classes)
    data = TextSet(corpus.title, labels, train, dev, test, form=corpus.form)
    return data, {
        "title": corpus.title,
        "package": str(corpus.package),
        "files": corpus.files,
        "sha256": corpus.package.sha256,
        "licence": corpus.licence,
        "source": corpus.source,
        "positive": corpus.positive,
        "word_pieces": corpus.word_pieces,
        "found": found.rows,
        "papers": corpus.papers,
        "removed": {**found.unusable, **kept.removed},
        "kept": {part: len(rows) for part, rows in kept.parts.items()},
        "drawn": cleaning.in_words(cleaning.ALL in found.parts, corpus.whole),
    }


def of_mrpc(directory: Path | None) -> tuple[TextSet, dict[str, Any]]:
    """MRPC with GLUE's split, from the official files or the hub; nothing is removed and nothing drawn."""
    corpus = corpora.read_mrpc(directory) if directory else corpora.download_mrpc()
    if len(corpus.test) != corpora.MRPC_TEST_SIZE:
        raise BadCorpusError(f"{corpus.source}: the test set is missing. Put {corpora.MRPC_TEST} beside the others.")
    data = textsets.of_pairs(corpus)
    found = {name: len(part) for name, part in data.parts().items()}
    return data, {
        "title": "MRPC",
        "package": "the official files" if directory else f"Hugging Face hub, {'/'.join(corpora.MRPC_HUB)}",
        "files": (corpora.MRPC_TRAIN, corpora.MRPC_DEV_IDS, corpora.MRPC_TEST) if directory else (),
        "sha256": None,
        "licence": "Microsoft Research's, for research",
        "source": "Dolan & Brockett 2005, with GLUE's split (Wang et al. 2019)",
        "positive": corpora.LABELS[0],
        "word_pieces": 128,
        "found": found,
        "papers": {"Wang et al. 2019": " + ".join(map(str, found.values()))},
        "removed": {},
        "kept": found,
        "drawn": "nothing: the official parts",
    }


# Files


def write(directory: Path, data: TextSet, about: Mapping[str, Any]) -> None:
    """Write a corpus whole or not at all. Raises `BadCorpusError` where it cannot be written."""
    beside = directory.with_name(f".{directory.name}.{os.getpid()}")
    told = {**about, "labels": data.labels, "counts": data.counts(), "fingerprint": data.fingerprint}
    told |= {"questions": data.form.layout.as_dict()} if data.form else {}
    try:
        beside.mkdir(parents=True)
        for name, part in data.parts().items():
            _write_text(beside / f"{name}.jsonl", "".join(_line(row, data.form is not None) for row in part))
        _write_text(beside / ABOUT, json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        beside.rename(directory)
    except OSError as error:
        raise BadCorpusError(f"{directory} cannot be written ({error.strerror}). Give another --out.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))  # the same line ends everywhere


def _line(row: Labelled, of_form: bool) -> str:
    example, label = row
    pair = {} if example.pair is None else {"pair": example.pair}
    given = {"answers": decoded(label)} if of_form else {"label": label}
    return json.dumps({"id": example.id, "text": example.text, **pair, **given}, ensure_ascii=False) + "\n"


def read(directory: Path) -> tuple[TextSet, int]:
    """A fetched corpus, and how many word pieces of a text a fit shall read.

    Raises `BadCorpusError` when a file is missing, damaged, or not the one that was written.
    """
    about = read_about(directory)
    try:
        labels, package, pieces = tuple(about["labels"]), str(about["package"]), int(about["word_pieces"])
        title, expected, removed = about["title"], about["fingerprint"], about["removed"].items()
        layout = Layout.of(about.get("questions"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(directory / ABOUT, f"{type(error).__name__}: {error}") from None
    train, dev, test = (tuple(_rows(directory / f"{name}.jsonl", layout)) for name in PARTS)
    notes = tuple(f"{count} {reason}: not used." for reason, count in removed)
    form = Form.of_layout(layout) if layout else None
    data = TextSet(f"{title} ({package})", labels, train, dev, test, notes, form)
    if data.fingerprint != expected:
        raise _damaged(directory, f"the texts have the fingerprint {data.fingerprint}, {ABOUT} says {expected}")
    return data, pieces


def read_single(directory: Path) -> tuple[TextSet, int]:
    """As `read`. Raises `BadCorpusError` for a corpus of several questions as well."""
    data, pieces = read(directory)
    if data.form:
        asked = " and ".join(part.name for part in data.form.parts)
        raise BadCorpusError(
            f"{directory} asks several questions ({asked}), and this is about one class a text. Give another corpus; "
            "`nextlabel simulate` plays this one."
        )
    return data, pieces


def read_about(directory: Path) -> dict[str, Any]:
    """What is told about a fetched corpus. Raises `BadCorpusError` when it is missing or damaged."""
    path = directory / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadCorpusError(
            f"{path} is missing: {directory} is no fetched corpus. Make one with `nextlabel fetch-corpora tweets`, and "
            "give its directory, such as corpora/tweets."
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(about, dict):
        raise _damaged(path, f"expected a JSON object, found {shown(about)}")
    return about


def _rows(path: Path, layout: Layout | None) -> Iterable[Labelled]:
    for number, row in read_table(path, ()).rows:
        id, text, pair, label = (row.get(name) for name in ("id", "text", "pair", "label"))
        if layout:
            label = _answer(row.get("answers"), layout)
        if not (isinstance(id, int) and isinstance(text, str) and isinstance(label, str)) or not (
            pair is None or isinstance(pair, str)
        ):
            raise _damaged(path, f"line {number}: expected an id, a text and a label, found {shown(row)}")
        yield Example(id, text, pair), label


def _answer(given: object, layout: Layout) -> str | None:
    """None for what is no answer to the questions."""
    if not isinstance(given, dict) or not all(isinstance(labels, list) for labels in given.values()):
        return None
    answer = encoded({name: tuple(map(str, labels)) for name, labels in given.items()})
    return answer if layout.holds(answer) else None


def _damaged(path: Path, why: str) -> BadCorpusError:
    return BadCorpusError(f"{path} is damaged or was changed: {why}. Delete the directory and fetch the corpus again.")
