"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Iterable[str]], rule: Sequence[str] = ()) -> str:
    """A table, a line a row; cells stand as they are. `rule`: how the columns are aligned, left unless it says."""
    return "\n".join(map(row, [head, rule or ["---"] * len(head), *rows]))


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
