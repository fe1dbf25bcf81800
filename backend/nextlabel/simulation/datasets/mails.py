"""What a reader sees of an e-mail as one text: its subject and its body. Refuses all other headers and attachments."""

import html
import re
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

# By hand, as html.parser reads some pages otherwise from one version of Python to the next.
UNSEEN = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
TAG = re.compile(r"<[/!?a-z][^>]*>", re.IGNORECASE)


def text_of(mail: bytes) -> str:
    """Subject, a newline, then the plain text parts one after another, or without any the HTML parts without tags.

    Parts and words are decoded by the character set that they name, or else as UTF-8, or else as Latin-1.
    """
    message = message_from_bytes(mail)
    shown = [part for part in message.walk() if not part.is_multipart() and not part.get_filename()]
    plain = [_decoded(part) for part in shown if part.get_content_type() == "text/plain"]
    rich = [without_tags(_decoded(part)) for part in shown if part.get_content_type() == "text/html"]
    body = plain if any(text.strip() for text in plain) else rich
    return "\n".join([_subject(message), *body]).replace("\r\n", "\n").strip()


def without_tags(page: str) -> str:
    """What a page of HTML says, about as it would be shown."""
    text = html.unescape(TAG.sub(" ", UNSEEN.sub(" ", page)))
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text))


def _decoded(part: "Message[str, str]") -> str:
    payload = part.get_payload(decode=True)
    return in_charset(payload if isinstance(payload, bytes) else b"", part.get_content_charset())


def in_charset(content: bytes, charset: str | None) -> str:
    """The text of bytes in a character set whose name may be wrong or missing."""
    for name in (charset, "utf-8"):
        try:
            return content.decode(name or "utf-8")
        except (LookupError, UnicodeError):
            continue
    return content.decode("latin-1")


def _subject(message: "Message[str, str]") -> str:
    # As bytes, for a header may hold letters that it does not say how to read.
    raw = next((value for name, value in message.raw_items() if name.lower() == "subject"), "")
    line = in_charset(str(raw).encode("utf-8", "surrogateescape"), None)
    try:
        parts = decode_header(line)
    except HeaderParseError:
        return line
    words = (in_charset(part, charset) if isinstance(part, bytes) else part for part, charset in parts)
    return " ".join("".join(words).split())
