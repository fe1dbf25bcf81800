"""What a value of a task's data is where no labelling config says how it was shown, as in an exported file."""

from collections.abc import Mapping

from nextlabel.labelstudio.objects import dialogues, lists, tables
from nextlabel.labelstudio.objects.fields import Kind, Reading, TextField

AUTHOR, ROLE = {"author", "text"}, {"role", "content"}
ITEM = {"title", "body", "html"}


def words_of(value: object) -> Reading | None:
    """The words of a dialogue, of items or of a table, as their tags show them; None for anything else."""
    kind = _kind_of(value)
    return kind.read(TextField("$value"), {"value": value}) if kind else None


def _kind_of(value: object) -> Kind | None:
    if isinstance(value, Mapping):
        return tables.KIND
    first = value[0] if isinstance(value, list) and value else None
    if not isinstance(first, Mapping):
        return None
    if first.keys() >= AUTHOR:
        return dialogues.PARAGRAPHS
    if first.keys() >= ROLE:
        return dialogues.CHAT
    return lists.KIND if first.keys() & ITEM else tables.KIND
