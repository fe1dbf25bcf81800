"""What a <Style> hides: rules of one class or id each are taken for the style of the <View> that has it."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
OF_ONE = re.compile(r"[.#][\w-]+")
SAYS = ("display:", "visibility:")  # whether something is shown


def hides(style: str) -> bool:
    """Whether something of this style is kept from people's sight, with all that is in it."""
    style = "".join(style.split()).lower()
    return "display:none" in style or "visibility:hidden" in style


def inline(root: Element) -> None:
    """Put what hides a <View> into its own `style`."""
    hidden: dict[str, str] = {}
    for selector, style in _rules(root):
        if OF_ONE.fullmatch(selector):
            hidden[selector] = style  # the last one counts
    for view in root.iter("View"):
        own = [f".{name}" for name in view.get("classname", "").split()] + [f"#{view.get('idattr', '')}"]
        if style := next((hidden[name] for name in own if hides(hidden.get(name, ""))), ""):
            view.set("style", f"{style};{view.get('style', '')}")


def untold(root: Element) -> Iterator[str]:
    """The selectors of other rules that hide something: what that is cannot be told from a labelling config."""
    for selector, style in _rules(root):
        if hides(style) and not OF_ONE.fullmatch(selector):
            yield selector


def _rules(root: Element) -> Iterator[tuple[str, str]]:
    """Each selector, with a style that says whether something is shown. Of rules within a rule, as of a medium, it
    is no selector alone."""
    for element in root.iter("Style"):
        words = COMMENT.sub("", element.text or "")
        within = "@" in words
        for selectors, style in RULE.findall(words):
            if any(what in "".join(style.split()).lower() for what in SAYS):
                for selector in selectors.split(","):
                    yield f"@ {selector.strip()}" if within else selector.strip(), style
