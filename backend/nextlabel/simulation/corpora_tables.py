"""Tables of the report over corpora that go beyond scores: hours of work, calibration, rare classes."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from nextlabel.simulation.blocks import Block, Heading, Paragraph, Table
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm, Need
from nextlabel.simulation.count_quality import Quality
from nextlabel.simulation.count_study import FEW_EXAMPLES, CountStudy
from nextlabel.simulation.records import FULL, RANDOM

A_LABEL_S = 10  # seconds of a person's work
Qualities = Mapping[str, Sequence[Quality]]  # of each corpus, by its directory's name


def said_alike(studies: Mapping[str, CountStudy]) -> str:
    """Behind a table or a figure with one arm of each group that is alike: which arm stands for which others."""
    said = [words for study in studies.values() if (words := study.alike_in_words)]
    return (
        f" With two classes some arms order texts alike, and one of them is shown ({'; '.join(said)})." if said else ""
    )


def hours_section(studies: Mapping[str, CountStudy], claims: Collection[tuple[str, str]]) -> Iterator[Block]:
    """What the labels for the same score take one person; `claims` are the arms that save labels, by directory."""
    yield Heading("Hours of work")
    yield Table(
        f"For the same dev macro-F1, that of random at the last count, at {A_LABEL_S} s a label. Hours saved are "
        f"given, with their 95 % interval, only where a saving of labels is shown.{said_alike(studies)}",
        ["corpus", "arm", "random", "arm's", "saved"],
        [
            _hours_row(study, arm, (name, arm.strategy) in claims)
            for name, study in studies.items()
            for arm in study.judged
        ],
    )


def _hours_row(study: CountStudy, arm: Arm, is_claimed: bool) -> list[str]:
    need = arm.need(RANDOM_FINAL)
    assert need is not None
    saved = _hours_saved(need) if is_claimed else "not shown"
    return [study.title, arm.strategy, _hours(need.labels_random), _hours(need.labels), saved]


def _hours_saved(need: Need) -> str:
    """Of a saving that is claimed."""
    saving, of_random = need.saving, need.labels_random
    assert saving is not None
    assert saving.share is not None
    assert of_random is not None
    low, high = (
        "open" if end is None else f"{end * of_random * A_LABEL_S / 3600:.1f}" for end in (saving.low, saving.high)
    )
    return f"{_hours(round(saving.share * of_random))} [{low} to {high}]"


def _hours(labels: int | None) -> str:
    return "not reached" if labels is None else f"{labels * A_LABEL_S / 3600:.1f} h"


def quality_section(studies: Mapping[str, CountStudy], qualities: Qualities) -> Iterator[Block]:
    """What the orders did to calibration and to the rarest class."""
    yield Heading("Calibration and rare classes")
    yield Table(
        "On test, at the last label count, means over seeds; behind an arm's figure its difference to random's. F1 is "
        "that of the class with the fewest texts in the pool; in brackets how many of them test has."
        f"{said_alike(studies)}",
        ["corpus", "arm", "seeds", "ECE", "Brier score", "rarest class", "its F1"],
        [row for name, study in studies.items() for row in _quality_rows(study, qualities[name])],
    )
    yield Paragraph(
        "ECE (0 to 1) and the Brier score (0 to 2) are lower the better. Nothing was calibrated after the fit. "
        "Of ECE and Brier score each arm has all its seeds, of F1 differences are paired. "
        f"Differences have no interval; of a class with {FEW_EXAMPLES} test texts or fewer they say little."
    )


def _quality_rows(study: CountStudy, qualities: Sequence[Quality]) -> Iterator[list[str]]:
    by_name = {quality.strategy: quality for quality in qualities}
    shown = [arm.strategy for arm in study.judged]
    for name in [*shown, RANDOM, FULL]:
        if name in by_name:
            yield _quality_row(study, by_name[name], by_name[RANDOM] if name in shown else None)


def _quality_row(study: CountStudy, of: Quality, random: Quality | None) -> list[str]:
    counts = study.run.setting["data"]["counts"]
    rarest = min(counts["train"], key=lambda label: counts["train"][label])
    place = study.comparison.labels.index(rarest)
    return [
        study.title,
        "full data" if of.strategy == FULL else of.strategy,
        str(len(of.seeds)),
        _beside(of.ece.mean, random.ece.mean if random else None),
        _beside(of.brier.mean, random.brier.mean if random else None),
        f"{rarest} ({counts['test'].get(rarest, 0)})",
        f"{of.f1_C[place]:.3f}" + (f" ({of.more_C[place]:+.3f})" if of.more_C else ""),
    ]


def _beside(ours: float, random: float | None) -> str:
    return f"{ours:.3f}" + ("" if random is None else f" ({ours - random:+.3f})")
