"""Sentences that pages quote, beside the texts of the program: whether it still says them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

UNKNOWN = "\0"  # where the program puts in a value
# What differs from project to project, and where sentences begin and end; a count's noun follows the count.
VARIES = re.compile(
    r"""…|\d[\w.,-]*(?: of \d+)?(?: \w+)?|'[^']*'|"[^"]*"|`[^`]*`|[()]|<[^>]*>|nextlabel-\S*|(?<=[.;:,?])\s|=|\*\*?"""
)
SHORT = 3  # words that say too little


def quoted_in(page: str) -> list[str]:
    """What a page of troubles quotes: its block quotations, and the first column of its tables of sentences."""
    blocks = re.findall(r"(?:^> .*\n)+", page, re.MULTILINE)
    tables = re.findall(r"^\| sentence \|.*\n\|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    rows = [row for table in tables for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)]
    return [_joined(re.sub(r"^> ", "", block, flags=re.MULTILINE)) for block in blocks] + rows


def said_in(*files: Path) -> str:
    """All texts in these files, those of Python with either way of each condition in them."""
    texts = set[str]()
    for file in files:
        content = file.read_text(encoding="utf-8")
        texts |= set(_texts(ast.parse(content))) if file.suffix == ".py" else {content}
    return _joined("\n".join(sorted(texts)))


def unsaid(sentence: str, said: str) -> list[str]:
    """The parts of a sentence that are not in there, but for one word in each, which a value may have put in."""
    parts = (part.strip(" .,:;|") for part in VARIES.split(sentence))
    return [part for part in parts if len(part.split()) >= SHORT and not _is_said(part.split(), said)]


def _is_said(words: list[str], said: str) -> bool:
    if " ".join(words) in said:
        return True
    return any(" ".join(words[:place]) in said and " ".join(words[place + 1 :]) in said for place in range(len(words)))


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
            yield _text(node, first=True)
            yield _text(node, first=False)


def _text(node: ast.AST, first: bool) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, first) for part in parts)
        case ast.FormattedValue(value=value):
            return _text(value, first)
        case ast.IfExp(body=body, orelse=other):
            return _text(body if first else other, first)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, first) + _text(right, first)
    return UNKNOWN


def _joined(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
