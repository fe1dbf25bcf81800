"""What Label Studio's editor takes otherwise than whoever wrote a labelling config can have meant, in sentences."""

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from nextlabel.labelstudio.controls.choices import listed_twice
from nextlabel.labelstudio.controls.conditions import ASKING, CHOSEN, HIDING, KINDS, NOT_CHOSEN
from nextlabel.labelstudio.controls.tag import repeated


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


def _of_condition(element: Element, named: Mapping[str, Element]) -> Iterator[str]:
    when, name = element.get("visibleWhen", ""), element.get("whenTagName", "")
    written = f'<{element.tag} visibleWhen="{when}"'
    if when not in KINDS:
        yield f"{written}> is always shown, as Label Studio knows {', '.join(KINDS)} alone."
    if when not in (CHOSEN, NOT_CHOSEN) or not name:
        return
    of = named.get(name)
    if of is not None and of.tag in ASKING:
        yield from (f"{written} {words}" for words in _of_values(element, of))
    elif when == CHOSEN:
        yield (
            f'{written} whenTagName="{name}"> is never shown: something may follow a <Choices> or a <Taxonomy>, and '
            f"{name} is none."
        )


def _of_values(element: Element, of: Element) -> Iterator[str]:
    if of.get("value") or of.get("apiUrl"):
        return
    known = {choice.get(key) for choice in of.iter("Choice") for key in ("alias", "value")}
    for value in filter(None, element.get("whenChoiceValue", "").split(",")):
        if value not in known:
            name = of.get("name", "")
            yield (
                f'whenTagName="{name}" whenChoiceValue="{value}"> waits for what nobody can choose: {name} has no '
                f"label {value!r}, to the letter."
            )


def _of_choices(element: Element) -> Iterator[str]:
    name = f'<Choices name="{element.get("name", "")}">'
    if element.get("choice") != "multiple":
        for label in listed_twice(element):
            yield f"{name} lists {label!r} twice: no guess shows it, as it would tick two boxes, which Submit refuses."
    if any(choice.get("selected", "false").lower() == "true" for choice in element.iter("Choice")):
        yield (
            f'{name} has a <Choice selected="true">, which Label Studio ticks only where it shows no guess: with '
            "--show-predictions nobody finds it ticked, and of a hidden control it is no longer stored."
        )
