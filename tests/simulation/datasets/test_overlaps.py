"""Examples that are not independent: repeated, under two labels, joined by sentences."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.simulation.datasets.overlaps import (
    Joined,
    Parts,
    contradictions,
    joined_to_train,
    leaks,
    near_leaks,
    repeats,
)
from nextlabel.values.examples import Example

laws = settings(derandomize=True, deadline=None, max_examples=200)
Pairs = Sequence[tuple[str, str]]


def parts(
    train: Sequence[tuple[str, str]], dev: Sequence[tuple[str, str]] = (), test: Sequence[tuple[str, str]] = ()
) -> Parts:
    """Texts with labels; ids count on through the parts."""
    numbered = enumerate([*train, *dev, *test], start=2)
    examples = [(Example(id, text), label) for id, (text, label) in numbered]
    ends = (len(train), len(train) + len(dev))
    return {"train": examples[: ends[0]], "dev": examples[ends[0] : ends[1]], "test": examples[ends[1] :]}


def pairs(train: Pairs, dev: Pairs = (), test: Pairs = ()) -> Parts:
    found = {"train": train, "dev": dev, "test": test}
    return {
        name: [(Example(n, one, other), "x") for n, (one, other) in enumerate(part)] for name, part in found.items()
    }


def test_a_leak_is_what_is_learnt_from_and_judged_by() -> None:
    data = parts([("a", "1"), ("b", "0"), ("a", "1")], [("a", "0"), ("c", "1")], [("c", "1"), ("c", "0"), ("b", "0")])
    assert leaks(data) == {"dev examples are also in train": 1, "test examples are also in train": 1}
    assert repeats(data) == {"test examples are also in dev": 2, "train examples repeat an earlier one": 1}


def test_copies_may_differ_in_case_and_blanks() -> None:
    data = parts([("A  text", "1"), ("a text ", "1")], [("a text", "1")], [("A TEXT", "0"), ("a texts", "1")])
    assert leaks(data) == {"dev examples are also in train": 1, "test examples are also in train": 1}
    assert repeats(data) == {"test examples are also in dev": 1, "train examples repeat an earlier one": 1}
    torn = contradictions(data)
    assert torn == (1, 4, "'A  text' as '1' (train, id 2) and '0' (test, id 5)")


def test_texts_with_nearly_the_same_words_are_counted() -> None:
    ten = [f"word{n}" for n in range(10)]
    data = parts(
        [(" ".join(ten), "1"), ("something else", "0"), ("no words: !", "0")],
        [(" ".join([*ten[:9], "other"]), "1"), ("!!!", "0")],  # 9 in common of 10 and 10
        [(" ".join([*ten[:8], "an", "other"]), "1"), (" ".join(ten[:9]).upper() + "!", "0"), ("Else, something", "0")],
    )
    assert near_leaks(data) == {"dev": 1, "test": 2}
    assert near_leaks({**data, "test": []}) == {"dev": 1}


def test_texts_under_two_labels_are_counted_within_and_across_parts() -> None:
    assert contradictions(parts([("a", "1"), ("a", "1"), ("b", "0")], [("b", "0")])) is None
    within = contradictions(parts([("a", "1"), ("b", "0"), ("a", "0"), ("a", "1")]))
    assert within is not None
    assert within == (1, 3, "'a' as '1' (train, id 2) and '0' (train, id 4)")
    across = contradictions(parts([("a", "1"), ("b", "0")], [("b", "1")], [("a", "0")]))
    assert across is not None
    assert across == (2, 4, "'a' as '1' (train, id 2) and '0' (test, id 5)")


def test_a_text_of_any_length_is_named_by_its_beginning() -> None:
    found = contradictions(parts([("so long " * 100, "1"), ("so long " * 100, "0")]))
    assert found is not None
    assert found.one.startswith("'so long so long ")
    assert len(found.one) < 150


def test_pairs_are_joined_to_train_directly_and_by_chains_over_every_part() -> None:
    data = pairs(
        train=[("a", "b"), ("c", "d")],
        dev=[("b", "e"), ("x", "y")],  # shares b
        test=[("e", "f"), ("f", "g"), ("y", "z"), ("d", "d")],  # e over dev, f over test; y is joined to dev alone; d
    )
    assert joined_to_train(data) == {
        "dev": Joined(2, 1, 1, "'b' (id 0)"),
        "test": Joined(4, 3, 1, "'d' (id 3)"),
    }
    assert joined_to_train(pairs([("a", "b")], [("c", "d")])) == {}
    assert joined_to_train(parts([("a", "1"), ("a", "0")], [("a", "1")])) == {}, "single texts have no sentences apart"


nodes = st.sampled_from("abcdefghijkl")
edges = st.lists(st.tuples(nodes, nodes), max_size=6)


@laws
@given(train=edges, dev=edges, test=edges)
def test_joined_is_what_is_reached_from_train_step_by_step(train: Pairs, dev: Pairs, test: Pairs) -> None:
    reached = {node for edge in train for node in edge}
    sizes = (-1, len(reached))
    while sizes[0] < sizes[1]:
        reached |= {node for edge in (*dev, *test) if reached & set(edge) for node in edge}
        sizes = (sizes[1], len(reached))
    found = joined_to_train(pairs(train, dev, test))
    for name, part in (("dev", dev), ("test", test)):
        count = sum(bool(reached & set(edge)) for edge in part)
        assert (found[name].joined if name in found else 0) == count
