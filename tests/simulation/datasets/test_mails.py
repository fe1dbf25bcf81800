"""What is read of an e-mail."""

import base64

import pytest

from nextlabel.simulation.datasets.mails import text_of, without_tags


def test_the_subject_and_the_body_are_read_and_no_other_header() -> None:
    mail = b"From me Mon\nX-Spam-Status: Yes\nSUBJECT: Hello\n there\nList-Id: <spam>\n\nDear you,\r\nbye\n"
    assert text_of(mail) == "Hello there\nDear you,\nbye"


@pytest.mark.parametrize(
    ("subject", "read"),
    [
        (b"=?iso-8859-1?Q?caf=E9?= now", "café now"),
        (b"caf\xe9", "café"),
        (b"caf\xc3\xa9", "café"),
        (b"=?nonsense?Q?caf=E9?=", "café"),
        (b"=?utf-8?B?not base64?=", "=?utf-8?B?not base64?="),
    ],
)
def test_a_subject_is_decoded_by_the_character_set_it_names_or_likely_has(subject: bytes, read: str) -> None:
    assert text_of(b"Subject: " + subject + b"\n\n") == read


@pytest.mark.parametrize(
    ("charset", "body", "read"),
    [
        ("iso-8859-1", b"\xa3160", "£160"),
        ("unknown-8bit", b"\xa3160", "£160"),
        ("gb2312", "一天".encode("gb2312"), "一天"),
        ("us-ascii", "é".encode(), "é"),
    ],
)
def test_a_body_is_decoded_by_its_character_set_however_wrong_its_name(charset: str, body: bytes, read: str) -> None:
    head = f'Content-Type: text/plain; charset="{charset}"\nContent-Transfer-Encoding: base64\n\n'
    assert text_of(head.encode() + base64.b64encode(body)) == read


def part(kind: str, body: str, more: str = "") -> str:
    return f"--b\nContent-Type: {kind}\n{more}\n{body}\n"


def mail_of(*parts: str) -> bytes:
    return f'Subject: s\nContent-Type: multipart/mixed; boundary="b"\n\nold programs\n{"".join(parts)}--b--\n'.encode()


def test_of_several_parts_the_plain_ones_are_read_and_no_attachment() -> None:
    attached = 'Content-Disposition: attachment; filename="a.txt"\n'
    several = mail_of(
        part("text/html", "<p>rich"), part("text/plain", "one"), part("text/plain", "two"),
        part("text/plain", "file", attached), part("image/gif", "R0lG"),
    )  # fmt: skip
    assert text_of(several) == "s\none\ntwo"


def test_html_is_read_where_there_is_no_plain_text() -> None:
    page = (
        "<html><head><title>t</title></head><style>p {}</style><p>5 < 6 &amp; <b>free</b><!-- no -->\n\n<br>now</html>"
    )
    assert text_of(mail_of(part("text/plain", " "), part("text/html", page))) == "s\n 5 < 6 & free\nnow"
    assert without_tags("a<br>b") == "a b"
