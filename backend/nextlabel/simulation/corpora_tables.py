"""Tables of the report over corpora that go beyond scores: hours of work, calibration, rare classes."""

from collections.abc import Iterator, Mapping, Sequence

from nextlabel.simulation.blocks import Block, Heading, Paragraph, Table
from nextlabel.simulation.comparisons import RANDOM_FINAL, Arm
from nextlabel.simulation.count_quality import Quality
from nextlabel.simulation.count_study import FEW_EXAMPLES, CountStudy
from nextlabel.simulation.records import FULL, RANDOM

A_LABEL_S = 10  # seconds of a person's work
Qualities = Mapping[str, Sequence[Quality]]  # of each corpus, by its directory's name


def hours_section(studies: Mapping[str, CountStudy]) -> Iterator[Block]:
    """What the labels for the same score take one person."""
    yield Heading("Hours of work")
    yield Table(
        f"For the same dev macro-F1, that of random at the last count, at {A_LABEL_S} s a label.",
        ["corpus", "arm", "random", "arm's", "saved"],
        [_hours_row(study, arm) for study in studies.values() for arm in study.judged],
    )


def _hours_row(study: CountStudy, arm: Arm) -> list[str]:
    need = arm.need(RANDOM_FINAL)
    assert need is not None
    both = [need.labels_random, need.labels]
    saved = None if None in both else (need.labels_random or 0) - (need.labels or 0)
    return [study.title, arm.strategy, *map(_hours, both), _hours(saved)]


def _hours(labels: int | None) -> str:
    return "not reached" if labels is None else f"{labels * A_LABEL_S / 3600:.1f} h"


def quality_section(studies: Mapping[str, CountStudy], qualities: Qualities) -> Iterator[Block]:
    """What the orders did to calibration and to the rarest class."""
    yield Heading("Calibration and rare classes")
    yield Table(
        "On test, at the last label count, means over seeds; behind an arm's figure its difference to random's. F1 is "
        "that of the class with the fewest texts in the pool; in brackets how many of them test has.",
        ["corpus", "arm", "seeds", "ECE", "Brier score", "rarest class", "its F1"],
        [row for name, study in studies.items() for row in _quality_rows(study, qualities[name])],
    )
    yield Paragraph(
        "ECE (0 to 1) and the Brier score (0 to 2) are lower the better. Nothing was calibrated after the fit. "
        "Of ECE and Brier score each arm has all its seeds, of F1 differences are paired. "
        f"Differences have no interval; of a class with fewer than {FEW_EXAMPLES} test texts they say little."
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
