"""What several annotators' answers to one task come to. Knows no config, no format and no files."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vote:
    """One annotator's answer. `when` is Label Studio's ISO time, which sorts as text."""

    label: str
    ground_truth: bool
    when: str


def consensus(votes: Sequence[Vote], labels: Collection[str]) -> str | None:
    """One label per task: ground truth if there is any, else the majority; the latest vote breaks a tie.

    Votes for labels that are not among `labels` do not count. None when no vote is left.
    """
    known = sorted((v for v in votes if v.label in labels), key=lambda v: v.when)
    known = [v for v in known if v.ground_truth] or known
    if not known:
        return None
    counts = Counter(v.label for v in known)
    most = max(counts.values())
    return next(v.label for v in reversed(known) if counts[v.label] == most)
