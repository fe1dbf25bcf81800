"""Whether the order helps and what the next labels may bring, as a record that is kept, sent and shown."""

from dataclasses import dataclass, replace

from nextlabel.problems.people import CROWD

MEASURED, FORECAST = "measured", "forecast"


@dataclass(frozen=True)
class RandomPoint:
    """The accuracy of random sampling at so many `labels`, and from where to where, in [0, 1]. The `kind` is MEASURED,
    of heads on the base encoder's embeddings, or FORECAST: what a version had, less the gain that was forecast."""

    labels: int
    value: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class Measured:
    """What control labels say: the gain in accuracy at 64 labels over random ones, and its standard error, at the last
    planned look, at so many control `labels`; None before the first. `more` control labels may tell; None: they are not
    likely to, or it is told. The control set has so many `left`; None: that is not known. `at_random` is what random
    labels are worth, by the same look. A `why` says why nothing can be measured.
    """

    labels: int = 0
    gain: float | None = None
    error: float | None = None
    helps: bool = False
    more: int | None = None
    at_random: tuple[RandomPoint, ...] = ()
    why: str = ""
    left: int | None = None


@dataclass(frozen=True)
class Forecast:
    """What the version's own view of the project says: the gain in accuracy at so many `labels` over random ones, and
    from where to where; `times` as many random labels would do the same, None where that cannot be said. A `why` says
    why there is no forecast.
    """

    labels: int = 0
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    times: tuple[float, float | None] | None = None
    why: str = ""


@dataclass(frozen=True)
class NextLabels:
    """The last `labels` changed the answers to a share `changed` of what is left, counted on `tasks` of it. What people
    took for a label in the middle, all who gave it together, is in `seconds`; 0 where that is not known; these labels
    are of a `crowd` of so many `people`. A `why` says why it cannot be told. No more than `left` tasks can still be
    labelled; None: it is not known how many."""

    labels: int = 0
    changed: float | None = None
    tasks: int = 0
    seconds: float = 0.0
    why: str = ""
    left: int | None = None
    people: int = 0

    @property
    def words(self) -> str:
        """Which labels come next: as many as the last ones, or those of all tasks left."""
        if self.left is None or self.left >= self.labels:
            return f"next {self.labels} labels"
        return "label of the task left" if self.left == 1 else f"labels of the {self.left} tasks left"


def change_at_most(changed: float) -> float:
    """By how much as many labels more will hardly change the accuracy, after the last ones changed such a share of the
    answers; none changed does not mean that none ever will."""
    return max(0.001, changed / 2)


@dataclass(frozen=True)
class Helping:
    """All three, of the `order` that was in force, and when, in seconds since 1970; 0: nobody has asked yet. Then there
    were so many labels that are learnt, `known`, and `control` labels that count. Of a form it is about these
    `questions`: the gain is in the share of them that is right, and an answer changed if any of it did."""

    order: str = ""
    at: float = 0.0
    measured: Measured = Measured()
    forecast: Forecast = Forecast()
    next_labels: NextLabels = NextLabels()
    known: int = 0
    control: int = 0
    questions: tuple[str, ...] = ()

    @property
    def without_speed(self) -> "Helping":
        """What may be shown of it whoever looks: nobody's own speed."""
        if self.next_labels.people >= CROWD:
            return self
        return replace(self, next_labels=replace(self.next_labels, seconds=0.0))
