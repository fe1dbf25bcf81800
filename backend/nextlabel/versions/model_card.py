"""The model card of a checkpoint, as Hugging Face's tools read it: the template, and what stands in it. Pure.

Names of labels stand in it as code and never in its metadata, where readers might take them for something else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from nextlabel.errors import BadSettingError
from nextlabel.problems.judgement import Figures, Judgement, tells
from nextlabel.problems.quality import Estimate
from nextlabel.values.layout import ANY_OF, ORDERED, Layout
from nextlabel.values.markdown import table
from nextlabel.values.yaml_text import quoted

LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]{1,60}")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
KINDS = {ANY_OF: "any number of these labels", ORDERED: "exactly one of these steps, in their order"}

TEMPLATE = Template("""---
$metadata
---

# $name

A text classifier, fitted by Nextlabel release $release on what people answered in project
$project of a Label Studio. `$name` is $what.

## What is asked

$form

## How to read its answers

It reads $fields, as people see them on the screen, up to $max_length word pieces in all; what is longer is cut.

```python
$code
```

$reading

## How good it is

$quality

## Certificate

$certificate

## What it was fitted on

$data

## Limits

$limits

## Licence

$license
""")

BEGINNING = '''import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

HERE = "."  # the directory of this card
tokenizer = AutoTokenizer.from_pretrained(HERE)
model = AutoModelForSequenceClassification.from_pretrained(HERE).eval()


def logits(*texts):
    """Of one task: its texts, in the order that is given above."""
    between = tokenizer.sep_token or tokenizer.eos_token or "\\n"
    rest = [between.join(texts[1:])] if len(texts) > 1 else []
    inputs = tokenizer(texts[0], *rest, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits[0].double()


def answer(*texts):'''
ONE = '''
    """The label, and the probability of each."""
    probabilities = torch.softmax(logits(*texts), dim=0)
    label_of = model.config.id2label
    return label_of[int(probabilities.argmax())], {label_of[n]: float(p) for n, p in enumerate(probabilities)}'''
SEVERAL = '''
    """The labels that are given to each question, and the probability of each label of each."""
    given, chances, numbers = {}, {}, logits(*texts)
    for asked in model.config.nextlabel_layout["cuts"]:
        name, labels = asked["name"], asked["labels"]
        own, numbers = numbers[: len(labels)], numbers[len(labels) :]
        if asked["kind"] == "any_of":
            probabilities = torch.sigmoid(own)
            least = asked.get("thresholds") or [0.5] * len(labels)
            given[name] = [label for label, p, at_least in zip(labels, probabilities, least) if p >= at_least]
        else:
            probabilities = torch.softmax(own, dim=0)
            given[name] = [labels[int(probabilities.argmax())]]
        chances[name] = {label: float(p) for label, p in zip(labels, probabilities)}
    return given, chances'''
OF_ONE = "The logits stand in the order of `id2label` in `config.json`; their softmax are the probabilities."
OF_SEVERAL = (
    "The logits of all questions stand one after the other, as `nextlabel_layout` in `config.json` divides them. Of a "
    "question with one answer their softmax are the probabilities, of one with any number of labels each one's "
    "sigmoid, and a label is given from its own threshold on. What is asked only after a certain answer to another "
    "question counts only with that answer."
)
OF_MANY_TEXTS = " Of tasks that are cut, Nextlabel leaves each text its fair share; the lines above cut the end."


@dataclass(frozen=True)
class Owner:
    """What only the owner can say: a `license` by its identifier, with a name and an address where it is "other", and
    `languages` of the texts by their codes. Raises `BadSettingError` for what is neither."""

    license: str = ""
    license_name: str = ""
    license_link: str = ""
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.license and not LICENSE.fullmatch(self.license):
            raise BadSettingError(
                f'--license={self.license!r:.80} is no identifier of a licence: give one such as "apache-2.0" or '
                '"cc-by-4.0", or "other".'
            )
        if (self.license == "other") != bool(self.license_name and self.license_link):
            raise BadSettingError(
                "--license other goes with --license-name and --license-link, and these go with nothing else. Give "
                "all three, or one --license."
            )
        for language in self.languages:
            if not LANGUAGE.fullmatch(language):
                raise BadSettingError(
                    f'--language={language!r:.80} is no code of a language: give one such as "en", "no" or "pt-BR".'
                )


@dataclass(frozen=True)
class Facts:
    """What a card is about. `counts` are of the labels that it was fitted on, by the names of its numbers; `form` is
    the labelling config, empty where it is not known, `fields` what of a task is read; `base_on_hub`: others have
    the base model by that name, too; `judgement` what the control set
    says of it, `certificate` one of it; `version_scores` those of the version on the holdout."""

    name: str
    release: str
    project: int
    is_head: bool
    labels: tuple[str, ...]
    layout: Layout | None
    counts: Mapping[str, int]
    fitted_on: int
    made_at: str
    base_model: str
    base_on_hub: bool
    recipe: Mapping[str, Any]
    fields: tuple[str, ...]
    max_length: int
    form: str
    judgement: Judgement
    certificate: Mapping[str, Any] | None
    version_scores: Mapping[str, float] | None
    owner: Owner = Owner()


def model_card(facts: Facts) -> str:
    """The text of README.md."""
    many = OF_MANY_TEXTS if len(facts.fields) > 2 else ""
    return TEMPLATE.substitute(
        metadata="\n".join(_metadata(facts)),
        name=facts.name,
        release=facts.release,
        project=facts.project,
        what="a version with its last layer fitted again to newer labels" if facts.is_head else "a version",
        form="\n\n".join(_asked(facts)),
        fields=_listed(facts.fields),
        max_length=facts.max_length,
        code=BEGINNING + (SEVERAL if facts.layout else ONE),
        reading=(OF_SEVERAL if facts.layout else OF_ONE) + many,
        quality="\n\n".join(_quality(facts)),
        certificate=str(facts.certificate["claim"]) if facts.certificate else "There is none of it.",
        data="\n\n".join(_data(facts)),
        limits="\n".join(f"- {limit}" for limit in _limits(facts)),
        license=_license(facts.owner),
    )


def code(text: str) -> str:
    """A text as code in Markdown, whatever is in it: one line, in as many backticks as it takes."""
    line = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    blank = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{blank}{line}{blank}{ticks}" if line else ""


def cell(text: str) -> str:
    """The same in a table."""
    return code(text).replace("|", "\\|")


# The metadata


def _metadata(facts: Facts) -> Iterator[str]:
    owner = facts.owner
    if owner.languages:
        yield "language:"
        yield from (f"- {quoted(language)}" for language in owner.languages)
    for key in ("license", "license_name", "license_link"):
        if value := getattr(owner, key):
            yield f"{key}: {quoted(value)}"
    yield 'library_name: "transformers"'
    yield 'pipeline_tag: "text-classification"'
    if facts.base_on_hub:
        yield f"base_model: {quoted(facts.base_model)}"
    yield from ("tags:", '- "nextlabel"', '- "active-learning"')
    results = list(_results(facts))
    if results:
        yield from ("model-index:", f"- name: {quoted(facts.name)}", "  results:", *results)


def _results(facts: Facts) -> Iterator[str]:
    """Those of one split share a data set, else readers put all under the first one's name."""
    figures = facts.judgement.figures
    if figures and tells(figures.accuracy):
        metrics = [*_metric("accuracy", figures.accuracy), *_metric("f1", figures.macro_f1, "macro F1")]
        yield from _result(facts, "control", metrics)
    if facts.certificate:
        least = 1 - float(facts.certificate["risk"])
        yield from _result(facts, "audit", [("accuracy_low", "certified share of right labels, at least", least)])


def _metric(kind: str, estimate: Estimate, name: str = "") -> Iterator[tuple[str, str, float]]:
    if estimate.value is not None and tells(estimate):
        name = name or kind
        yield kind, name, estimate.value
        yield f"{kind}_low", f"{name}, lower limit of 95 %", estimate.interval.low
        yield f"{kind}_high", f"{name}, upper limit of 95 %", estimate.interval.high


def _result(facts: Facts, split: str, metrics: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    yield "  - task:"
    yield '      type: "text-classification"'
    yield "    dataset:"
    yield '      type: "nextlabel"'
    yield f"      name: {quoted(f'Nextlabel project {facts.project}')}"
    yield f"      split: {quoted(split)}"
    yield "    metrics:"
    for kind, name, value in metrics:
        yield f"    - type: {quoted(kind)}"
        yield f"      name: {quoted(name)}"
        yield f"      value: {value:.6f}"


# What people read


def _asked(facts: Facts) -> Iterator[str]:
    if facts.layout is None:
        yield f"Exactly one of {len(facts.labels)} labels: {', '.join(map(code, facts.labels))}."
    else:
        for cut in facts.layout.cuts:
            yield f"{code(cut.name)}: {KINDS.get(cut.kind, 'exactly one of these labels')}: {_codes(cut.labels)}."
    if facts.form:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", facts.form)), default=0))
        yield "People were asked by this form of Label Studio:"
        yield f"{fence}xml\n{facts.form.strip()}\n{fence}"


def _codes(labels: Sequence[str]) -> str:
    return ", ".join(map(code, labels))


def _listed(fields: Sequence[str]) -> str:
    if not fields:
        return "the text of a task"
    return f"the field {code(fields[0])}" if len(fields) == 1 else f"the fields {_codes(fields)}, in this order"


def _quality(facts: Facts) -> Iterator[str]:
    judgement, figures = facts.judgement, facts.judgement.figures
    if figures is None or figures.accuracy.value is None:
        why = judgement.why or "no text of a control set is answered"
        yield f"Nothing can be said of it from tasks that it was not fitted on: {why}."
    else:
        about = f" The figures are about the question {code(judgement.question)} alone." if judgement.question else ""
        yield (
            f"Judged by {figures.accuracy.examples} tasks that were drawn at random and that nothing was fitted on, "
            f"with intervals of 95 %.{about}"
        )
        if not tells(figures.accuracy):
            yield f"How many of its answers are right cannot be told yet: from {_between(figures.accuracy)} may be."
        if rows := list(_figures(figures, judgement.left)):
            yield table(("Figure", "Value", "95 % interval", "Tasks"), rows, ("---", "---:", "---", "---:"))
        yield "By label, of those that the tasks have:"
        yield table(("Label", "Tasks", "Recall", "F1"), _by_label(figures), ("---", "---:", "---", "---"))
    if facts.version_scores:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in sorted(facts.version_scores.items()))
        yield f"On the labelled holdout the version, as it was fitted, had {scores}; no interval of these is known."


def _figures(figures: Figures, left: Estimate | None) -> Iterator[Sequence[str]]:
    rows = {
        "accuracy on new texts like these": figures.accuracy,
        "the same, if all that people skipped were wrong": figures.at_worst,
        "macro F1": figures.macro_f1,
        "mean confidence less accuracy": figures.calibration,
        "accuracy on the tasks that people left": left,
    }
    for name, estimate in rows.items():
        if estimate is not None and tells(estimate):
            yield name, f"{estimate.value or 0.0:.3f}", _between(estimate), str(estimate.examples)


def _by_label(figures: Figures) -> Iterator[Sequence[str]]:
    for of_class in figures.classes:
        if of_class.recall.value is not None:
            yield cell(of_class.label), str(of_class.recall.examples), _share(of_class.recall), _share(of_class.f1)


def _share(estimate: Estimate) -> str:
    return f"{estimate.value or 0.0:.2f} ({_between(estimate)})"


def _between(estimate: Estimate) -> str:
    return f"{estimate.interval.low:.2f} to {estimate.interval.high:.2f}"


def _data(facts: Facts) -> Iterator[str]:
    yield (
        f"{facts.fitted_on} labelled tasks of the project; no text and no name of a person is in this directory, "
        f"though weights may remember texts. The encoder began as {code(facts.base_model)}. Made at {facts.made_at}."
    )
    yield table(
        ("Label", "Labels given"),
        ((cell(label), str(count)) for label, count in facts.counts.items()),
        ("---", "---:"),
    )
    recipe = ", ".join(f"{name} {value}" for name, value in facts.recipe.items() if name in SHOWN)
    yield f"Which tasks were labelled was mostly chosen by earlier versions, so they are no random sample. {recipe}."


SHOWN = ("steps", "learning_rate", "batch_size", "max_length", "seed")  # of a recipe; not the base model's place


def _limits(facts: Facts) -> Iterator[str]:
    yield "All figures are about texts like those of this project; of others nothing is known."
    yield '"Right" means as the people of this project would label; their slips count as errors of the machine.'
    figures = facts.judgement.figures
    judged = figures is not None and figures.accuracy.examples > 0
    unknown = [found.label for found in figures.classes if found.recall.value is None] if figures and judged else []
    if unknown:
        yield f"Of {_codes(unknown)} nothing is known: no task that judges has that label."
    seldom = [label for label, count in facts.counts.items() if count < 10]
    if seldom:
        yield f"Fitted on fewer than ten labels each: {_codes(seldom)}."
    yield "Whether it treats groups of people alike was not looked at."
    if not facts.certificate:
        yield "No figure here is a certificate: they are looked at all the time, and one in twenty intervals misses."


def _license(owner: Owner) -> str:
    if not owner.license:
        return "The owner has given none, so nobody else may use it."
    named = f"{owner.license_name}, {owner.license_link}" if owner.license == "other" else owner.license
    return f"{named}."
