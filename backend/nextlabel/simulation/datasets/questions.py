"""A hundred questions to a service desk, each in four variants as people would type them."""

from collections.abc import Iterator
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


def questions() -> list[Example]:
    """All 400 texts, the variants of a question in a row: as it is, polite, with a slip, in another order of words."""
    text = resources.files(__package__).joinpath("data/questions.tsv").read_text(encoding="utf-8")
    asked = text.splitlines()[1:]
    texts = [variant for number, question in enumerate(asked) for variant in _variants(number, question)]
    return [Example(number, text) for number, text in enumerate(texts)]


def _variants(number: int, question: str) -> Iterator[str]:
    words = question.rstrip("?").split()
    half = len(words) // 2
    yield question
    yield f"{OPENINGS[number % 10]}{question[0].lower()}{question[1:]}{CLOSINGS[number // 10]}"
    yield _with_a_slip(question)
    yield f"{' '.join([*words[half:], *words[:half]]).lower()} ??"


def _with_a_slip(question: str) -> str:
    """Two letters inside the longest word have changed places."""
    longest = max(question.rstrip("?").split(), key=len)
    middle = len(longest) // 2
    slipped = longest[: middle - 1] + longest[middle] + longest[middle - 1] + longest[middle + 1 :]
    return question.replace(longest, slipped)
