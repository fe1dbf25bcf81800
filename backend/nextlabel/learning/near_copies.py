"""Which texts say nearly the same, so that one of them at a time stands at the head of the queue. Knows no models.

Two texts are near-copies when they are alike but for case and blanks; when the cosine of their base embeddings is at
least .98; or when one has all words of the other in their order and adds only words that are common in the pool, such
as "hello" and "please"; a slip counts as the word that was meant. Embeddings alone cannot tell: a slip in a short
question moves it further than another fact moves a sentence of a newspaper (reports/near-copies.md). What always tells
texts apart is a negation, an emoji, a sign at a word ("C++"), other numbers of up to three digits, and another order of
the same words, but for two parts that have changed places. Longer numbers, such as a ticket's, say nothing, as other
signs do. Of a pair of texts only copies are held back: there, a single word may be what the question is about.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nextlabel.learning.diversity import Points
from nextlabel.values.examples import Example, Key, key_of

LONG = 5  # letters that a word has at least for a slip in it to be seen as one
TINY = 1e-9  # keeps a word that all texts have from dividing by 0
SURER = 2  # times as many texts must have the word that was meant
NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "hardly", "barely"}
    | {"nicht", "nichts", "nein", "kein", "keine", "keinen", "keinem", "keiner", "keines", "keins", "nie", "niemals"}
    | {"niemand", "niemanden", "niemandem", "nirgends", "weder", "ohne", "kaum"}
    | {"ne", "n", "non", "pas", "jamais", "rien", "personne", "sans", "aucun", "aucune", "ni"}
    | {"nunca", "jam\u00e1s", "nada", "nadie", "tampoco", "sin", "ning\u00fan", "ninguno", "ninguna"}
)
WITH_NOT = re.compile(r"\b(do|does|did|is|was|are|were|have|has|had|wo|ca|could|would|should)n'?t\b")  # "dont", too
BEFORE_NOT = {"ca": "can", "wo": "will"}
EMOJI = (  # of any skin tone; no stars, ticks, arrows and the like, which begin the points of a list
    r"[\u231a\u231b\u23e9-\u23fa\u2600-\u2604\u2607-\u2619\u261d\u2620-\u26ff\u2705\u2708-\u270d\u2728\u274c\u274e"
    r"\u2753-\u2755\u2757\u2763-\u2764\u2795-\u2797\u2b50\u2b55"
    r"\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
)
FACE = r"[:;=]['-]{0,2}\)|[:;=]['-]{1,2}\(|(?<!\w)[:;=]\("  # not in "fields:(a)"
WORD = re.compile(rf"(?:(?<!\w)[-+\u2212](?=\d))?\w+(?:[+#]+(?![\w+#]))?|{EMOJI}|{FACE}")  # "-5", "c++", ":-)"
SIGN = re.compile(r"\W")
WITHOUT_BLANKS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
SHORT_FOR_NOT = re.compile(r"n't\b|(?<=\bcan)not\b")
NAME_IN_NUMBERS = re.compile(  # a ticket's, an order's, a year's; "no" is a word of its own in "no 10000 dollars"
    r"(?:\bno\s*[.:#]\W*|\b(order|ticket|invoice|case|reference|ref|customer|account|number)\W+no\W+)?\b\d{4,}\b"
)


@dataclass(frozen=True)
class Alike:
    """From where on texts are near-copies, as measured in reports/near-copies.md.

    The cosine of their embeddings is at least `embedded`; or one has all words of the other, and each further word
    weighs less than `common` times what the rarest of them does.
    """

    embedded: float = 0.98
    common: float = 0.88


RULE = (  # for words; changed with it, as frozen defaults are compared by it
    "all words of the other text, in its order or two parts turned round, and none more that weighs "
    f"{Alike().common} of the rarest shared one; slips from {LONG} letters and {SURER} times as many texts on, of "
    "scripts with blanks; negations, numbers of up to 3 digits, and which emojis, faces and signs at words there are "
    "tell apart"
)


@dataclass(frozen=True)
class Vocabulary:
    """The words of a pool: the `meant` one for each slip, and `weights`, ln(texts / texts that have it), 0 or more."""

    meant: Mapping[str, str]
    weights: Mapping[str, float]
    unknown: float

    def read(self, text: str) -> "Read":
        """A text as its words."""
        words = tuple(self.meant.get(word, word) for word in _words(text))
        weights = {word: self.weights.get(word, self.unknown) for word in words}
        numbers = Counter(word for word in words if word.lstrip("-+\u2212").isdecimal())
        signs = {word for word in words if SIGN.search(word) and word not in numbers}  # two hearts say what one says
        return Read(words, weights, Counter(signs) + Counter(_negations(words)), numbers)


@dataclass(frozen=True)
class Read:
    """A text as its words in their order, and what each weighs; what tells it apart (its negations with how often;
    emojis, faces and words with a sign, once each), and its numbers with how often."""

    words: tuple[str, ...]
    weights: Mapping[str, float]
    telling: Mapping[str, int]
    numbers: Mapping[str, int]


def vocabulary(examples: Collection[Example]) -> Vocabulary:
    """The words of the pool's single texts. Costs grow with the texts and the letters of different words."""
    texts = [set(_words(example.text)) for example in examples if example.pair is None]
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
    alike: Alike = Alike(),
) -> dict[int, int]:
    """Ids of the candidates that wait for a near-copy, each with its id: one in the head, or a better candidate.

    `head` is what is published and not labelled; candidates come best first, and are looked at until `depth` of them
    are free. Held back is a candidate of which the head, or a free candidate before it, has a near-copy. So whoever
    passes a head without the labelled sets their near-copies free. Rows are embeddings of unit length. Time
    O(looked at x (H + depth) x D), whatever the pool.
    """
    known = _Known(words, alike, len(head) + depth, head_HD.shape[1])
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
    """Examples to compare with. Of pairs only the keys are known."""

    def __init__(self, words: Vocabulary, alike: Alike, room: int, dimensions: int):
        self._words, self._alike = words, alike
        self._room = room
        self._ids: list[int] = []
        self._by_key: dict[Key, int] = {}
        self._texts: list[Read] = []
        self._embeddings_KD = np.zeros((room, dimensions), dtype=np.float32)
        self._having: defaultdict[str, list[int]] = defaultdict(list)

    @property
    def full(self) -> bool:
        return len(self._ids) == self._room

    def add(self, example: Example, embedding_D: Points) -> None:
        place = len(self._ids)
        self._ids.append(example.id)
        self._by_key.setdefault(key_of(example), example.id)
        single = example.pair is None
        self._texts.append(self._words.read(example.text if single else ""))
        for word in self._texts[-1].weights:
            self._having[word].append(place)
        if single:  # the row of a pair stays 0, which is alike to none
            self._embeddings_KD[place] = embedding_D

    def near_copy(self, example: Example, embedding_D: Points) -> int | None:
        """The id of its copy, or else of its first near-copy."""
        copy = self._by_key.get(key_of(example))
        if copy is not None or example.pair is not None:
            return copy
        embedded_K = self._embeddings_KD[: len(self._ids)] @ np.asarray(embedding_D, dtype=np.float32)
        text = self._words.read(example.text)
        shared = Counter(place for word in text.weights for place in self._having.get(word, ()))
        within = {
            place for place, count in shared.items() if count == min(len(text.weights), len(self._texts[place].weights))
        }
        near = set(np.flatnonzero(embedded_K >= self._alike.embedded).tolist())
        near |= {place for place in within if _added(text.weights, self._texts[place].weights) < self._alike.common}
        same = (
            place
            for place in sorted(near)
            if not _told_apart(text, self._texts[place])
            and not (place in within and _in_another_order(text.words, self._texts[place].words))
        )
        return next((self._ids[place] for place in same), None)


def _added(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The weight of the rarest word that one of two texts alone has, by that of the rarest that both have."""
    both, either = one.keys() & other.keys(), {**one, **other}
    added = max((weight for word, weight in either.items() if word not in both), default=-1.0)
    return added / max(*(either[word] for word in both), TINY)


def _in_another_order(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the longer one does not have the words of the shorter one in their order, as they are or after two parts
    of it have changed places."""
    shorter, longer = sorted((one, other), key=len)
    turned = (tuple(shorter[cut:]) + tuple(shorter[:cut]) for cut in range(len(shorter)))
    return not any(_follow(words, longer) for words in turned)


def _follow(words: Iterable[str], among: Iterable[str]) -> bool:
    """Whether the words stand in that order among others."""
    left = iter(among)
    return all(word in left for word in words)


def _told_apart(one: Read, other: Read) -> bool:
    """Whether they negate something else or have other signs, or both have numbers and these are others."""
    return one.telling != other.telling or bool(one.numbers and other.numbers and one.numbers != other.numbers)


def _negations(words: Sequence[str]) -> Iterator[str]:
    """Each with the word after it."""
    return (f"{word} {following}" for word, following in pairwise((*words, "")) if word in NEGATIONS)


def _words(text: str) -> list[str]:
    plain = WITH_NOT.sub(_in_full, text.casefold().replace("\u2019", "'"))
    return WORD.findall(NAME_IN_NUMBERS.sub(r" \1 ", SHORT_FOR_NOT.sub(" not", plain)))


def _in_full(short: re.Match[str]) -> str:
    return f"{BEFORE_NOT.get(short[1], short[1])} not"


def _slips(texts_with: Mapping[str, int]) -> dict[str, str]:
    """For each word that is a slip the word that was meant: one slip away, and in at least twice as many texts."""
    alike = defaultdict(list)
    for word in _long(word for word, count in texts_with.items() if count >= SURER):
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
    """Those in which a slip can be seen; a number never is one, nor is "never" one for "newer", nor a letter of a
    Chinese sentence, which is one word here."""
    alphabetic = (word for word in words if len(word) >= LONG and word.isalpha() and word not in NEGATIONS)
    return (word for word in alphabetic if not WITHOUT_BLANKS.search(word))


def _with_one_less(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_slip(word: str, other: str) -> bool:
    """One letter more, less or wrong, or two that changed places; never the first, which people get right."""
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    a, b = word[start:], other[start:]
    if start == 0 or a == b:
        return False
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
