"""What a person reads of an HTML text. No I/O."""

import re

import lxml.html
from lxml import etree
from lxml.etree import LxmlError

BLOCKS = frozenset(("p", "div", "br", "hr", "li", "tr", "td", "th", "ul", "ol", "dl", "dt", "dd", "table", "pre"))
BLOCKS |= frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header", "footer", "aside", "option"))
BLOCKS |= frozenset(("blockquote", "title", "body", "html"))
UNSEEN = ("script", "style")
TAG = re.compile(r"</?([A-Za-z][^\s/>]*)")


def text_of_html(html: str) -> str:
    """The text to its end, without tags, scripts and styles; blocks apart, inline tags without a gap.

    However long it is, however deep its elements are nested (replies in an e-mail, tags that are never closed), and
    whatever is closed too often. libxml2 by itself drops what is nested in 2048 elements, with all that follows, and
    what follows the end of a body that did not begin: so it is handed a text in which no element holds another.
    """
    parser = lxml.html.HTMLParser(huge_tree=True)  # without it a piece has 10 MB at most, and the rest is dropped
    try:
        root = lxml.html.fromstring(f"<div>{TAG.sub(_flat, html)}</div>", parser=parser)
    except (LxmlError, ValueError):  # nothing but a comment
        return ""
    return " ".join(_with_gaps(root).split())


def _flat(tag: re.Match[str]) -> str:
    """An element that holds no other in the place of one that may: with a gap or without, whatever its attributes."""
    name = tag[1].lower()
    if name in UNSEEN:
        return tag[0]
    return "<br" if name in BLOCKS else "<img"


def _with_gaps(root: lxml.html.HtmlElement) -> str:
    etree.strip_elements(root, *UNSEEN, etree.Comment, with_tail=False)
    for gap in root.iter("br"):
        gap.tail = f" {gap.tail or ''}"
    return str(root.text_content())
