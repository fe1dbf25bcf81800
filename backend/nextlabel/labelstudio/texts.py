"""Which texts of a labelling config are classified together, and which are left out, each with the reason. No I/O."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote
from xml.etree.ElementTree import Element

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls.conditions import may_hide
from nextlabel.labelstudio.controls.styles import hides
from nextlabel.labelstudio.controls.tag import repeated
from nextlabel.labelstudio.objects.fields import Refusal, TextField, variables
from nextlabel.labelstudio.objects.kinds import KINDS, TAGS, WITHOUT_WORDS, field_of

MOST = 8  # texts of a task that are read together
AROUND = ("Header", "Markdown", "Dialog", "Panel")  # tags that show words and that no control can point to
IN_A_REPEATER = (
    'A <Repeater> shows items of a list, one by one. Show what makes the whole text in a <Text name="words" '
    'value="$words"/> outside of it, and add a control about that; all else can stay.'
)
# ticket_id, doc.id, ID, userId, uuid; but not paid.
IDENTIFIER = re.compile(r"(^|[^A-Za-z])([iI][dD]|[uUgG][uU][iI][dD])$|[a-z](Id|ID|Uuid|UUID|Guid|GUID)$")


@dataclass(frozen=True)
class Texts:
    """What is read, in this order, and in words what is `left_out`. `names` are those of all texts, `beside` those of
    other tags that a control may point to. `around` says which fields around them are not read."""

    read: tuple[TextField, ...]
    left_out: tuple[str, ...]
    names: tuple[str, ...]
    beside: tuple[str, ...]
    around: tuple[str, ...]


def texts_of(root: Element, fields: Sequence[str]) -> Texts:
    """The texts of a config: those that a person named, by field or by tag, or those that annotators read.

    Raises `RefusedConfigError`, with what to change, when there is none, or more than `MOST`.
    """
    inside = repeated(root)
    objects = [element for element in root.iter() if element.tag in TAGS and element not in inside]
    made = [element for element in objects if element.tag in KINDS and variables(element.get("value", ""))]
    shown = [element for element in made if refusal_of(element) is None]
    if not shown:
        why = IN_A_REPEATER if inside and not objects else _instead(objects)
        raise RefusedConfigError(f"The labelling config shows no text of the task's data. {why}")
    read, left_out = _chosen(shown, fields) if fields else _read_by_itself(root, shown)
    others = [element for element in objects if element not in shown]
    around = tuple(_around([element for element in root.iter() if element not in inside], read))
    of_items = (f"{element.get('value')!r} is of items in a <Repeater>" for element in inside if element.tag in KINDS)
    left_out = (*left_out, *_without_words(objects), *dict.fromkeys(sorted(of_items)))
    return Texts(read, left_out, _names(shown), _names(others), around)


def _around(elements: Sequence[Element], read: Sequence[TextField]) -> Iterator[str]:
    known = {path for text in read for path in variables(text.value)}
    for element in elements:
        value = element.get("value", "")
        if element.tag in AROUND and not known.issuperset(variables(value)):
            yield (
                f'<{element.tag} value="{value}"> is not read: show it in a <Text> with a name to have it learnt from.'
            )


def _names(elements: Sequence[Element]) -> tuple[str, ...]:
    return tuple(filter(None, (element.get("name") for element in elements)))


def refusal_of(element: Element) -> Refusal | None:
    """Why an object tag gives no text; None when it gives one."""
    if element.tag in WITHOUT_WORDS:
        words = WITHOUT_WORDS[element.tag]
        return Refusal(
            "is not classified by this backend, which reads texts",
            f'Add {words} as a field of the tasks\' data, and show it too: <Text name="words" value="$words"/>. '
            "Question and labels stay as they are, and are learnt from that",
        )
    return KINDS[element.tag].refusal(field_of(element))


def _instead(objects: Sequence[Element]) -> str:
    refused = next(((element, why) for element in objects if (why := refusal_of(element))), None)
    fixed = next((element for element in objects if element.tag in KINDS), None)
    if refused is not None:
        element, why = refused
        tag = f"<{element.tag}>" if element.tag in WITHOUT_WORDS else f'<{element.tag} name="{element.get("name")}">'
        return f"{tag} {why.why}. {why.remedy}."
    if fixed is not None:
        value = fixed.get("value", "")
        return (
            f'<{fixed.tag} name="{fixed.get("name")}" value="{value}"> shows the same words for every task: to show '
            f'the field of that name, write value="${value or "text"}".'
        )
    return 'One <Text name="text" value="$text"/> or more of them are needed.'


def _without_words(objects: Sequence[Element]) -> Iterator[str]:
    """Tags beside the texts of which nothing is learnt, since they hold none."""
    for element in objects:
        if element.tag in WITHOUT_WORDS:
            yield f"the <{element.tag}> {element.get('name', '')!r} is not read"
        elif variables(element.get("value", "")) and (why := refusal_of(element)):
            yield f"{field_of(element).field!r} {why.why}"


def _chosen(shown: Sequence[Element], fields: Sequence[str]) -> tuple[tuple[TextField, ...], tuple[str, ...]]:
    """The texts that a person named."""
    known = [field_of(text) for text in shown]
    named = [next((text for text in known if name in (text.field, text.value, text.name)), None) for name in fields]
    texts = tuple(text for text in named if text is not None)
    if len(texts) < len(named) or not 1 <= len(texts) <= MOST or len(set(texts)) < len(texts):
        raise RefusedConfigError(
            f"The fields {', '.join(fields)} cannot be the text: one field or up to {MOST} different ones are needed, "
            f"of {', '.join(text.field for text in known)}. Choose with `nextlabel connect --project ID "
            "--fields A,B`."
        )
    others = dict.fromkeys(text.field for text in known if text.value not in {chosen.value for chosen in texts})
    return texts, tuple(f"{name!r} was not chosen" for name in others)


def _read_by_itself(root: Element, shown: Sequence[Element]) -> tuple[tuple[TextField, ...], tuple[str, ...]]:
    """The texts that a person reads and a class may depend on: neither hidden, nor a repetition, nor an identifier."""
    hidden = _hidden(root)
    always = {element.get("value", "") for element in shown if element not in hidden}
    texts: list[TextField] = []
    left_out: list[str] = []
    for element in shown:
        text = field_of(element)
        if element in hidden and always:
            if text.value not in always:
                left_out.append(f"{text.field!r} is not always shown")
        elif any(text.value == other.value for other in texts):
            left_out.append(f"{text.field!r} is shown twice")
        elif IDENTIFIER.search(text.field) and len(shown) > 1:
            left_out.append(f"{text.field!r} is an identifier by its name")
        else:
            texts.append(text)
    if not texts:  # nothing but identifiers
        return (field_of(shown[0]),), ()
    if len(texts) > MOST:
        raise RefusedConfigError(
            f"The labelling config shows {len(texts)} texts ({', '.join(text.field for text in texts)}); up to {MOST} "
            "of them are read together. Choose with `nextlabel connect --project ID --fields "
            f"{quote(','.join(text.field for text in texts[:MOST]))}`, or others of them."
        )
    return tuple(texts), tuple(left_out)


def _hidden(root: Element) -> set[Element]:
    """Texts inside of what is shown only sometimes, or never; a list is shown with a Ranker alone."""
    found: set[Element] = set()
    for view in root.iter():
        if may_hide(view) or hides(view.get("style", "")):
            found |= {element for element in view.iter() if element.tag in KINDS}
    ranked = {name.strip() for ranker in root.iter("Ranker") for name in ranker.get("toName", "").split(",")}
    return found | {element for element in root.iter("List") if element.get("name") not in ranked}
