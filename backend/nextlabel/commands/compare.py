"""Compares simulations of several corpora with random sampling: verdicts adjusted for each other, and a summary.

Each RUN is a directory that nextlabel simulate --labels-at wrote; its name stands for its corpus.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nextlabel.commands._common import new_parser, write_json
from nextlabel.errors import BadRunError
from nextlabel.simulation.comparisons import (
    RANDOM_FINAL,
    Arm,
    Comparison,
    Corpora,
    InCorpus,
    over_corpora,
    read_comparison,
    require_different,
)
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
    require_different(options.runs)
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
            verdicts = (_said(row, row.non_inferiority), _said(row, row.superiority))
            needed = _to_random_end(arms[row.corpus, over.strategy])
            yield ROW.format(over.strategy, row.corpus, row.seeds, f"{row.mean:+.4f}{end}", *verdicts, *needed).rstrip()
        said = over.summary
        rope = f"{said.rope:g}"
        yield (
            f"{over.strategy} over {said.corpora} corpora: typical difference to random below -{rope} with probability "
            f"{said.worse:.3f}, within {rope} of 0 with {said.equivalent:.3f}, above {rope} with {said.better:.3f}"
        )


def _said(row: InCorpus, verdict: Verdict) -> str:
    if verdict.shown or verdict.p is None:
        return verdict.verdict
    if row.high is not None and row.high < -verdict.margin:
        return f"{verdict.verdict}: interval below"
    return f"{verdict.verdict} ({verdict.needed} needed)"


def _to_random_end(arm: Arm) -> tuple[str, str]:
    need = arm.need(RANDOM_FINAL)
    return (need.said, need.saving.said) if need and need.saving else ("", "")
