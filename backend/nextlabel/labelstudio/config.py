"""Labelling configs: which texts and which labels of a project are classified, or why it cannot be. No I/O."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls import choices
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.labelstudio.texts import texts_of
from nextlabel.learning.control import NO_CONTROL, Control
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.options import NO_OPTIONS, ProjectOptions

MAX_CONFIG = 2**20  # characters of a labelling config
READING = 2  # raised when tasks are read in another way than by the release before


@dataclass(frozen=True)
class LabelConfig:
    """What a project's labelling config says about text classification.

    `texts` are those that are read together, up to eight, in the order of the config unless options say another;
    `left_out` is what the config shows beside them and nothing is learnt from, each with the reason. `labels` are the
    aliases where there are any, for that is what Label Studio stores; `label_map` says as what other labels are learnt,
    `shown_as` what people read in the place of an alias. `chosen`: a person chose the texts. `ignored` labels are none
    of `labels`, in the config or not. `control` says which tasks nothing is learnt from.
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

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `task.data` that are read, as people call them."""
        return tuple(text.field for text in self.texts)

    @property
    def reading(self) -> str:
        """Digest of all that decides how a task is read. While it stands, a local copy of the tasks stands too."""
        known: tuple[object, ...] = (READING, self.from_name, self.texts, self.chosen)
        if self.control != NO_CONTROL:
            known += (self.control,)
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]

    @cached_property
    def question(self) -> SingleChoice:
        """What the project asks: one label for each task."""
        return SingleChoice(self.labels, self.label_map, self.ignored)

    def label_of(self, given: str) -> str | None:
        """The label to learn that an annotation's text stands for; None when there is none, or it is ignored."""
        return self.question.label_of(given)

    def ignores(self, given: str) -> bool:
        """Whether an annotation's text stands for an ignored label."""
        return self.question.answer_of(given) in self.ignored


def parse_label_config(xml: str, options: ProjectOptions = NO_OPTIONS) -> LabelConfig:
    """Read a labelling config.

    Raises `RefusedConfigError`, with what to change, for a config without exactly one single-choice `Choices` over
    one text or several.
    """
    root = _parse_xml(xml)
    element = choices.only_one(root)
    texts = texts_of(root, options.fields)
    control = choices.read(element, texts.names)
    return LabelConfig(
        from_name=control.from_name,
        to_name=control.to_name,
        texts=texts.read,
        labels=_learnt(control.labels, options.ignored_labels),
        label_map=options.label_map,
        shown_as=control.shown_as,
        left_out=texts.left_out,
        chosen=bool(options.fields),
        ignored=options.ignored_labels,
    )


def _learnt(labels: tuple[str, ...], ignored: tuple[str, ...]) -> tuple[str, ...]:
    left = tuple(label for label in labels if label not in ignored)
    if len(left) < 2:
        raise RefusedConfigError(
            f"Of the labels {list(labels)} all but {list(left)} are ignored; at least two are needed to learn from. "
            "Ignore fewer with nextlabel connect --ignore-label."
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
