"""Near-copies: one of them at a time at the head of the queue, and what counts as one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.near_copies import NEGATIONS, Alike, held_back, vocabulary
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import near_copy_curve
from nextlabel.simulation.datasets import questions
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example, key_of

laws = settings(derandomize=True, deadline=None, max_examples=60)

WORDS = ("where", "when", "parcel", "invoice", "hello", "please")


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[Example], Array]:
    """Texts of few words and unit rows of few directions, so that many are near-copies by either."""
    texts = draw(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), min_size=1, max_size=15))
    angles_N = np.array(draw(st.lists(st.integers(0, 20), min_size=len(texts), max_size=len(texts)))) / 10
    examples = [Example(100 + i, " ".join(words)) for i, words in enumerate(texts)]
    return examples, np.stack([np.cos(angles_N), np.sin(angles_N)], axis=1)


def held(examples: list[Example], points_ND: Array, head: int = 0, depth: int = 99) -> dict[int, int]:
    """What waits of all but the first `head`, which are published."""
    words = vocabulary(examples)
    return held_back(examples[head:], points_ND[head:], examples[:head], points_ND[:head], words, depth)


def alone(text: str, other: str, pool: tuple[str, ...] = ()) -> bool:
    """Whether the second text waits for the first by its words, in a pool that has others too."""
    examples = [Example(i, some) for i, some in enumerate((text, other, *pool))]
    return bool(held_back([examples[1]], np.eye(2)[1:], [examples[0]], np.eye(2)[:1], vocabulary(examples), 1))


@laws
@given(pool=pools(), data=st.data())
def test_whoever_waits_waits_for_one_that_does_not(pool: tuple[list[Example], Array], data: st.DataObject) -> None:
    examples, points_ND = pool
    head = data.draw(st.integers(0, len(examples)))
    waiting = held(examples, points_ND, head)
    place = {example.id: i for i, example in enumerate(examples)}
    assert not set(waiting) & {example.id for example in examples[:head]}
    for id, by in waiting.items():
        assert by not in waiting
        assert place[by] < place[id]


@laws
@given(pool=pools())
def test_nobody_who_is_free_is_a_near_copy_of_another(pool: tuple[list[Example], Array]) -> None:
    examples, points_ND = pool
    waiting = held(examples, points_ND)
    free = [i for i, example in enumerate(examples) if example.id not in waiting]
    words = vocabulary(examples)
    left = [examples[i] for i in free]
    assert held_back(left, points_ND[free], [], points_ND[:0], words, 99) == {}
    assert len({key_of(example) for example in left}) == len(left)


@laws
@given(pool=pools())
def test_once_it_is_labelled_the_others_are_free_again(pool: tuple[list[Example], Array]) -> None:
    examples, points_ND = pool
    words = vocabulary(examples)
    waiting = held(examples, points_ND, head=1)
    for position, example in enumerate(examples):
        if waiting.get(example.id) == examples[0].id:
            row_1D = points_ND[position : position + 1]
            assert held_back([example], row_1D, examples[:1], points_ND[:1], words, 1) == {example.id: 100}
            assert held_back([example], row_1D, [], points_ND[:0], words, 1) == {}


@laws
@given(pool=pools(), depth=st.integers(0, 15))
def test_a_shallower_head_decides_alike_and_looks_no_further(pool: tuple[list[Example], Array], depth: int) -> None:
    examples, points_ND = pool
    whole, part = held(examples, points_ND), held(examples, points_ND, depth=depth)
    assert part.items() <= whole.items()
    free = [example.id for example in examples if example.id not in whole][:depth]
    last = examples.index(next(e for e in examples if e.id == free[-1])) if len(free) == depth and free else None
    if depth == 0:
        assert part == {}
    elif last is not None:
        assert set(part) == {example.id for example in examples[:last] if example.id in whole}


@laws
@given(text=st.text(min_size=1), blanks=st.sampled_from([" ", "\n", "\t  "]))
def test_case_and_blanks_make_no_other_text(text: str, blanks: str) -> None:
    other = blanks + text.casefold().replace(" ", blanks) + blanks
    assert key_of(Example(1, text)) == key_of(Example(2, other))
    assert alone(text, other)


def test_of_pairs_only_copies_wait() -> None:
    pairs = [
        Example(1, "It rained.", "It rained all day."),
        Example(2, "it  rained.", "It rained all day."),
        Example(3, "It rained.", "It rained all night."),
        Example(4, "It rained."),
    ]
    assert held(pairs, np.tile([[1.0, 0.0]], (4, 1))) == {2: 1}


def test_a_cosine_from_98_on_is_a_near_copy_and_a_task_of_the_head_never_waits() -> None:
    examples = [Example(1, "one"), Example(2, "two"), Example(3, "three")]
    near, far = np.arccos(0.981), np.arccos(0.979)
    points_ND = np.array([[1, 0], [np.cos(near), np.sin(near)], [np.cos(-far), np.sin(-far)]])
    assert held(examples, points_ND) == {2: 1}
    assert held_back(examples, points_ND, examples[:2], points_ND[:2], vocabulary(examples), 9) == {}
    assert held_back(examples, points_ND, [], points_ND[:0], vocabulary(examples), 9, Alike(embedded=0.97)) == {
        2: 1,
        3: 1,
    }


POOL = (
    "hello, who signs this please",
    "hello, what is open on sunday please",
    "hello, may dogs come in please",
    "is the password safe",
    "my password is lost",
    "where is room 12",
)


@pytest.mark.parametrize(
    ("text", "other", "near"),
    [
        ("where is my invoice", "hello, where is my invoice please", True),
        ("where is my invoice", "my invoice, where is?", True),
        ("reset my password", "reset my paswsord", True),
        ("reset my password", "reset my pasword", True),
        ("where is my invoice", "where is my invoice for the garage", False),
        ("where is room 12", "where is room 13", False),
        ("where is my invoice", "where is my parcel", False),
        ("where is my invoice", "hello 4711: where is my invoice", True),
        ("hello 123456: where is my invoice", "Hello no. 7890123 - where is my invoice", True),
        ("order 123456: where is my invoice", "Order no 7890123 - where is my invoice", True),
        ("where is my invoice 👍", "where is my invoice 👍👍", True),
        ("where is my invoice :)", "where is my invoice :) :)", True),
        ("where is my invoice:(a) now", "where is my invoice (a) now", True),
        ("where is my invoice", "➔ where is my invoice", True),
        ("➢ where is my invoice", "❖ where is my invoice", True),
        ("?!", "...", False),
    ],
)
def test_common_words_and_slips_make_no_other_text_and_rare_words_do(text: str, other: str, near: bool) -> None:
    assert alone(text, other, POOL) is near
    assert alone(other, text, POOL) is near


@pytest.fixture(scope="module")
def embedded(minilm: Path) -> Array:
    """The base embeddings of all variants of the questions."""
    return classifiers.load_base(Recipe(str(minilm), 0, 0.0, 1, 128, 0, "cpu")).embed(questions.questions())


def test_of_100_questions_in_four_variants_the_first_40_served_are_different(embedded: Array) -> None:
    assert near_copy_curve.distinct_served(embedded, Alike()) >= 38
    assert near_copy_curve.distinct_served(embedded, Alike(embedded=2.0, common=-np.inf)) == 10, "nothing held back"


@pytest.mark.parametrize("variants", ["numbers", "orders"])
def test_words_alone_tell_variants_with_a_number_of_their_own(variants: str) -> None:
    asked = questions.questions(variants)
    waiting = held_back(asked, np.zeros((len(asked), 1)), [], np.zeros((0, 1)), vocabulary(asked), 40)
    served = [example.id for example in asked if example.id not in waiting][:40]
    assert len({id // questions.VARIANTS for id in served}) == 40


MANY = "kleine newer"  # of which "keine" and "never" are no slips


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("i am satisfied with it", "i am not satisfied with it"),
        ("it does work", "it doesn't work"),
        ("this can be cancelled", "this cannot be cancelled"),
        ("das ist gut", "das ist nicht gut"),
        ("not good but cheap", "good but not cheap"),
        ("the food was bad not good", "the food was good not bad"),
        ("Anna owes Bernd 5 euro", "Bernd owes Anna 5 euro"),
        ("it has 3 stars", "it has 1 stars"),
        ("i have 10000 dollars", "i have no 10000 dollars"),
        ("mir wurde kleine hilfe angeboten", "mir wurde keine hilfe angeboten"),
        ("this is newer than that", "this is never than that"),
        ("ich habe verstanden", "ich habe nichts verstanden"),
        ("Fehler bei Geräten", "Fehler bei keinem Geräten"),
        ("elle répond vite", "elle ne répond plus vite"),
        ("il a compris", "il n'a rien compris"),
        ("funciona bien", "nada funciona bien"),
        ("how do i sort a list in C", "how do i sort a list in C++"),
        ("how do i sort a list in C#", "how do i sort a list in C++"),
        ("i love mondays", "i love mondays 😡"),
        ("the food was great 👍", "the food was great 👎"),
        ("the food was great ❤️", "the food was great ☹️"),
        ("monday again :-)", "monday again :-("),
        ("monday again:)", "monday again :("),
        ("monday again", "monday again:'-("),
        ("the freezer is at 5 degrees", "the freezer is at -5 degrees"),
        ("profit is +3 %", "profit is \u22123 %"),
    ],
)
def test_opposites_never_wait_however_alike_their_embeddings_are(text: str, other: str) -> None:
    examples = [Example(1, text), Example(2, other), *(Example(3 + i, f"it is not {i}: {MANY}") for i in range(20))]
    rows_2D = np.ones((2, 1))
    assert held_back(examples[1:2], rows_2D[1:], examples[:1], rows_2D[:1], vocabulary(examples), 1) == {}
    same = [Example(99, f"{text}!")]
    assert held_back(same, rows_2D[1:], examples[:1], rows_2D[:1], vocabulary(examples), 1) == {99: 1}


@pytest.mark.parametrize("negation", sorted(NEGATIONS))
def test_no_negation_waits_for_the_text_without_it_however_common_it_is(negation: str) -> None:
    pool = tuple(f"{negation} number {i} came" for i in range(20))
    assert not alone("it works well", f"it {negation} works well", pool)
    assert not alone(f"{negation.upper()} it works well", "it works well", pool)


def test_in_a_script_without_blanks_no_letter_is_a_slip() -> None:
    assert not alone("我想要退款", "我不要退款", ("我想要退款",) * 4)
    assert not alone("ฉันได้รับเงิน", "ฉันไม่ได้รับเงิน", ("ฉันได้รับเงิน",) * 4)
    assert alone("我想要退款", "我想要退款。")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("well done 👍", "well done 👍🏽!"),
        ("room 3-5 is open", "room 3 - 5 is open"),
        ("© is it ours", "is it ours"),
        ("* is it ours", "#is it ours +"),
    ],
)
def test_other_signs_say_nothing(text: str, other: str) -> None:
    assert alone(text, other, POOL)
    assert alone(other, text, POOL)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("i don't know", "I dont know"),
        ("i can't log in", "i cannot log in"),
        ("i can\u2019t log in", "i cant log in"),
        ("it won't start", "it will not start"),
        ("it isnt here", "it is not here"),
    ],
)
def test_however_not_is_written_it_is_the_same_text(text: str, other: str) -> None:
    assert alone(text, other, POOL)
    assert alone(other, text, POOL)


def test_they_are_different_in_any_order(embedded: Array) -> None:
    asked, words = questions.questions(), vocabulary(questions.questions())
    for seed in range(5):
        order = np.argsort(embedded @ np.random.default_rng(seed).normal(size=embedded.shape[1]))
        ranked = [asked[i] for i in order]
        waiting = held_back(ranked, embedded[order], [], embedded[:0], words, 40)
        served = [example.id for example in ranked if example.id not in waiting][:40]
        assert len({id // questions.VARIANTS for id in served}) >= 38
