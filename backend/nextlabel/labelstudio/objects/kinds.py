"""The table of object tags: how the words of each are read, or what to do where it holds none."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from nextlabel.labelstudio.objects import dialogues, lists, tables, texts
from nextlabel.labelstudio.objects.fields import Kind, TextField

KINDS: Mapping[str, Kind] = {
    "Text": texts.KIND,
    "HyperText": texts.KIND,
    "Paragraphs": dialogues.PARAGRAPHS,
    "Chat": dialogues.CHAT,
    "Table": tables.KIND,
    "List": lists.KIND,
}
# What may stand for it in words, beside it.
WITHOUT_WORDS: Mapping[str, str] = {
    "Image": "a caption or the words in it",
    "Audio": "a transcript",
    "AudioPlus": "a transcript",
    "Video": "a transcript",
    "TimeSeries": "a description",
    "Pdf": "the words in it",
}
TAGS = (*KINDS, *WITHOUT_WORDS)


def field_of(element: Element) -> TextField:
    """What decides how the value of a tag of `KINDS` is read."""
    given = {name.lower(): value for name, value in element.items()}
    kept = tuple((name, given[name]) for name in KINDS[element.tag].attributes if name in given)
    return TextField(given.get("value", ""), given.get("name", ""), element.tag, kept)
