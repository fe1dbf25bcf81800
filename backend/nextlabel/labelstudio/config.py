"""Labelling configs: which texts and which labels of a project are classified, or why it cannot be. No I/O."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls import reading
from nextlabel.labelstudio.controls.results import CHOICES
from nextlabel.labelstudio.controls.tag import ControlTag
from nextlabel.learning.control import NO_CONTROL, Control
from nextlabel.problems.form import Form, Part
from nextlabel.problems.question import Question
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.layout import ANY_OF, MEAN, ONE_OF
from nextlabel.values.options import NO_OPTIONS, OF_0_1_0, ProjectOptions

TEXT_TAGS = ("Text", "HyperText")
MAX_CONFIG = 2**20  # characters of a labelling config
OTHER_OBJECTS = ("Paragraphs", "Chat", "Image", "Audio", "Video", "TimeSeries", "Table", "List", "Pdf")
VARIABLE = re.compile(r"\$[\w\[\].{}]+", re.ASCII)  # as Label Studio's editor finds them in a tag's value
PLAIN = re.compile(r"\$[^\s$]+")  # a value that is one variable and nothing else, in any script
READING = 2  # raised when tasks are read in another way than by the release before


@dataclass(frozen=True)
class TextField:
    """A text that the config shows. `value` as it stands there: `$body`, `$review.body`, `$texts[0]`, `From: $name`.

    `name` of the tag; `encoding`: none, base64 or base64unicode.
    """

    value: str
    name: str = ""
    html: bool = False
    encoding: str = "none"

    @property
    def field(self) -> str:
        """What people call it: the variable without its dollar sign, or the value with its words."""
        return self.value[1:] if PLAIN.fullmatch(self.value) else self.value


@dataclass(frozen=True)
class LabelConfig:
    """What a project's labelling config says about text classification.

    `texts` are the text or the pair, in the order of the config unless options say another. `left_out` are texts that
    the config shows and nothing is learnt from, each with the reason. `labels` are the aliases where there are any,
    for that is what Label Studio stores; `label_map` says as what other labels are learnt, `shown_as` what people read
    in the place of an alias. `chosen`: a person chose the texts. `ignored` labels are none of `labels`, in the config
    or not. `control` says which tasks nothing is learnt from.

    Where the config asks anything but one <Choices> with one answer, `controls` are what it asks and `labels` the names
    of their numbers; `from_name` and `to_name` are those of the first. `unlearned` says of each other control why not.
    `since`: when a question was added to the form, by name.
    """

    from_name: str
    to_name: str
    texts: tuple[TextField, ...]
    labels: tuple[str, ...]
    label_map: Mapping[str, str] = field(default_factory=dict)
    shown_as: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    chosen: bool = False
    ignored: tuple[str, ...] = ()
    control: Control = NO_CONTROL
    controls: tuple[ControlTag, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    combine: str = MEAN
    since: Mapping[str, str] = field(default_factory=dict)
    unlearned: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `task.data` that are read, as people call them."""
        return tuple(text.field for text in self.texts)

    @property
    def reading(self) -> str:
        """Digest of all that decides how a task is read. While it stands, a local copy of the tasks stands too."""
        known: tuple[object, ...] = (READING, self.from_name, self.texts, self.chosen)
        if self.controls:
            known += tuple((control.name, control.kind, control.key, control.conditions) for control in self.controls)
            known += (sorted(self.since.items()),)
        if self.control != NO_CONTROL:
            known += (self.control,)
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]

    @cached_property
    def question(self) -> Question:
        """What the project asks of each task."""
        if _is_form(self.asked):
            return form_of(self.controls, self.label_map, self.ignored, self.weights, self.combine)
        return SingleChoice(self.labels, self.label_map, self.ignored)

    @cached_property
    def spellings(self) -> Mapping[str, SingleChoice]:
        """Which spellings the labels of each question have, by its name."""
        if isinstance(self.question, Form):
            return {part.name: part.spellings for part in self.question.parts}
        return {self.asked[0].name: SingleChoice(self.labels, self.label_map, self.ignored)}

    def of_question(self, control: ControlTag) -> "LabelConfig":
        """As if nothing else were asked, and exactly one label were given."""
        return replace(
            self,
            from_name=control.name,
            to_name=control.to_name,
            labels=self.spellings[control.name].labels,
            shown_as=control.shown_as,
            ignored=self.spellings[control.name].ignored,
            controls=(),
        )

    @cached_property
    def asked(self) -> tuple[ControlTag, ...]:
        """The controls by which the questions are asked."""
        return self.controls or (ControlTag(self.from_name, self.to_name, ONE_OF, self.labels, shown_as=self.shown_as),)

    def label_of(self, given: str, question: str = "") -> str | None:
        """The label to learn that an annotation's text stands for; None when there is none, or it is ignored.
        `question` says of which one, where there are several."""
        return self.spellings[question or self.from_name].label_of(given)

    def ignores(self, given: str) -> bool:
        """Whether an annotation's text stands for an ignored label, where there is one question."""
        return self.spellings[self.from_name].answer_of(given) in self.ignored


def parse_label_config(xml: str, options: ProjectOptions = NO_OPTIONS) -> LabelConfig:
    """Read a labelling config.

    Raises `RefusedConfigError`, with what to change, for a config that shows no text of the task's data or asks nothing
    about it that can be learnt.
    """
    root = _parse_xml(xml)
    shown = _texts(root)
    texts, left_out = _chosen(shown, options.fields) if options.fields else _read_by_itself(root, shown)
    found, others = reading.read(root, [text.get("name", "") for text in shown])
    controls = _in_use(found, options)
    first, ignored = controls[0], options.ignored_labels
    rules = (options.label_map, ignored, options.question_weights, options.combine_questions)
    return LabelConfig(
        from_name=first.name,
        to_name=first.to_name,
        texts=texts,
        labels=form_of(controls, *rules).labels if _is_form(controls) else _learnt(first.labels, ignored),
        label_map=options.label_map,
        shown_as=first.shown_as,
        left_out=left_out,
        chosen=bool(options.fields),
        ignored=ignored,
        controls=() if len(controls) == 1 and _is_plain(first) else controls,
        weights=options.question_weights,
        combine=options.combine_questions,
        since=options.asked_since,
        unlearned=others,
    )


def _in_use(controls: tuple[ControlTag, ...], options: ProjectOptions) -> tuple[ControlTag, ...]:
    """A project that was connected when one plain choice was all that was served goes on with it alone."""
    plain = tuple(filter(_is_plain, controls))
    return plain if options.defaults == OF_0_1_0 and len(plain) == 1 else controls


def _is_plain(control: ControlTag) -> bool:
    return control.kind == ONE_OF and control.item_type == CHOICES and not control.stored


def _is_form(controls: Sequence[ControlTag]) -> bool:
    """Whether there is more to answer than one label of one question."""
    return len(controls) > 1 or controls[0].kind != ONE_OF


def added_questions(before: str, after: str, options: ProjectOptions) -> list[str]:
    """Questions of which any labels may be given that a form has and had not before."""
    try:
        known = {control.name for control in parse_label_config(before, options).asked}
    except RefusedConfigError:
        known = set()
    asked = parse_label_config(after, options).asked
    return [control.name for control in asked if control.kind == ANY_OF and control.name not in known]


def form_of(
    controls: Sequence[ControlTag],
    label_map: Mapping[str, str],
    ignored: tuple[str, ...],
    weights: Mapping[str, float],
    combine: str,
) -> Form:
    """The questions of several controls, or of one with another kind of answer. Raises `RefusedConfigError`."""
    parts = []
    for control in controls:
        labels = _learnt(control.labels, ignored, least=1 if control.kind == ANY_OF else 2)
        spellings = SingleChoice(labels, label_map, ignored)
        parts.append(Part(control.name, control.kind, spellings, weights.get(control.name, 1.0)))
    return Form(tuple(parts), combine)


def _learnt(labels: tuple[str, ...], ignored: tuple[str, ...], least: int = 2) -> tuple[str, ...]:
    left = tuple(label for label in labels if label not in ignored)
    if len(left) < least:
        raise RefusedConfigError(
            f"Of the labels {list(labels)} all but {list(left)} are ignored; at least {'two' if least == 2 else 'one'} "
            f"{'are' if least == 2 else 'is'} needed to learn from. Ignore fewer with nextlabel connect --ignore-label."
        )
    return left


def _parse_xml(xml: str) -> Element:
    if len(xml) > MAX_CONFIG:
        raise RefusedConfigError(f"The labelling config has {len(xml)} characters, {MAX_CONFIG} at most. Shorten it.")
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, UnicodeEncodeError) as error:
        raise RefusedConfigError(f"The labelling config is not well-formed XML ({error}). Correct it.") from None
    except DefusedXmlException:
        raise RefusedConfigError("The labelling config has a DTD or entities of its own. Remove them.") from None
    return root


def _texts(root: Element) -> list[Element]:
    """Every text that is made of the task's data."""
    texts = [e for e in root.iter() if e.tag in TEXT_TAGS and variables(e.get("value", ""))]
    if not texts:
        raise RefusedConfigError(f"The labelling config shows no text of the task's data. {_instead(root)}")
    for text in texts:
        if text.get("valueType", "text").lower() == "url":
            raise RefusedConfigError(
                f'<{text.tag} name="{text.get("name")}" valueType="url"> holds addresses, not texts. Import the texts '
                'themselves and set valueType="text".'
            )
        if text.get("encoding", "none") not in ("none", "base64", "base64unicode"):
            raise RefusedConfigError(
                f'<{text.tag} name="{text.get("name")}" encoding="{text.get("encoding")}">: Label Studio knows the '
                "encodings none, base64 and base64unicode. Set one of them."
            )
    return texts


def variables(value: str) -> list[str]:
    """The paths into `task.data` that a tag's value names."""
    return [value[1:]] if PLAIN.fullmatch(value) else [found[1:] for found in VARIABLE.findall(value)]


def _instead(root: Element) -> str:
    fixed = next((e for e in root.iter() if e.tag in TEXT_TAGS), None)
    if fixed is not None:
        value = fixed.get("value", "")
        return (
            f'<{fixed.tag} name="{fixed.get("name")}" value="{value}"> shows the same words for every task: to show '
            f'the field of that name, write value="${value or "text"}".'
        )
    other = next((e for e in root.iter() if e.tag in OTHER_OBJECTS), None)
    if other is not None:
        return f"<{other.tag}> is not classified by this backend; one <Text> or <HyperText>, or a pair, is needed."
    return 'One <Text name="text" value="$text"/> or a pair of them is needed.'


def _field_of(text: Element) -> TextField:
    is_html = text.tag == "HyperText"
    return TextField(text.get("value", ""), text.get("name", ""), is_html, text.get("encoding", "none"))


def _chosen(shown: Sequence[Element], fields: Sequence[str]) -> tuple[tuple[TextField, ...], tuple[str, ...]]:
    """The texts that a person named, by field or by tag."""
    known = [_field_of(text) for text in shown]
    named = [next((text for text in known if name in (text.field, text.value, text.name)), None) for name in fields]
    texts = tuple(text for text in named if text is not None)
    if len(texts) < len(named) or not 1 <= len(texts) <= 2 or len(set(texts)) < len(texts):
        raise RefusedConfigError(
            f"The fields {', '.join(fields)} cannot be the text: one field or two different ones are needed, of "
            f"{', '.join(text.field for text in known)}. Choose with nextlabel connect --fields."
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
        text = _field_of(element)
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
        return (_field_of(shown[0]),), ()
    if len(texts) > 2:
        raise RefusedConfigError(
            f"The labelling config shows {len(texts)} texts ({', '.join(text.field for text in texts)}); one or a "
            f"pair of them is classified. Choose with nextlabel connect --fields {texts[0].field},"
            f"{texts[1].field}, or show fewer."
        )
    return tuple(texts), tuple(left_out)


# ticket_id, doc.id, ID, userId, uuid; but not paid.
IDENTIFIER = re.compile(r"(^|[^A-Za-z])([iI][dD]|[uUgG][uU][iI][dD])$|[a-z](Id|ID|Uuid|UUID|Guid|GUID)$")


def _hidden(root: Element) -> set[Element]:
    """Texts inside of what is shown only sometimes, or never."""
    found: set[Element] = set()
    for view in root.iter():
        style = view.get("style", "").replace(" ", "").lower()
        if view.get("visibleWhen") or "display:none" in style or "visibility:hidden" in style:
            found |= {element for element in view.iter() if element.tag in TEXT_TAGS}
    return found


def pair_config(ask: str, fields: tuple[str, str], labels: Sequence[str]) -> str:
    """A labelling config that asks for one of the labels of a pair of texts."""
    texts = "\n".join(f'  <Text name="{name}" value="${name}"/>' for name in fields)
    tags = "\n".join(f'    <Choice value="{label}" hotkey="{i}"/>' for i, label in enumerate(labels, start=1))
    # toName names one text: with two, Label Studio's editor would lose the labels.
    return f"""<View>
  <Header value={quoteattr(ask)}/>
{texts}
  <Choices name="label" toName="{fields[0]}" choice="single-radio" showInline="true">
{tags}
  </Choices>
</View>"""
