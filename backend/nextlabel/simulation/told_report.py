"""What a lead would have been told in the runs on record, beside what was true. Plays nothing.

Truth is on the test part: an arm's accuracy, and what it has more than random sampling with the same seed and as many
labels. Test also stands for the texts that are left when an audit begins, and for those that two versions are compared
on, of which a record keeps nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning import audit
from nextlabel.learning.stability import changed_share
from nextlabel.problems.form import Form
from nextlabel.simulation import probabilities
from nextlabel.simulation.records import FULL, LIVE, RANDOM, Record, read_run
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Bools, Ints

AUDITS = 20  # of each version, each in an order of its own


@dataclass(frozen=True)
class Told:
    """A version, and what would have been said of it.

    `gain` is its accuracy less random's with the same seed and labels, None for random itself; `certified` are the
    shares of the texts that its audits certified, 0 for none, of which `false` had more wrong than a certificate
    allows; `changed` is the share of answers that the labels since the version before changed, and `next_gain` what the
    ones until the next brought.
    """

    corpus: str
    record: Record
    accuracy: float
    gain: float | None
    certified: tuple[float, ...]
    false: int
    changed: float | None
    next_gain: float | None

    @property
    def row(self) -> tuple[str, str, int]:
        """Where it stands in a table."""
        return self.corpus, self.record.strategy, self.record.labels


def read(directory: Path) -> list[Told]:
    """All versions of a run, but those of full data. Raises `BadRunError` for one that cannot be read, or with several
    questions."""
    if isinstance(probabilities.read_question(directory), Form):
        raise BadRunError(f"{directory} asks several questions, of which nothing is told yet. Leave it out.")
    run, right_N = read_run(directory), probabilities.read_targets(directory)["test"].classes_N
    arms: dict[tuple[int, str], list[Record]] = {}
    for record in run.rounds:
        if record.strategy != FULL:
            arms.setdefault(record.arm, []).append(record)
    by_chance = {(r.seed, r.labels): _accuracy(r) for made in arms.values() for r in made if r.strategy == RANDOM}
    return [told for records in arms.values() for told in _of_arm(directory, records, right_N, by_chance)]


def _accuracy(record: Record) -> float:
    assert record.test is not None  # a run with label counts has a test part
    return record.test["accuracy"]


def _of_arm(
    directory: Path, records: Sequence[Record], right_N: Ints, by_chance: Mapping[tuple[int, int], float]
) -> Iterator[Told]:
    said = [probabilities.read(directory, r.seed, r.strategy, r.round)["test"] for r in records]
    for place, (record, of) in enumerate(zip(records, said, strict=True)):
        accuracy, random = _accuracy(record), by_chance.get((record.seed, record.labels))
        gain = None if random is None or record.strategy == RANDOM else accuracy - random
        certified, false = _audits(of.probs_NC.max(axis=1), of.classes_N != right_N, record)
        changed = changed_share(said[place - 1].classes_N, of.classes_N) if place else None
        next_gain = _accuracy(records[place + 1]) - accuracy if place + 1 < len(records) else None
        yield Told(directory.resolve().name, record, accuracy, gain, certified, false, changed, next_gain)


def _audits(confidences_N: Array, wrong_N: Bools, record: Record) -> tuple[tuple[float, ...], int]:
    """What a project's first audit of the version certifies by its last label at the latest, in several orders."""
    frozen = audit.freeze(confidences_N, number=1)
    rng = np.random.default_rng([record.seed, record.labels])
    order_Sn = np.array([rng.permutation(len(wrong_N))[: audit.MOST_LABELS] for _ in range(AUDITS)])
    nobody_Sn = np.zeros(order_Sn.shape, dtype=bool)
    passed_S = audit.parts_passed(frozen, confidences_N[order_Sn], wrong_N[order_Sn], nobody_Sn).max(axis=1)
    parts = [frozen.parts[passed - 1] for passed in passed_S if passed]
    too_many = [
        wrong_N[confidences_N >= part.threshold].sum() > audit.allowed(part.size, frozen.risk) for part in parts
    ]
    shares = [part.size / len(wrong_N) for part in parts]
    return tuple(shares + [0.0] * (AUDITS - len(parts))), sum(too_many)


# Tables

HELP_HEAD = ("true gain", "forecast", "distance", "within its band", "said above 0", "and was", "measured")
AUDIT_HEAD = ("accuracy", "certified something", "mean share of the texts", "false")
NEXT_HEAD = ("changed", "next gain", "at most that", "at most half")
CONTROL_HEAD = ("control labels", "accuracy within limits", "mean width")


def to_markdown(told: Sequence[Told]) -> str:
    """The tables, each under what it shows."""
    rivals = [one for one in told if one.gain is not None and (one.record.round or one.record.strategy == LIVE)]
    steps = [one for one in told if one.changed is not None and one.next_gain is not None]
    judged = [one for one in told if one.record.control]
    return f"""\
# What a lead would have been told

Made from the records of simulations: what [quality](../docs/quality.md) and [certificates](../docs/certificate.md)
would have said of their versions, beside what was true on the test part. Means over seeds.

## Does the order help?

The true gain in accuracy over random sampling with as many labels, mean and standard deviation over seeds; the
forecast's gain, its mean distance to the truth, and how often that lay in its band; how often the band lay above 0, and
how often the gain then was. Measured: how often it was said to help, and else how many more control labels it takes
at least. Only the arm `live` has control labels, which count as labels though it learns nothing from them, and a
forecast; after the last label count nothing was asked. Arms that share a first version are told of from the second on.

{_table(rivals, HELP_HEAD, _help_row)}

## Certificates

A project's first audit, with {audit.MOST_LABELS} labels at most, of each version, in {AUDITS} orders: how often any
part of the texts was certified to have at most {100 * audit.RISK:g} % wrong labels, the mean share of the texts that
was, and how many of the certified parts had more; of all audits that may be {100 * audit.spent(1):g} %. The test part
stands for the texts left; confidences are in steps of 1/255, so that many are equal.

{_table(told, AUDIT_HEAD, _audit_row)}

## The next labels

The share of answers that the labels since the version before changed; by how much the labels until the next version
changed accuracy, which are up to twice as many; how often that was at most the share, and at most half of it, which is
what is said of as many labels.

{_table(steps, NEXT_HEAD, _next_row)}

## How good is it?

How many control labels there were, how often the accuracy on test lay within the limits that they gave, and how wide
these were.

{_table(judged, CONTROL_HEAD, _control_row) if judged else "No record has control labels yet."}
"""


def _table(told: Sequence[Told], head: Sequence[str], row: Callable[[Sequence[Told]], list[str]]) -> str:
    groups: dict[tuple[str, str, int], list[Told]] = {}
    for one in told:
        groups.setdefault(one.row, []).append(one)
    rows = [[corpus, arm, f"{n}", f"{len(of)}", *row(of)] for (corpus, arm, n), of in sorted(groups.items())]
    return markdown.table(["corpus", "arm", "labels", "seeds", *head], rows)


def _help_row(of: Sequence[Told]) -> list[str]:
    gains = np.array([one.gain for one in of])
    true = f"{gains.mean():+.3f}" + (f" ± {gains.std(ddof=1):.3f}" if len(gains) > 1 else "")
    forecasts = [(one, said) for one in of if (said := _said(one, "forecast"))]
    if not forecasts:
        return [true, *[""] * 5, _measured(of)]
    off = np.array([said["gain"] - (one.gain or 0.0) for one, said in forecasts])
    within = [said["low"] <= (one.gain or 0.0) <= said["high"] for one, said in forecasts]
    above = [one for one, said in forecasts if said["low"] > 0]
    right = sum((one.gain or 0.0) > 0 for one in above)
    mean = np.mean([said["gain"] for _, said in forecasts])
    shares = [f"{mean:+.3f}", f"{np.abs(off).mean():.3f}", f"{np.mean(within):.2f}", f"{len(above)}", f"{right}"]
    return [true, *shares, _measured(of)]


def _measured(of: Sequence[Told]) -> str:
    said = [found for one in of if (found := _said(one, "measured"))]
    if not said:
        asked = any(one.record.told is not None for one in of)
        return "too few labels" if asked else "not asked" if of[0].record.strategy == LIVE else "no control set"
    more = [found["more"] for found in said if found["more"] is not None]
    helps = f"helps in {sum(found['helps'] for found in said)}"
    return f"{helps}; cannot tell yet, {min(more)} more" if more else helps


def _said(one: Told, what: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = (one.record.told or {}).get(what)
    return found


def _audit_row(of: Sequence[Told]) -> list[str]:
    shares = np.array([one.certified for one in of])
    some = f"{np.mean(shares > 0):.2f}"
    mean = f"{shares[shares > 0].mean():.2f}" if (shares > 0).any() else ""
    return [f"{np.mean([one.accuracy for one in of]):.3f}", some, mean, f"{sum(one.false for one in of)}"]


def _next_row(of: Sequence[Told]) -> list[str]:
    changed, gain = (np.array([getattr(one, name) for one in of]) for name in ("changed", "next_gain"))
    shares = [np.mean(np.abs(gain) <= changed), np.mean(np.abs(gain) <= changed / 2)]
    return [f"{changed.mean():.3f}", f"{gain.mean():+.3f}", *(f"{share:.2f}" for share in shares)]


def _control_row(of: Sequence[Told]) -> list[str]:
    controls = [one.record.control or {} for one in of]
    limits = np.array([control["accuracy_limits"] for control in controls])
    accuracies = np.array([one.accuracy for one in of])
    within = np.mean((limits[:, 0] <= accuracies) & (accuracies <= limits[:, 1]))
    labels = np.mean([control["labels"] for control in controls])
    return [f"{labels:.0f}", f"{within:.2f}", f"{(limits[:, 1] - limits[:, 0]).mean():.3f}"]
