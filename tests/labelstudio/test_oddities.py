"""What stands for a text without being one is told from texts, short and strange ones too."""

import base64

import pytest

from nextlabel.labelstudio.oddities import not_words

ODD = {
    "an address": [
        "https://example.com/a", "HTTP://EXAMPLE.COM/x?y=1", "s3://bucket/key", "gs://bucket/a b.txt".replace(" ", "_"),
        "www.example.com", "mailto:a@example.com", "data:text/plain;base64,AAAA", "/data/local-files/?d=texts/1.txt",
    ],
    "a file name": [
        "a.txt", "my mail.eml", "/data/upload/3/a b.txt", "C:\\texts\\one.docx", "../texts/one.html", "./a.md",
        "/home/somebody/one.json", "report.PDF",
    ],
    "an identifier": ["TCK-1234", "550e8400-e29b-41d4-a716-446655440000", "A4"],
    "a number": ["4711", "3.50", "7/10", "2026-01-31"],
    "base64": [
        base64.b64encode("Das ist schön, wirklich.".encode()).decode(),
        base64.encodebytes(b"The quick brown fox jumps over the lazy dog. " * 5).decode(),
    ],
}  # fmt: skip

WORDS = [
    "hello", "OK", "Great!", "I love it", "3.5 stars", "Is this a.txt or b.txt, and where is the rest of them?",
    "See https://example.com for more", "example.com", "Donaudampfschifffahrtsgesellschaftskapitän", "สวัสดีครับ", "好",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "supercalifragilisticexpialidocious", "", " ", "...", "a/b testing", "🙂",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in ODD.items() for text in texts])
def test_what_is_no_text_is_told_by_its_kind(kind: str, text: str) -> None:
    assert not_words(text) == not_words(f" {text}\n") == kind


@pytest.mark.parametrize("text", WORDS)
def test_words_are_words(text: str) -> None:
    assert not_words(text) == ""


def test_a_long_text_is_looked_at_in_no_time() -> None:
    assert not_words("a/" * 1_000_000) == not_words("word " * 1_000_000) == ""
