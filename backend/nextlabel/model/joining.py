"""Word pieces of three texts or more, joined with the tokenizer's separator. Knows no model.

What `tokenizer(texts[0], separator.join(texts[1:]))` makes of them, but cut in fair shares where they are too long: a
tokenizer by itself knows two texts only, and would cut the end of what is joined.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from nextlabel.errors import NoModelError
from nextlabel.values.examples import Example

PROBE = ("yes", "house")  # two texts whose pieces differ


class Frame(NamedTuple):
    """What a tokenizer puts before, between and behind the pieces of a pair, and the types of the two texts."""

    before: list[int]
    between: list[int]
    behind: list[int]
    types: tuple[int, int]


def separator(tokenizer: Any) -> str:
    """What stands between two texts; a new line where the tokenizer has no mark for that."""
    return str(tokenizer.sep_token or tokenizer.eos_token or "\n")


def join(tokenizer: Any, examples: Sequence[Example], limit: int | None) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and types of each example of three texts or more, of at most `limit` pieces.

    Of what is too long the longest text is cut first, down to the length of the next, and so on: no text is cut that is
    shorter than its share.
    """
    frame = _frame(tokenizer)
    mark = _pieces(tokenizer, [separator(tokenizer)])[0]
    pieces = iter(_pieces(tokenizer, [text for example in examples for text in example.texts]))
    rows = [_joined([next(pieces) for _ in example.texts], mark, frame, limit) for example in examples]
    return [ids for ids, _ in rows], [types for _, types in rows]


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How many pieces of each text fit into `room`, from 0 on: all of the short ones, of the long ones equally many."""
    found = list(lengths)
    for place, at in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        found[at] = min(found[at], room // (len(lengths) - place))
        room -= found[at]
    return found


def _joined(texts: list[list[int]], mark: list[int], frame: Frame, limit: int | None) -> tuple[list[int], list[int]]:
    if limit is not None:
        marks = len(frame.before) + len(frame.between) + len(frame.behind) + len(mark) * (len(texts) - 2)
        kept = shares([len(text) for text in texts], max(0, limit - marks))
        texts = [text[:most] for text, most in zip(texts, kept, strict=True)]
    first = [*frame.before, *texts[0], *frame.between]
    rest = [*_between(texts[1:], mark), *frame.behind]
    return [*first, *rest][:limit], ([frame.types[0]] * len(first) + [frame.types[1]] * len(rest))[:limit]


def _between(texts: Iterable[list[int]], mark: list[int]) -> list[int]:
    parts = [piece for text in texts for piece in (*mark, *text)]
    return parts[len(mark) :]


def _pieces(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    found: list[list[int]] = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)[
        "input_ids"
    ]
    return found


def _frame(tokenizer: Any) -> Frame:
    first, second = _pieces(tokenizer, list(PROBE))
    encoded = tokenizer(*PROBE)
    pair: list[int] = encoded["input_ids"]
    start = _place(first, pair, 0)
    after = _place(second, pair, start + len(first))
    if not 0 <= start < after:
        raise NoModelError(
            f"{type(tokenizer).__name__} does not tell how it joins texts. Choose one or two of them with "
            "`nextlabel connect --project ID --fields A,B`, or take another BASE_MODEL."
        )
    types = encoded.get("token_type_ids") or [0] * len(pair)
    before, between, behind = pair[:start], pair[start + len(first) : after], pair[after + len(second) :]
    return Frame(before, between, behind, (types[start], types[after]))


def _place(part: list[int], whole: list[int], since: int) -> int:
    """Where a part begins at or after `since`; -1 if nowhere."""
    return next((at for at in range(max(0, since), len(whole)) if whole[at : at + len(part)] == part), -1)
