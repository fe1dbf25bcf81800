"""Labelling configs: which texts and which labels of a project are classified, or why it cannot be. No I/O."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from xml.etree.ElementTree import Element, ParseError, tostring
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.controls import reading, styles
from nextlabel.labelstudio.controls.conditions import is_never_shown, names_asking
from nextlabel.labelstudio.controls.oddities import odd
from nextlabel.labelstudio.controls.results import CHOICES
from nextlabel.labelstudio.controls.tag import ControlTag, Shown
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.labelstudio.texts import texts_of
from nextlabel.learning.control import NO_CONTROL, NO_HOLD_OUT, Control, HoldOut
from nextlabel.problems.form import Form, Part, is_there
from nextlabel.problems.question import Question
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.counting import EVERYTHING, Counting
from nextlabel.values.layout import ANY_OF, MAXIMUM, MEAN, ONE_OF, Answers, Layout
from nextlabel.values.options import NO_OPTIONS, OF_0_1_0, LabelChanges, ProjectOptions

# Those that have capitals here, by their names in small letters.
ATTRIBUTES = {name.lower(): name for name in (
    "toName", "perRegion", "perItem", "allowNested", "leafsOnly", "maxUsages", "maxRating", "apiUrl",
    "visibleWhen", "whenTagName", "whenChoiceValue",
)}  # fmt: skip
WORDS_INSIDE = ("Text", "Header", "Markdown")  # in the place of their values
INDEX = re.compile(r"\{\{.*?\}\}")  # in the names of what is in a <Repeater>
DEEPEST = 100  # tags in tags of a labelling config
MAX_CONFIG = 2**20  # characters of a labelling config
MOST_LABELS = 500  # of several questions: what is kept of a text must not fill more than a page of memory
TOO_MANY = (
    "The question {} has {} labels, and those of a form have {} at most together: it is not learnt. To have it learnt, "
    "ignore some with `nextlabel connect --project ID --ignore-label LABEL`; it can stay as it is."
)
UNCLEAR = (
    "Who sees the question {} cannot be told from answers: no guess of it is shown{}. To change that, let it follow a "
    "<Choices> that is learnt, or take the condition out."
)
NONE_UNCLEAR = ", and nothing ticked says nothing"
FROM_THE_BEGINNING = ""  # as a time, before all others
NO_CHANGES: LabelChanges = {}
READING = 2  # raised when tasks are read in another way than by the release before
OF_FORMS = 4  # the same, where anything but one plain choice is asked


@dataclass(frozen=True)
class LabelConfig:
    """What a project's labelling config says about text classification.

    `texts` are those that are read together, up to eight, in the order of the config unless options say another;
    `left_out` is what the config shows beside them and nothing is learnt from, each with the reason. `labels` are the
    aliases where there are any, for that is what Label Studio stores; `label_map` says as what other labels are learnt,
    `shown_as` what people read in the place of an alias. `chosen`: a person chose the texts. `ignored` labels are none
    of `labels`, in the config or not. `control` says which tasks nothing is learnt from, `hold_out` which labels only
    judge versions, and `counting` whose labels count, and how much.

    Where the config asks anything but one plain <Choices> with one answer, `controls` are what it asks and `labels` the
    names of their numbers; `from_name` and `to_name` are those of the first. `unlearned` says of each other control why
    not, and which fields around the texts are not read, `too_many` of those that have too many labels; `odd` what Label
    Studio's editor takes otherwise than it looks; `named` are all that the config has, `{{idx}}` and the like in the
    names of what is in a <Repeater> for the place of an item. `since`: when a question was added to the form, or shown
    by other conditions, by name. `changes`: when labels came and went, by question and label.
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
    hold_out: HoldOut = NO_HOLD_OUT
    counting: Counting = EVERYTHING
    controls: tuple[ControlTag, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    combine: str = MEAN
    combine_labels: str = MAXIMUM
    since: Mapping[str, str] = field(default_factory=dict)
    changes: LabelChanges = field(default_factory=dict)
    unlearned: tuple[str, ...] = field(default=(), compare=False)
    too_many: tuple[str, ...] = field(default=(), compare=False)
    odd: tuple[str, ...] = field(default=(), compare=False)
    named: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `task.data` that are read, as people call them."""
        return tuple(text.field for text in self.texts)

    @property
    def reading(self) -> str:
        """Digest of all that decides how a task is read. While it stands, a local copy of the tasks stands too."""
        known: tuple[object, ...] = (READING, self.from_name, self.texts, self.chosen)
        if self.controls:
            known += tuple(
                (control.name, control.kind, control.key, control.conditions, control.required, control.leaves)
                for control in self.controls
            )
            known += (OF_FORMS, sorted(self.since.items()), self._deciding)
            known += tuple((control.name, control.unlike) for control in self.controls if control.unlike)
        if self.control != NO_CONTROL:
            known += (self.control,)
        if self.hold_out != NO_HOLD_OUT:
            known += (self.hold_out,)
        return _digest(known)

    @property
    def read_texts(self) -> str:
        """Digest of which texts are read. While it stands, so do the draws of the control set."""
        return _digest((self.texts, self.chosen))

    @cached_property
    def question(self) -> Question:
        """What the project asks of each task."""
        if _is_form(self.asked):
            ways = self.combine, self.combine_labels
            return form_of(self.controls, self.label_map, self.ignored, self.weights, ways, self.changes)
        return SingleChoice(self.labels, self.label_map, self.ignored)

    @cached_property
    def spellings(self) -> Mapping[str, SingleChoice]:
        """Which spellings the labels of each question have, by its name."""
        if isinstance(self.question, Form):
            return {part.name: part.spellings for part in self.question.parts}
        return {self.asked[0].name: SingleChoice(self.labels, self.label_map, self.ignored)}

    @property
    def _deciding(self) -> list[tuple[str, str, str]]:
        """The spellings of labels by which questions are shown, each with its question and label."""
        conditions = filter(None, (condition for control in self.controls for condition in control.conditions))
        named = {(condition.name, label) for condition in conditions for label in condition.labels}
        return sorted(
            (name, spelling, label)
            for name in {name for name, _ in named}
            for spelling, label in self.spellings[name].known.items()
            if (name, spelling) in named or (name, label) in named
        )

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
        return self.controls or (_plain(self.from_name, self.to_name, self.labels, self.shown_as),)

    def limited(self, layout: Layout) -> Layout:
        """A version's questions, with as many labels to each as the form takes now."""
        most = {control.name: control.most for control in self.asked}
        cuts = tuple(replace(cut, most=most.get(cut.name, cut.most)) for cut in layout.cuts)
        return layout if cuts == layout.cuts else replace(layout, cuts=cuts)

    def hidden(self, answers: Answers, unclear: Collection[str] = ()) -> set[str]:
        """Of the questions answered those that a person with these answers is not asked."""
        seen = self.seen(answers, unclear)
        return {name for name in answers if seen.get(name) is False}

    def seen(self, answers: Answers, unclear: Collection[str] = ()) -> dict[str, bool | None]:
        """Of each question whether a person who gives these answers is asked it. An answer to one that is not shown
        shows nothing either. None where it cannot be told, as of what depends on a question of which it is `unclear`
        how it is answered. Labels are those of the config."""
        found = dict[str, bool | None]()  # what depends on itself is not there yet when that is asked

        def holds(condition: Shown | None) -> bool | None:
            if condition is None:
                return None
            hidden = found.get(condition.name) is False
            if condition.name in unclear and not hidden:
                return None
            given = () if hidden else answers.get(condition.name, ())
            chosen = bool(set(given) & set(condition.labels)) if condition.labels else bool(given)
            return chosen != condition.unless

        for control in self.leading_first:
            each = [holds(condition) for condition in control.conditions]
            found[control.name] = False if False in each else None if None in each else True
        return {control.name: found[control.name] for control in self.asked}

    @cached_property
    def leading_first(self) -> list[ControlTag]:
        """The controls asked, each after those by whose answers it is shown. Without recursion: a chain may be long."""
        of = {control.name: control for control in self.asked}
        found, begun, waiting = dict[str, ControlTag](), set[str](), list(reversed(of))
        while waiting:
            name = waiting[-1]
            if name in begun:
                found.setdefault(waiting.pop(), of[name])
                continue
            begun.add(name)
            leading = [condition.name for condition in of[name].conditions if condition]
            waiting += [other for other in reversed(leading) if other not in begun]
        return list(found.values())

    def strange(self, names: Iterable[object]) -> set[str]:
        """Those that nothing in the config has."""
        return {str(name) for name in names if not self._any_name.fullmatch(str(name))}

    @cached_property
    def _any_name(self) -> re.Pattern[str]:
        parts = ([re.escape(part) for part in INDEX.split(name)] for name in self.named)
        return re.compile("|".join(r"\d+".join(of_name) for of_name in parts))

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
    texts = texts_of(root, options.fields)
    found, others = reading.read(root, texts.names, texts.beside)
    controls, too_many = _in_use(found, options)
    first, ignored = controls[0], options.ignored_labels
    ways = options.combine_questions, options.combine_labels
    rules = (options.label_map, ignored, options.question_weights, ways)
    return LabelConfig(
        from_name=first.name,
        to_name=first.to_name,
        texts=texts.read,
        labels=form_of(controls, *rules).labels if _is_form(controls) else _learnt(first.labels, ignored),
        label_map=options.label_map,
        shown_as=first.shown_as,
        left_out=texts.left_out,
        chosen=bool(options.fields),
        ignored=ignored,
        controls=()
        if len(controls) == 1 and first == _plain(first.name, first.to_name, first.labels, first.shown_as)
        else controls,
        weights=options.question_weights,
        combine=options.combine_questions,
        combine_labels=options.combine_labels,
        since=options.asked_since,
        changes=options.label_changes,
        unlearned=(*others, *too_many, *texts.around),
        too_many=too_many,
        odd=(*odd(root), *_unclear(root, controls)),
        named=tuple(filter(None, (element.get("name") for element in root.iter()))),
        hold_out=_hold_out_of(options),
        counting=options.counting,
    )


def _unclear(root: Element, controls: Iterable[ControlTag]) -> Iterator[str]:
    """Of what is never shown `odd` says so."""
    asking = names_asking(root)
    for control in controls:
        if not (control.guessable or is_never_shown(control, asking)):
            yield UNCLEAR.format(control.name, NONE_UNCLEAR if control.kind == ANY_OF else "")


def _digest(known: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


def _hold_out_of(options: ProjectOptions) -> HoldOut:
    of = options.hold_out
    return HoldOut(options.control_seed, of, options.counting.since) if of else NO_HOLD_OUT


def _in_use(
    controls: tuple[ControlTag, ...], options: ProjectOptions
) -> tuple[tuple[ControlTag, ...], tuple[str, ...]]:
    """What is learnt, and a sentence on each control with too many labels for that. A project that was connected when
    one plain choice was all that was served goes on with it alone. Whether what is left is shown by answers to others
    cannot be told then."""
    plain = tuple(filter(_is_plain, controls))
    if options.defaults == OF_0_1_0 and len(plain) == 1:
        return _left_of(plain), ()
    count = {control.name: len({*control.labels} - {*options.ignored_labels}) for control in controls}
    left = list(controls)
    while len(left) > 1 and sum(count[control.name] for control in left) > MOST_LABELS:
        left.remove(max(reversed(left), key=lambda control: count[control.name]))
    too_many = [control.name for control in controls if control not in left]
    return _left_of(left), tuple(TOO_MANY.format(name, count[name], MOST_LABELS) for name in too_many)


def _left_of(controls: Sequence[ControlTag]) -> tuple[ControlTag, ...]:
    names = {control.name for control in controls}
    return tuple(
        replace(
            control,
            conditions=tuple(when if when and when.name in names else None for when in control.conditions),
        )
        for control in controls
    )


def _plain(name: str, to_name: str, labels: tuple[str, ...], shown_as: Mapping[str, str]) -> ControlTag:
    """A <Choices> of which one label may be given, and nothing else is to be known."""
    return ControlTag(name, to_name, ONE_OF, labels, shown_as=shown_as)


def _is_plain(control: ControlTag) -> bool:
    return control.kind == ONE_OF and control.item_type == CHOICES and not control.stored


def _is_form(controls: Sequence[ControlTag]) -> bool:
    """Whether there is more to answer than one label of one question."""
    return len(controls) > 1 or controls[0].kind != ONE_OF


def _all_asked(xml: str, options: ProjectOptions) -> tuple[ControlTag, ...]:
    """All that people can answer, with what has too many labels to be learnt now: it may have fewer again."""
    root = _parse_xml(xml)
    texts = texts_of(root, options.fields)
    return reading.read(root, texts.names, texts.beside)[0]


def added_questions(before: str, after: str, options: ProjectOptions) -> list[str]:
    """Questions of which any labels may be given that a form has and had not before, or that it shows by other
    conditions since, their own or those of what they follow: who saw them before cannot be told any more."""
    renamed = options.label_map
    try:  # the fields that were chosen since may be none of it
        known = {control.name: control.when(renamed) for control in _all_asked(before, replace(options, fields=()))}
    except RefusedConfigError:
        return []
    config, otherwise = replace(parse_label_config(after, options), controls=_all_asked(after, options)), set[str]()
    for control in config.leading_first:
        leading = {condition.name for condition in control.conditions if condition}
        if known.get(control.name) != control.when(renamed) or leading & otherwise:
            otherwise.add(control.name)
    return [control.name for control in config.asked if control.kind == ANY_OF and control.name in otherwise]


def changed_labels(before: str, after: str, options: ProjectOptions, when: str) -> LabelChanges:
    """The options' changes of labels, with those at an ISO time from one form to another, of questions of which any
    labels may be given. While one of them alone may be given there is none: whoever chose it was not asked about the
    others. What is noted already is not noted twice."""
    try:
        known = {control.name: control for control in _all_asked(before, replace(options, fields=()))}
    except RefusedConfigError:
        return options.label_changes
    changes = {name: {**of} for name, of in options.label_changes.items()}
    for control in _all_asked(after, options):
        if (past := known.get(control.name)) is not None:
            labels, now = (of.labels if of.kind == ANY_OF else () for of in (past, control))
            own = _with_changes(changes.get(control.name, {}), labels, now, when)
            changes |= {control.name: own} if own else {}
    return changes


def _with_changes(
    changes: Mapping[str, Sequence[str]], before: Sequence[str], after: Sequence[str], when: str
) -> dict[str, Sequence[str]]:
    found = dict(changes)
    for label in dict.fromkeys((*before, *after)):
        times = changes.get(label, [FROM_THE_BEGINNING] if label in before else [])
        if is_there(times, when) != (label in after):
            found[label] = [*times, when]
    return found


def form_of(
    controls: Sequence[ControlTag],
    label_map: Mapping[str, str],
    ignored: tuple[str, ...],
    weights: Mapping[str, float],
    ways: tuple[str, str],
    changes: LabelChanges = NO_CHANGES,
) -> Form:
    """The questions of several controls, or of one with another kind of answer. Raises `RefusedConfigError`."""
    parts = []
    for control in controls:
        labels = _learnt(control.labels, ignored, least=1 if control.kind == ANY_OF else 2)
        spellings = SingleChoice(labels, label_map, ignored)
        own = changes.get(control.name, {}) if control.kind == ANY_OF else {}
        weight = weights.get(control.name, 1.0)
        parts.append(Part(control.name, control.kind, spellings, weight, own, control.most))
    form = Form(tuple(parts), *ways)
    if len(form.labels) > MOST_LABELS:
        raise RefusedConfigError(
            f"The questions of the labelling config have {len(form.labels)} labels, {MOST_LABELS} at most together. "
            "Ignore some with `nextlabel connect --project ID --ignore-label LABEL`, or add a <Choices> or a "
            "<Taxonomy> with the upper levels, or the most frequent labels, beside it; it can stay as it is."
        )
    return form


def _learnt(labels: tuple[str, ...], ignored: tuple[str, ...], least: int = 2) -> tuple[str, ...]:
    left = tuple(label for label in labels if label not in ignored)
    if len(left) < least:
        raise RefusedConfigError(
            f"Of the labels {list(labels)} all but {list(left)} are ignored; at least {'two' if least == 2 else 'one'} "
            f"{'are' if least == 2 else 'is'} needed to learn from. Ignore fewer with `nextlabel connect --project ID "
            "--ignore-label LABEL`."
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
    _require_shallow(root)
    for element in list(root.iter()):
        _as_the_editor_reads(element)
    styles.inline(root)
    return root


def _require_shallow(root: Element) -> None:
    level, depth = [root], 0
    while level := [child for element in level for child in element]:
        depth += 1
        if depth > DEEPEST:
            raise RefusedConfigError(f"The labelling config has tags in tags, more than {DEEPEST} deep. Flatten it.")


def _as_the_editor_reads(element: Element) -> None:
    """Names of attributes in any case, and what stands inside of a text in the place of its value."""
    given = {ATTRIBUTES.get(name.lower(), name.lower()): value for name, value in element.items()}
    element.attrib.clear()
    element.attrib.update(given)
    if element.tag == "HyperText" or (element.tag in WORDS_INSIDE and not len(element)):
        inside = escape(element.text or "") + "".join(tostring(child, encoding="unicode") for child in element)
        if inside.strip():
            element[:] = []
            element.set("value", inside.strip())


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
