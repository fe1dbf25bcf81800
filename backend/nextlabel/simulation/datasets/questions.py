"""A hundred questions to a service desk, each in four variants as people would type them.

The rule for near-copies was set on the first of these `SETS`. It was changed after "numbers" and "framed" had shown
what it missed, and not after "orders" and "facts", which were written before that.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import resources

from nextlabel.values.examples import Example

VARIANTS = 4
OPENINGS = (
    "Hi, ", "Hello there, ", "Good morning, ", "Hey team, ", "Excuse me, ",
    "Could you tell me: ", "I would like to know: ", "Quick question: ", "Sorry to bother you, ", "Dear support, ",
)  # fmt: skip
CLOSINGS = (
    " Thanks!", " Thank you very much.", " Cheers", " Please help.", " Many thanks in advance.",
    " Kind regards, Anna", " Please?", "", " Best, Tom", " I'd appreciate an answer.",
)  # fmt: skip


def questions(variants: str = "polite") -> list[Example]:
    """All 400 texts in one of the `SETS`, the variants of a question in a row."""
    text = resources.files(__package__).joinpath("data/questions.tsv").read_text(encoding="utf-8")
    asked, made = text.splitlines()[1:], SETS[variants]
    texts = [variant for number, question in enumerate(asked) for variant in made(number, question)]
    return [Example(number, text) for number, text in enumerate(texts)]


def _polite(number: int, question: str) -> Iterator[str]:
    """As it is, polite, with a slip, its halves turned round."""
    words = question.rstrip("?").split()
    half = len(words) // 2
    yield question
    yield f"{OPENINGS[number % 10]}{question[0].lower()}{question[1:]}{CLOSINGS[number // 10]}"
    yield _with_a_slip(question)
    yield f"{' '.join([*words[half:], *words[:half]]).lower()} ??"


def _with_numbers(number: int, question: str) -> Iterator[str]:
    yield question
    yield _bare(question)
    yield f"hi team, {_bare(question)}? thx a lot in advance!!"
    yield f"ticket {4000 + number * 37 % 1000}: {_bare(question)}?"


def _framed(number: int, question: str) -> Iterator[str]:
    yield question
    yield f"We have a question. {question} We look forward to hearing from you soon."
    yield f"{_bare(question)} - urgent"
    yield f"{_bare(question).replace(' my ', ' our ').replace(' I ', ' we ')}?"


def _with_orders(number: int, question: str) -> Iterator[str]:
    yield question
    yield f"Order no. {58213 + 131 * number} - {question}"
    yield f"does anybody know {_bare(question)}? need this asap"
    yield f"Re: {_bare(question)}\n\nSent from my phone"


def _with_facts(number: int, question: str) -> Iterator[str]:
    yield question
    yield f"#{number + 1} {_bare(question)}"
    yield f"{question} I have been waiting for {3 + number % 9} days now."
    yield f"To whom it may concern: {_bare(question)}. Please advise."


def _bare(question: str) -> str:
    return f"{question[0].lower()}{question[1:].rstrip('?')}"


def _with_a_slip(question: str) -> str:
    """Two letters inside the longest word have changed places."""
    longest = max(question.rstrip("?").split(), key=len)
    middle = len(longest) // 2
    slipped = longest[: middle - 1] + longest[middle] + longest[middle - 1] + longest[middle + 1 :]
    return question.replace(longest, slipped)


SETS: Mapping[str, Callable[[int, str], Iterator[str]]] = {
    "polite": _polite,
    "numbers": _with_numbers,
    "framed": _framed,
    "orders": _with_orders,
    "facts": _with_facts,
}
