"""Tells texts from what merely stands for one: addresses, file names, identifiers, encoded bytes. Pure."""

import base64
import binascii
import re

LONGEST = 2048  # characters of an address or a file name
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://|www\.|mailto:|data:[a-z]+/)\S+", re.IGNORECASE)
# From a root, a drive or a folder on, or a bare name; with an ending that files have.
PATH = re.compile(r"(/|\\\\|[a-z]:[\\/]|\.{1,2}[\\/]|~[\\/])[^\n\r]*[^\s\n\r]", re.IGNORECASE)
FILE_NAME = re.compile(
    r"[^\n\r]*[^\s.]\.(txt|text|md|rst|rtf|pdf|docx?|odt|html?|xml|json|jsonl|csv|tsv|eml|msg|log|tex"
    r"|png|jpe?g|gif|tiff?|webp|wav|mp3|m4a|ogg|mp4|zip|gz)",
    re.IGNORECASE,
)
LOCAL_FILES = re.compile(r"/data/(local-files|upload)/\S*")  # what Label Studio writes in the place of a stored file
IDENTIFIER = re.compile(r"(?=[^\s]*[0-9])[A-Za-z0-9][A-Za-z0-9._:/#+-]{0,63}")
BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
SHORTEST_ENCODED = 20  # characters: a shorter one may be a word


def not_words(text: str) -> str:
    """What stands in the place of words: "an address", "a file name", "base64", "a number" or
    "an identifier"; else empty."""
    stripped = text.strip()
    if len(stripped) <= LONGEST:
        if ADDRESS.fullmatch(stripped) or LOCAL_FILES.fullmatch(stripped):
            return "an address"
        if _names_a_file(stripped):
            return "a file name"
        if IDENTIFIER.fullmatch(stripped) and not _is_encoded(stripped):
            return "an identifier" if any(c.isalpha() for c in stripped) else "a number"
    return "base64" if _is_encoded(stripped) else ""


def _names_a_file(text: str) -> bool:
    if FILE_NAME.fullmatch(text) is None:
        return False
    return PATH.fullmatch(text) is not None or (len(text.split()) <= 4 and len(text) <= 255)


def _is_encoded(text: str) -> bool:
    """Whether it is base64 of words: long, without blanks but at the ends of lines, and readable once decoded."""
    if len(text) < SHORTEST_ENCODED or BASE64.fullmatch(text) is None:
        return False
    lines = text.split()
    if len(lines) > 1 and len({len(line) for line in lines[:-1]}) > 1:  # words, of different lengths
        return False
    try:
        decoded = base64.b64decode("".join(lines), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return sum(c.isprintable() or c.isspace() for c in decoded) >= 0.95 * len(decoded)
