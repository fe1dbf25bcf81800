"""The table of fetched corpora for people: what was found, taken out and drawn, and how long the texts are."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nextlabel.model import checkpoints
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.overlaps import near_leaks
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.values.markdown import table

LENGTHS = (64, 128)  # word pieces
HEAD = (
    *("corpus", "classes", "rows in the package", "in publications", "left after cleaning", "pool, dev, test"),
    *("rarest and largest class of the pool", "dev, test with nearly the words of a text of the pool"),
    *("longer than 64, 128 pieces", "pieces read"),
)


def markdown(directories: Sequence[Path], base_model: str) -> str:
    """Two tables, a row a corpus. Texts are counted in word pieces of `base_model`, special ones among them.

    Raises `BadCorpusError` for a directory that holds no fetched corpus, `NoModelError` without the model.
    """
    counts, origins = [], []
    for directory in directories:
        data, _ = fetched.read(directory)
        about = fetched.read_about(directory)
        counts.append(_counts(data, about, base_model))
        removed = "; ".join(f"{count} {reason}" for reason, count in about["removed"].items()) or "nothing"
        origins.append((about["name"], about["package"], about["licence"], about["source"], removed))
    return f"{table(HEAD, counts)}\n\n{table(('corpus', 'from', 'licence', 'made by', 'taken out'), origins)}"


def _counts(data: TextSet, about: dict[str, Any], base_model: str) -> list[str]:
    examples = [example for part in data.parts().values() for example, _ in part]
    lengths_N = checkpoints.lengths(base_model, examples)
    pool = data.counts()["train"].values()
    return [
        about["name"],
        " + ".join(str(len(cut.labels)) for cut in data.form.layout.cuts) if data.form else str(len(data.labels)),
        _sum(about["found"].values()),
        "; ".join(f"{count} ({source})" for source, count in about["papers"].items()),
        _sum(about["kept"].values()),
        ", ".join(str(len(part)) for part in data.parts().values()),
        f"{min(pool)}, {max(pool)}",
        ", ".join(map(str, near_leaks(data.parts()).values())),
        ", ".join(f"{(lengths_N > length).mean():.1%}".replace("%", " %") for length in LENGTHS),
        str(about["word_pieces"]),
    ]


def _sum(counts: Iterable[int]) -> str:
    return " + ".join(map(str, counts))
