"""Which examples of a text set are not independent of each other: repeated, contradictory, joined by a sentence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nextlabel.errors import of_extra
from nextlabel.values.examples import Example, Key, key_of

Parts = Mapping[str, Sequence[tuple[Example, str]]]  # train, dev, test: examples with their labels

NEARLY = 0.9  # cosine of the sets of words
ROUNDING = 1e-9
EXCERPT = 80  # characters of a text that a message quotes


class Contradictions(NamedTuple):
    """Texts under more than one label: how many `texts`, on how many `examples`, and one of them in words."""

    texts: int
    examples: int
    one: str


class Joined(NamedTuple):
    """Of a part's `pairs`, how many are `joined` to train, and how many of these share a sentence with it `directly`.

    `one` is a sentence of the first of them, in words.
    """

    pairs: int
    joined: int
    directly: int
    one: str


def leaks(parts: Parts) -> dict[str, int]:
    """How many examples to judge by are also examples to learn from, in words; only what there is. Copies may differ in
    case and blanks."""
    return _shared(parts, [("dev", "train"), ("test", "train")])


def near_leaks(parts: Parts) -> dict[str, int]:
    """How many examples of dev and of test have nearly the words of one of train: as many in common as `NEARLY` times
    the geometric mean of how many different ones each has. Case, order and punctuation do not matter; leaks count."""
    with of_extra("simulation", "Counting near-copies"):
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize
    texts = {name: [" ".join(example.texts) for example, _ in part] for name, part in parts.items()}
    words = CountVectorizer(binary=True, token_pattern=r"\w+").fit([text for part in texts.values() for text in part])
    points = {name: normalize(words.transform(part).astype(np.float64)) for name, part in texts.items() if part}
    return {
        name: int(((points[name] @ points["train"].T).max(axis=1).toarray() >= NEARLY - ROUNDING).sum())
        for name in ("dev", "test")
        if name in points
    }


def repeats(parts: Parts) -> dict[str, int]:
    """How many examples are there more than once without being leaks, in words; only what there is."""
    texts = [key_of(example) for example, _ in parts["train"]]
    again = len(texts) - len(set(texts))
    found = _shared(parts, [("test", "dev")])
    return {**found, "train examples repeat an earlier one": again} if again else found


def _shared(parts: Parts, pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    keys = {name: [key_of(example) for example, _ in part] for name, part in parts.items()}
    counts = {
        f"{name} examples are also in {other}": sum(map(set(keys[other]).__contains__, keys[name]))
        for name, other in pairs
    }
    return {words: count for words, count in counts.items() if count}


def contradictions(parts: Parts) -> Contradictions | None:
    """Texts (or pairs) that stand under different labels, within a part or across; None without any. Copies may differ
    in case and blanks."""
    found: dict[Key, list[tuple[str, Example, str]]] = {}
    for name, part in parts.items():
        for example, label in part:
            found.setdefault(key_of(example), []).append((name, example, label))
    torn = [places for places in found.values() if len({label for *_, label in places}) > 1]
    if not torn:
        return None
    by_label: dict[str, str] = {}
    for name, example, label in torn[0]:
        by_label.setdefault(label, f"{label!r} ({name}, id {example.id})")
    one = f"{excerpt(torn[0][0][1].text)} as {' and '.join(by_label.values())}"
    return Contradictions(len(torn), sum(map(len, torn)), one)


def excerpt(text: str) -> str:
    """The beginning of a text in quotes."""
    return repr(text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…")


def joined_to_train(parts: Parts) -> dict[str, Joined]:
    """How many pairs of dev and of test are not independent of train by their sentences; only parts with such pairs.

    Two pairs are linked when they share a sentence, word for word, as first or second one. A pair is joined to train
    when links lead from it to a pair of train, over any number of pairs of any part: then it is in one connected
    component with pairs of train, in the graph whose nodes are sentences and whose edges are all pairs of all parts.
    Of MRPC with GLUE's split these are 43 of 408 and 254 of 1725 (245 directly, 9 over other pairs of dev and test).
    """
    pairs = {name: [(e.text, e.pair, e.id) for e, _ in part if e.pair is not None] for name, part in parts.items()}
    root_of = _components((one, other) for part in pairs.values() for one, other, _ in part)
    roots = {root_of[one] for one, *_ in pairs["train"]}
    sentences = {sentence for one, other, _ in pairs["train"] for sentence in (one, other)}
    found = {}
    for name in ("dev", "test"):
        joined = [pair for pair in pairs[name] if root_of[pair[0]] in roots]
        if joined:
            directly = [pair for pair in joined if not sentences.isdisjoint(pair[:2])]
            one, other, id = (directly or joined)[0]
            common = one if one in sentences else other
            found[name] = Joined(len(pairs[name]), len(joined), len(directly), f"{excerpt(common)} (id {id})")
    return found


def _components(edges: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each node's representative: the same for all nodes of a component (union-find with path halving)."""
    above: dict[str, str] = {}

    def root(node: str) -> str:
        while above.setdefault(node, node) != node:
            above[node] = node = above[above[node]]
        return node

    for one, other in edges:
        above[root(one)] = root(other)
    return {node: root(node) for node in list(above)}
