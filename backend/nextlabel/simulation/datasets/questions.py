"""A hundred questions to a service desk, each in four variants as different people would type them."""

from collections.abc import Iterator
from importlib import resources

from nextlabel.values.examples import Example

VARIANTS = 4


def questions() -> list[Example]:
    """All 400 texts, the variants of a question in a row: as it is, polite, with a slip, and without care."""
    text = resources.files(__package__).joinpath("data/questions.tsv").read_text(encoding="utf-8")
    texts = [variant for question in text.splitlines()[1:] for variant in _variants(question)]
    return [Example(number, text) for number, text in enumerate(texts)]


def _variants(question: str) -> Iterator[str]:
    bare = question.rstrip("?")
    yield question
    yield f"Hello, {bare[0].lower()}{bare[1:]}, please? Thank you!"
    yield _with_a_slip(question)
    yield f"{bare.lower()} ??"


def _with_a_slip(question: str) -> str:
    """Two letters inside the longest word have changed places."""
    longest = max(question.rstrip("?").split(), key=len)
    middle = len(longest) // 2
    slipped = longest[: middle - 1] + longest[middle] + longest[middle - 1] + longest[middle + 1 :]
    return question.replace(longest, slipped)
