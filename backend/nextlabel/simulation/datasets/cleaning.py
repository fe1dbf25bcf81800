"""Takes out of a corpus what would spoil a comparison, and deals the rest out. Counts all of it; changes no text."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from nextlabel.simulation.datasets.textsets import Labelled
from nextlabel.values.examples import Example

Parts = Mapping[str, Sequence[Labelled]]
Key = tuple[str, str]

ALL = "all"  # the part of a corpus without an official split
POOL, DEV, TEST = 3000, 500, 1000
TEST_SHARE = 4  # of a corpus without a test set, at most one in so many rows becomes one


class Cleaned(NamedTuple):
    """The rows that stay, by part, and how many were `removed`, by reason."""

    parts: dict[str, list[Labelled]]
    removed: dict[str, int]


def cleaned(parts: Parts) -> Cleaned:
    """Without contradictions, repeats, training rows that are in `test`, and classes without a training row.

    Two texts are the same if they are but for case and blanks. All rows of a text with several labels leave, the first
    of repeated rows stays. A class whose only training rows are in `test` keeps them, and `test` loses them.
    """
    rows = {name: list(part) for name, part in parts.items()}
    removed: Counter[str] = Counter()

    def keep(name: str, reason: str, stays: Callable[[Labelled], bool]) -> None:
        kept = [row for row in rows[name] if stays(row)]
        removed[reason] += len(rows[name]) - len(kept)
        rows[name] = kept

    torn = _torn(row for part in rows.values() for row in part)
    for name in rows:
        those = "rows" if name == ALL else f"{name} rows"
        keep(name, f"{those} whose text stands under more than one label", lambda row: key(row[0]) not in torn)
        keep(name, f"{those} that repeat an earlier one", _is_new())
    if "test" in rows:
        judged, learnt = ({key(example) for example, _ in rows[name]} for name in ("test", "train"))
        safe = {label for example, label in rows["train"] if key(example) not in judged}
        keep("train", "train rows that are also in test", lambda row: key(row[0]) not in judged or row[1] not in safe)
        keep(
            "test",
            "test rows that are a class's last in train",
            lambda row: row[1] in safe or key(row[0]) not in learnt,
        )
        known = {label for _, label in rows["train"]}
        keep("test", "test rows of a class without training rows", lambda row: row[1] in known)
    return Cleaned(rows, {reason: count for reason, count in removed.items() if count})


def key(example: Example) -> Key:
    """What copies of a text (or pair) have in common."""
    return _normal(example.text), _normal(example.pair or "")


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _torn(rows: Iterable[Labelled]) -> set[Key]:
    labels: dict[Key, set[str]] = {}
    for example, label in rows:
        labels.setdefault(key(example), set()).add(label)
    return {text for text, found in labels.items() if len(found) > 1}


def _is_new() -> Callable[[Labelled], bool]:
    seen: set[Key] = set()

    def new(row: Labelled) -> bool:
        text = key(row[0])
        again = text in seen
        seen.add(text)
        return not again

    return new


def dealt(parts: Parts, whole: bool = False) -> dict[str, list[Labelled]]:
    """Train (the pool), dev and test, drawn at random, always the same way; each class keeps a training row.

    At most 3,000, 500 and 1,000 rows. With `whole`, all of `train` but dev is the pool, and `test` stays as it is.
    A corpus without an official split gives at most a quarter of its rows to `test`.
    """
    rows = _shuffled(parts[ALL] if ALL in parts else parts["train"])
    kept = list({label: i for i, (_, label) in reversed(list(enumerate(rows)))}.values())  # each class's first
    reserved = set(kept)
    free = [i for i in range(len(rows)) if i not in reserved]
    given = parts.get("test")
    here = 0 if given is not None else min(TEST, len(rows) // TEST_SHARE)
    test, dev, rest = free[:here], free[here : here + DEV], free[here + DEV :]
    pool = sorted([*kept, *(rest if whole else rest[: POOL - len(kept)])])
    judged = [rows[i] for i in test] if given is None else list(given) if whole else _shuffled(given)[:TEST]
    return {"train": [rows[i] for i in pool], "dev": [rows[i] for i in dev], "test": judged}


def in_words(unsplit: bool, whole: bool) -> str:
    """What `dealt` does."""
    test = f"test: at most {TEST} and at most one in {TEST_SHARE} of all rows" if unsplit else f"test: at most {TEST}"
    pool = f"pool: at most {POOL} of the other training rows"
    if whole:
        pool, test = "pool: all other training rows", "test: all"
    return f"once, by the SHA-256 of the ids; dev: {DEV} training rows; {pool}, each class among them; {test}"


def _shuffled(rows: Sequence[Labelled]) -> list[Labelled]:
    """By the SHA-256 of the ids: the same order with every version of Python and numpy."""
    return sorted(rows, key=lambda row: hashlib.sha256(str(row[0].id).encode()).digest())
