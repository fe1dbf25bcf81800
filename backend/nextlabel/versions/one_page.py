"""One page for whoever paid: what was labelled, how good it is, what is certified and what not. Pure.

As Markdown, and as HTML that needs nothing else. Names nobody and quotes no text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from nextlabel.problems.judgement import Figures, Judgement, tells
from nextlabel.problems.quality import Estimate
from nextlabel.problems.quality_words import percent
from nextlabel.values.markdown import table
from nextlabel.versions.model_card import cell

LONGEST_S = 600.0  # of an answer: who takes longer has left the screen alone
WIDTH, HEIGHT, EDGE = 560, 220, 40  # of the curve, in pixels
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#222;"
    "background:#fff}table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.2rem .8rem .2rem 0;"
    "text-align:left}svg{max-width:100%;height:auto}"
)


@dataclass(frozen=True)
class Effort:
    """So many `people` gave so many `answers` in Label Studio, in so many `hours`, of which an answer takes ten minutes
    at most; None where they would tell somebody's own speed. `imported` ones came from elsewhere."""

    people: int = 0
    answers: int = 0
    hours: float | None = None
    imported: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a page is about: of `tasks`, `by_people` have a person's label, the rest the machine's, `certified` of all
    of them. `curve`: labels and accuracy of versions by the control set or a labelled holdout. `asked`: about which
    questions; `written` on a day."""

    project: int
    name: str
    written: str
    tasks: int
    by_people: int
    certified: int
    counts: Mapping[str, int]
    effort: Effort | None
    judgement: Judgement
    claim: str
    curve: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Section:
    """A part of the page: sentences, and a table with a head."""

    title: str
    sentences: Sequence[str]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def sections(outcome: Outcome) -> list[Section]:
    """All of the page but its title and the curve."""
    counts = [(label, str(count)) for label, count in outcome.counts.items()]
    return [
        Section("What was labelled", list(_labelled(outcome)), ("Label", "Tasks"), counts),
        Section("How good the machine's labels are", list(_quality(outcome.judgement))),
        Section("Certificate", [outcome.claim or "There is none. The figures above are estimates, not a promise."]),
        Section("What this does not say", list(_limits(outcome))),
    ]


def _labelled(outcome: Outcome) -> Iterator[str]:
    effort = outcome.effort
    if effort is not None:
        people = "1 person" if effort.people == 1 else f"{effort.people} people"
        imported = f" {effort.imported} more came with an import." if effort.imported else ""
        yield f"{people} gave {effort.answers} answers{_hours(effort)}.{imported}"
    machine = outcome.tasks - outcome.by_people
    yield (
        f"Of {outcome.tasks} tasks, {outcome.by_people} have a person's label and {machine} the one of {outcome.name}, "
        f"a classifier that was fitted on people's."
    )


def _hours(effort: Effort) -> str:
    if effort.hours is None:
        return ""
    return f" in about {effort.hours:.1f} hours at the screen, of which one answer counts ten minutes at most"


def _quality(judgement: Judgement) -> Iterator[str]:
    figures = judgement.figures
    if figures is None or figures.accuracy.value is None:
        yield f"Nothing can be said of it: {judgement.why or 'no task that was kept for judging is labelled'}."
        return
    about = f", of the question {judgement.question!r}" if judgement.question else ""
    yield (
        f"It was judged by {figures.accuracy.examples} tasks that were drawn at random and that it has not learnt from"
        f"{about}. In brackets stands what the figure would be between, with a confidence of 95 %, if all such texts "
        "were looked at."
    )
    yield from _figures(figures, judgement.left)


def _figures(figures: Figures, left: Estimate | None) -> Iterator[str]:
    yield f"New texts like these: {_share(figures.accuracy)} right."
    if left is not None:
        yield f"The tasks that people left to it: {_share(left)} right."
    if figures.macro_f1.value is not None and tells(figures.macro_f1):
        low, high = figures.macro_f1.interval
        yield f"With every label counting alike (macro F1): {figures.macro_f1.value:.2f} ({low:.2f} to {high:.2f})."


def _share(estimate: Estimate) -> str:
    low, high = estimate.interval
    between = f"{percent(low)} to {percent(high)}"
    return f"{percent(estimate.value or 0.0)} ({between})" if tells(estimate) else f"cannot be told yet, {between}"


def _limits(outcome: Outcome) -> Iterator[str]:
    yield "Nothing is said of texts of another source, of later ones that differ from these, or of any single label."
    yield "Right means as the people of this project would label: where they slip, so do the figures."
    if outcome.certified:
        yield f"The certificate is about {outcome.certified} labels, and about no other."
    yield "Figures that are looked at often look better than they are; only a certificate may be watched."


def markdown(outcome: Outcome) -> str:
    """The page as Markdown."""
    found = [f"# What came of project {outcome.project}", f"Written on {outcome.written}."]
    for section in sections(outcome):
        found += [f"## {section.title}", *section.sentences]
        if section.rows:
            found.append(table(section.head, ((cell(first), *rest) for first, *rest in section.rows)))
    if outcome.curve:
        found += ["## How it grew", table(CURVE, _curve_rows(outcome.curve))]
    return "\n\n".join(found) + "\n"


CURVE = ("Labels", "Right, by the control set or a labelled holdout")


def _curve_rows(curve: Sequence[tuple[int, float]]) -> list[tuple[str, str]]:
    return [(str(labels), percent(accuracy)) for labels, accuracy in curve]


def html(outcome: Outcome) -> str:
    """The page as HTML, with nothing from outside and no script."""
    title = f"What came of project {outcome.project}"
    found = [f"<h1>{title}</h1>", f"<p>Written on {escape(outcome.written)}.</p>"]
    for section in sections(outcome):
        found.append(f"<h2>{escape(section.title)}</h2>")
        found += [f"<p>{escape(sentence)}</p>" for sentence in section.sentences]
        if section.rows:
            found.append(_table(section.head, section.rows))
    if outcome.curve:
        found += ["<h2>How it grew</h2>", *_svg(outcome.curve), _table(CURVE, _curve_rows(outcome.curve))]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(found) + "\n</body></html>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = ("".join(f"<td>{escape(one)}</td>" for one in row) for row in rows)
    return f"<table><tr>{top}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _svg(curve: Sequence[tuple[int, float]]) -> Iterator[str]:
    """A line through the points, from 0 to 1 upwards; none through a single one."""
    if len(curve) < 2:
        return
    most = max(labels for labels, _ in curve)
    points = [
        (EDGE + (WIDTH - 2 * EDGE) * labels / most, HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * accuracy)
        for labels, accuracy in curve
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{CURVE[1]}, by labels">'
    yield f'<path d="M{EDGE} {EDGE}V{HEIGHT - EDGE}H{WIDTH - EDGE}" fill="none" stroke="#777"/>'
    yield f'<polyline points="{line}" fill="none" stroke="#0072B2" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0072B2"/>' for x, y in points)
    words = ((4, EDGE + 4, "100 %"), (4, HEIGHT - EDGE, "0"), (WIDTH - 2 * EDGE, HEIGHT - EDGE + 16, f"{most} labels"))
    yield from (f'<text x="{x}" y="{y}" font-size="12">{word}</text>' for x, y, word in words)
    yield "</svg>"
