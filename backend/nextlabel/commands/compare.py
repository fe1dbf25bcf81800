"""Compares simulations of several corpora with random sampling: verdicts adjusted for each other, and a summary.

Each RUN is a directory that nextlabel simulate --labels-at wrote; its name stands for its corpus.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, write_json
from nextlabel.errors import BadRunError
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm, Comparison, Corpora, over_corpora, read_comparison
from nextlabel.simulation.verdicts import MARGIN, Verdict

ROW = "{:<16} {:<16} {:>5} {:>28} {:>33} {:>33} {:>24} {:>24}"
HEAD = (
    "arm",
    "corpus",
    "seeds",
    "test macro-F1 minus random",
    f"above -{MARGIN:g}",
    "above 0",
    "labels to random's end",
    "saved, %",
)


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, compare, print the table, write the numbers."""
    parser = new_parser("nextlabel compare", __doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directory of one corpus")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="file for all numbers")
    options = parser.parse_args(arguments)
    names = [run.resolve().name for run in options.runs]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise BadRunError(
            f"Several directories are called {', '.join(double)}, and each stands for one corpus. Rename."
        )
    comparisons = [read_comparison(run) for run in options.runs]
    corpora = over_corpora(comparisons)
    print("\n".join(table(corpora, comparisons)))
    try:
        write_json(options.out, corpora.as_dict())
    except OSError as error:
        raise BadRunError(f"Cannot write {options.out}: {error.strerror}. Give another --out.") from None


def table(corpora: Corpora, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """A row for each arm in each corpus, and a line for what the corpora say of it together."""
    arms = {(one.corpus, arm.strategy): arm for one in comparisons for arm in one.arms}
    yield ROW.format(*HEAD).rstrip()
    for over in corpora.arms:
        for row in over.corpora:
            end = "" if row.low is None or row.high is None else f" [{row.low:+.4f} to {row.high:+.4f}]"
            verdicts = (_said(row.non_inferiority), _said(row.superiority))
            needed = _to_random_end(arms[row.corpus, over.strategy])
            yield ROW.format(over.strategy, row.corpus, row.seeds, f"{row.mean:+.4f}{end}", *verdicts, *needed).rstrip()
        said = over.summary
        yield (
            f"{over.strategy} over {said.corpora} corpora: worse than random with probability {said.worse:.3f}, "
            f"equivalent within {said.rope:g} with {said.equivalent:.3f}, better with {said.better:.3f}"
        )


def _said(verdict: Verdict) -> str:
    return verdict.verdict if verdict.shown else f"not shown ({verdict.needed} seeds)"


def _to_random_end(arm: Arm) -> tuple[str, str]:
    need = arm.need(RANDOM_FINAL)
    return (need.said, need.saving.said) if need and need.saving else ("", "")
