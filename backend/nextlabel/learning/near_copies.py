"""Which texts say nearly the same, so that one of them at a time stands at the head of the queue. Pure: no disk, no model.

Two texts are near-copies when they are alike but for case and blanks; or the cosine of their base embeddings is at least
`EMBEDDED_ALIKE`; or that of their words is at least `WORDED_ALIKE`. Words count by how rare they are in the pool, so that
"hello" and "please" hardly do, and a slip counts as the word that was meant. Embeddings alone cannot do it: a slip in a
short question moves it further than another fact moves a sentence of a newspaper (reports/starts/near-copies.md).
Of a pair of texts only copies are held back: there, a single word may be what the question is about.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.learning.diversity import Points
from nextlabel.values.examples import Example

EMBEDDED_ALIKE = 0.98
WORDED_ALIKE = 0.9
LONG = 5  # letters that a word has at least for a slip in it to be seen as one
SURER = 2  # times as many texts must have the word that was meant

Key = tuple[str, str | None]


def key_of(example: Example) -> Key:
    """The same for examples that are alike but for case and blanks, and for no others."""
    return _folded(example.text), None if example.pair is None else _folded(example.pair)


@dataclass(frozen=True)
class Vocabulary:
    """The words of a pool: the `meant` one for each slip, and `weights`, ln(texts / texts that have it), 0 or more."""

    meant: Mapping[str, str]
    weights: Mapping[str, float]
    unknown: float

    def weigh(self, text: str) -> dict[str, float]:
        """The weight of each word of a text, as a vector of length 1; empty when no word counts."""
        words = {self.meant.get(word, word) for word in _words(text)}
        weights = {word: self.weights.get(word, self.unknown) for word in sorted(words)}
        length = math.sqrt(math.fsum(weight**2 for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items() if weight} if length else {}


def vocabulary(examples: Collection[Example]) -> Vocabulary:
    """The words of the pool's single texts. Time and memory grow with their number and the letters of different words."""
    texts = [_words(example.text) for example in examples if example.pair is None]
    meant = _slips(Counter(word for words in texts for word in words))
    found = Counter(word for words in texts for word in {meant.get(word, word) for word in words})
    weights = {word: math.log(len(texts) / count) for word, count in found.items()}
    return Vocabulary(meant, weights, math.log(max(1, len(texts))))


def held_back(
    candidates: Sequence[Example],
    embeddings_MD: Points,
    head: Sequence[Example],
    head_HD: Points,
    words: Vocabulary,
    depth: int,
) -> dict[int, int]:
    """Ids of the candidates that wait for a near-copy, each with its id: one in the head, or a better candidate.

    `head` is what is published and not labelled; candidates come best first, and are looked at until `depth` of them
    are free. Held back is a candidate of which the head, or a free candidate before it, has a near-copy. So whoever
    passes a head without the labelled sets their near-copies free. Rows are embeddings of unit length. Time
    O(looked at x (H + depth) x D), whatever the pool.
    """
    known = _Known(words, len(head) + depth, head_HD.shape[1])
    for example, embedding_D in zip(head, head_HD, strict=True):
        known.add(example, embedding_D)
    held: dict[int, int] = {}
    published = {example.id for example in head}
    for example, embedding_D in zip(candidates, embeddings_MD, strict=True):
        if known.full:
            break
        if example.id in published:
            continue
        by = known.near_copy(example, embedding_D)
        if by is None:
            known.add(example, embedding_D)
        else:
            held[example.id] = by
    return held


class _Known:
    """Examples to compare with: of each its id, key, embedding and, by word, its weight."""

    def __init__(self, words: Vocabulary, room: int, dimensions: int):
        self._words = words
        self._room = room
        self._ids: list[int] = []
        self._by_key: dict[Key, int] = {}
        self._single_K = np.zeros(room, dtype=bool)
        self._embeddings_KD = np.zeros((room, dimensions), dtype=np.float32)
        self._by_word: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)

    @property
    def full(self) -> bool:
        return len(self._ids) == self._room

    def add(self, example: Example, embedding_D: Points) -> None:
        place = len(self._ids)
        self._ids.append(example.id)
        self._by_key.setdefault(key_of(example), example.id)
        if example.pair is None:
            self._single_K[place] = True
            self._embeddings_KD[place] = embedding_D
            for word, weight in self._words.weigh(example.text).items():
                self._by_word[word].append((place, weight))

    def near_copy(self, example: Example, embedding_D: Points) -> int | None:
        """The id of its copy, or else of its first near-copy."""
        copy = self._by_key.get(key_of(example))
        if copy is not None or example.pair is not None or not self._ids:
            return copy
        places = len(self._ids)
        embedded_K = self._embeddings_KD[:places] @ np.asarray(embedding_D, dtype=np.float32)
        worded_K = np.zeros(places)
        for word, weight in self._words.weigh(example.text).items():
            for place, other in self._by_word.get(word, ()):
                worded_K[place] += weight * other
        alike_K = self._single_K[:places] & ((embedded_K >= EMBEDDED_ALIKE) | (worded_K >= WORDED_ALIKE))
        return self._ids[int(np.argmax(alike_K))] if alike_K.any() else None


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _slips(texts_with: Mapping[str, int]) -> dict[str, str]:
    """For each word that is a slip the word that was meant: one slip away, and in at least twice as many texts."""
    alike = defaultdict(list)
    for word in _long(texts_with):
        for rest in _with_one_less(word):
            alike[rest].append(word)
    meant = {}
    for word in _long(texts_with):
        near = {other for rest in _with_one_less(word) for other in alike[rest] if _one_slip(word, other)}
        best = max(near, key=lambda other: (texts_with[other], other), default=word)
        if texts_with[best] >= SURER * texts_with[word]:
            meant[word] = best
    return meant


def _long(words: Iterable[str]) -> Iterator[str]:
    """Those in which a slip can be seen; a number never is one."""
    return (word for word in words if len(word) >= LONG and word.isalpha())


def _with_one_less(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_slip(word: str, other: str) -> bool:
    """One letter more, less or wrong, or two that changed places; never the first, which people get right."""
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    a, b = word[start:], other[start:]
    if start == 0 or a == b:
        return False
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
