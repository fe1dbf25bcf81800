"""What is taken out of a corpus, and how the rest is dealt out."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.simulation.datasets.cleaning import ALL, DEV, POOL, TEST, cleaned, dealt, key
from nextlabel.simulation.datasets.textsets import Labelled
from nextlabel.values.examples import Example

laws = settings(derandomize=True, deadline=None, max_examples=200)
Rows = Sequence[tuple[str, str]]
some_rows = st.lists(st.tuples(st.sampled_from(["a", "A ", "b", "c", "d", "e"]), st.sampled_from("xyz")), max_size=12)


def numbered(rows: Rows, after: int = 0) -> list[Labelled]:
    return [(Example(after + i, text), label) for i, (text, label) in enumerate(rows, start=1)]


def split(train: Rows, test: Rows) -> dict[str, list[Labelled]]:
    return {"train": numbered(train), "test": numbered(test, after=len(train))}


def ids(part: Sequence[Labelled]) -> list[int]:
    return [example.id for example, _ in part]


def test_a_text_under_two_labels_leaves_both_parts_wherever_it_stands() -> None:
    data = split([("money", "x"), ("fine", "x"), ("ok", "y")], [("Money ", "y"), ("other", "y")])
    parts, removed = cleaned(data)
    assert {name: ids(part) for name, part in parts.items()} == {"train": [2, 3], "test": [5]}
    assert removed == {
        "train rows whose text stands under more than one label": 1,
        "test rows whose text stands under more than one label": 1,
    }


def test_of_repeats_the_first_stays_and_what_is_in_test_leaves_train() -> None:
    data = split([("a", "x"), (" A", "x"), ("b", "x"), ("c", "y")], [("b", "x"), ("B", "x")])
    parts, removed = cleaned(data)
    assert {name: ids(part) for name, part in parts.items()} == {"train": [1, 4], "test": [5]}
    assert removed == {
        "train rows that repeat an earlier one": 1,
        "test rows that repeat an earlier one": 1,
        "train rows that are also in test": 1,
    }


def test_a_classs_last_training_row_stays_and_leaves_test_instead() -> None:
    data = split([("a", "x"), ("rare", "y")], [("rare", "y"), ("b", "y"), ("c", "z")])
    parts, removed = cleaned(data)
    assert {name: ids(part) for name, part in parts.items()} == {"train": [1, 2], "test": [4]}
    assert removed == {
        "test rows that are a class's last in train": 1,
        "test rows of a class without training rows": 1,
    }


def test_pairs_are_copies_only_when_both_halves_are() -> None:
    rows = [(Example(1, "a", "b"), "x"), (Example(2, "a", "c"), "y"), (Example(3, "A", " b"), "x")]
    assert ids(cleaned({ALL: rows}).parts[ALL]) == [1, 2]


@laws
@given(some_rows, some_rows)
def test_what_stays_is_free_of_copies_and_contradictions_and_every_row_is_counted(train: Rows, test: Rows) -> None:
    data = split(train, test)
    parts, removed = cleaned(data)
    kept = [key(example) for part in parts.values() for example, _ in part]
    assert len(kept) == len(set(kept))
    assert len(kept) + sum(removed.values()) == len(train) + len(test)
    assert {label for _, label in parts["test"]} <= {label for _, label in parts["train"]}
    assert all(row in data[name] for name, part in parts.items() for row in part)


sizes_of_classes = st.lists(st.integers(1, 60), min_size=2, max_size=6)


@laws
@given(sizes_of_classes, st.booleans())
def test_every_class_keeps_a_training_row_and_no_row_is_in_two_parts(sizes: list[int], official: bool) -> None:
    rows = numbered([(f"{label} {i}", str(label)) for label, size in enumerate(sizes) for i in range(size)])
    parts = dealt({"train": rows, "test": [(Example(1000, "t"), "0")]} if official else {ALL: rows})
    dealt_ids = [id for part in parts.values() for id in ids(part)]
    assert len(dealt_ids) == len(set(dealt_ids))
    assert {label for _, label in parts["train"]} == {str(label) for label in range(len(sizes))}
    assert (ids(parts["test"]) == [1000]) if official else (len(parts["test"]) <= len(rows) / 4)


def test_the_same_rows_are_drawn_in_whatever_order_they_come() -> None:
    rows = numbered([(str(i), "xy"[i % 2]) for i in range(6000)])
    parts = dealt({ALL: rows})
    assert {name: len(part) for name, part in parts.items()} == {"train": POOL, "dev": DEV, "test": TEST}
    assert dealt({ALL: rows[::-1]}) == parts
    assert ids(parts["test"])[:3] == [3633, 886, 2650]  # on every machine


def test_of_a_whole_corpus_only_dev_is_drawn() -> None:
    train, test = numbered([(str(i), "x") for i in range(4000)]), numbered([("t", "x")] * 1500, after=4000)
    parts = dealt({"train": train, "test": test}, whole=True)
    assert {name: len(part) for name, part in parts.items()} == {"train": 3500, "dev": 500, "test": 1500}
    assert parts["test"] == test
