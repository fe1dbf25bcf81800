"""What Label Studio's editor takes otherwise than whoever wrote a labelling config can have meant, in sentences."""

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from nextlabel.labelstudio.controls.choices import listed_twice
from nextlabel.labelstudio.controls.conditions import ASKING, CHOSEN, HIDING, KINDS, NOT_CHOSEN
from nextlabel.labelstudio.controls.styles import untold
from nextlabel.labelstudio.controls.tag import repeated

DEFAULT = (
    '<Number name="{}" defaultValue="{}">: Label Studio\'s editor stores that as the answer of whoever does not touch '
    "it. Take it out to have answers of people alone."
)
UNTOLD = (
    "<Style> hides {!r}: whether a question is among that cannot be told here, and each is taken for shown. To hide "
    'one, set style="display:none" on the <View> around it.'
)


def odd(root: Element) -> Iterator[str]:
    """A sentence on each thing of that kind."""
    inside = repeated(root)
    elements = [element for element in root.iter() if element not in inside]
    named = {element.get("name", ""): element for element in elements if element.get("toName")}
    for element in elements:
        if element.tag in HIDING and element.get("visibleWhen"):
            yield from _of_condition(element, named)
        if element.tag == "Choices":
            yield from _of_choices(element)
        if element.tag == "Number" and element.get("defaultvalue"):
            yield DEFAULT.format(element.get("name", ""), element.get("defaultvalue"))
    yield from map(UNTOLD.format, untold(root))


def _of_condition(element: Element, named: Mapping[str, Element]) -> Iterator[str]:
    when, name = element.get("visibleWhen", ""), element.get("whenTagName", "")
    written = f'<{element.tag} visibleWhen="{when}"'
    if when not in KINDS:
        yield f"{written}> is always shown, as Label Studio knows {', '.join(KINDS)} alone."
    if when not in (CHOSEN, NOT_CHOSEN):
        return
    if not name:
        yield f"{written}> has no whenTagName: it goes by whatever is chosen in any <Choices>."
        return
    of = named.get(name)
    if of is not None and of.tag in ASKING:
        yield from (f"{written} {words}" for words in _of_values(element, of))
    elif when == CHOSEN or element.get("whenChoiceValue") is None:
        shown = "never" if when == CHOSEN else "always"
        instead = " Let it follow one, or take the condition out." if when == CHOSEN else ""
        yield (
            f'{written} whenTagName="{name}"> is {shown} shown: something may follow a <Choices> or a <Taxonomy>, and '
            f"{name} is none.{instead}"
        )


def _of_values(element: Element, of: Element) -> Iterator[str]:
    if of.get("value") or of.get("apiUrl"):
        return
    known = {choice.get(key) for choice in of.iter("Choice") for key in ("alias", "value")}
    for value in filter(None, element.get("whenChoiceValue", "").split(",")):
        if value not in known:
            name, does = of.get("name", ""), "waits for" if element.get("visibleWhen") == CHOSEN else "is hidden by"
            yield (
                f'whenTagName="{name}" whenChoiceValue="{value}"> {does} what nobody can choose: {name} has no label '
                f"{value!r}, to the letter."
            )


def _of_choices(element: Element) -> Iterator[str]:
    name = f'<Choices name="{element.get("name", "")}">'
    if element.get("choice") != "multiple":
        for label in listed_twice(element):
            yield f"{name} lists {label!r} twice: no guess shows it, as it would tick two boxes, which Submit refuses."
    for choice in element.iter("Choice"):
        words = "" if len(choice) or choice.get("alias") else (choice.text or "").strip()
        if words and choice.get("value") not in (None, words):
            value = choice.get("value")
            yield (
                f'{name} has <Choice value="{value}">{words}</Choice>: Label Studio\'s editor stores {words!r}, which '
                f"is no label here, and shows no guess of {value!r}. Take out what stands inside, or set an alias."
            )
    if any(choice.get("selected", "false").lower() == "true" for choice in element.iter("Choice")):
        yield (
            f'{name} has a <Choice selected="true">, which Label Studio ticks only where it shows no guess: with '
            "--show-predictions nobody finds it ticked, and of a hidden control it is no longer stored."
        )
