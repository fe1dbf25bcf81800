"""Query strategies: plain functions, and a declaration of what each needs. Knows numpy, not models nor Label Studio.

To add one that values examples by their probabilities: a function here and an entry in `VALUED`. One that picks a batch
from embeddings has its function in `diversity` and an entry in `STRATEGIES`. Nothing else asks for a strategy's name.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel.learning.diversity import Points, Positions, diverse_batch
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, MAXIMUM, ORDERED, Layout

# (probs_NKC, draws_N) -> values_N: N examples, K stochastic passes (1 for a deterministic model), C classes, and one
# uniform draw from [0, 1) per example for strategies that gamble. Values lie in [0, 1]; 1 is the most informative.
Value = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Candidates:
    """What a batch is picked from: N examples by falling value. Embeddings have unit length.

    `embeddings_ND` and those of the M examples labelled so far, `labelled_MD`, have no rows unless they are asked for.
    """

    values_N: Array
    embeddings_ND: Points
    labelled_MD: Points


# (candidates, count, generator) -> `count` distinct positions among the candidates, in the order to be labelled.
Batch = Callable[[Candidates, int, np.random.Generator], Positions]


@dataclass(frozen=True)
class Strategy:
    """What a query strategy computes, and what it needs for that.

    `value` of each example alone; with `predictions` false it looks at no probabilities, with `passes` it compares
    several of Monte-Carlo dropout and is worth nothing for one. `batch`, where there is one, picks from the examples of
    the highest values, `shortlist` for each place or else all, and is given the `embeddings` of these and of those
    `labelled` so far where it says so. Strategies with the same `two_classes` order every pool of two classes alike,
    but for rounding.
    """

    value: Value
    predictions: bool = True
    passes: bool = False
    batch: Batch | None = None
    shortlist: int | None = None
    embeddings: bool = False
    labelled: bool = False
    two_classes: str = ""

    @property
    def exact(self) -> bool:
        """Whether computing in fp32 makes values exact that were computed in a fast precision."""
        return self.predictions and not self.passes

    @property
    def servable(self) -> bool:
        """Whether a live queue can be ordered by it: by the value that an example has wherever it stands.

        Dropout differs with what an example is batched with and from call to call: values could not be repeated.
        """
        return self.batch is None and not self.passes


def entropy_nats(probs_NC: Array) -> Array:
    """Shannon entropy of each row, in nats: 0 for certainty, ln C for the uniform distribution."""
    logs_NC = np.log(np.maximum(probs_NC, np.finfo(np.float64).tiny))  # 0 ln 0 counts as 0
    return np.asarray(-np.sum(probs_NC * logs_NC, axis=1))


def entropy(probs_NKC: Array, draws_N: Array) -> Array:
    """Entropy of the mean prediction, divided by ln C (Shannon 1948; Settles 2009, section 2.2)."""
    return np.asarray(entropy_nats(_mean(probs_NKC)) / np.log(probs_NKC.shape[2]))


def margin(probs_NKC: Array, draws_N: Array) -> Array:
    """One minus the lead of the best class over the second ("breaking ties", Scheffer et al. 2001)."""
    top_N2 = np.sort(_mean(probs_NKC), axis=1)[:, -2:]
    return 1 - (top_N2[:, 1] - top_N2[:, 0])


def least_confidence(probs_NKC: Array, draws_N: Array) -> Array:
    """One minus the best class's probability, scaled so that the uniform distribution gives 1 (Lewis & Gale 1994)."""
    classes = probs_NKC.shape[2]
    return np.asarray((1 - _mean(probs_NKC).max(axis=1)) * classes / (classes - 1))


def random(probs_NKC: Array, draws_N: Array) -> Array:
    """Uniform values: the baseline that every claim about active learning is measured against."""
    return draws_N


def bald(probs_NKC: Array, draws_N: Array) -> Array:
    """Mutual information of label and weights, divided by ln C: high where passes, each sure, contradict one another.

    The entropy of the mean less the mean of the entropies (Houlsby et al. 2011; over dropout passes, Gal, Islam &
    Ghahramani 2017). 0 for a single pass.
    """
    examples, passes, classes = probs_NKC.shape
    each_NK = entropy_nats(probs_NKC.reshape(-1, classes)).reshape(examples, passes)
    information_N = entropy_nats(_mean(probs_NKC)) - each_NK.mean(axis=1)
    return np.asarray(np.maximum(information_N, 0) / np.log(classes))  # rounding can fall below 0


def diverse(candidates: Candidates, count: int, rng: np.random.Generator) -> Positions:
    """A batch of examples that are informative and unlike each other, see `diverse_batch`."""
    return diverse_batch(candidates.values_N, candidates.embeddings_ND, count, rng, CANDIDATES)


def power(value: Value) -> Value:
    """The function that samples in proportion to `value`'s values, so that a batch is not made of near-copies.

    Its k highest values are k examples drawn without replacement, each with odds proportional to its value: the k
    highest of ln(value) + Gumbel noise, "power acquisition" with beta = 1 (Kirsch et al. 2023; Kool et al. 2019).
    A uniform draw u gives the exponential waiting time e = -ln(u) / value, and the shortest waits win (Efraimidis &
    Spirakis 2006); the value returned, 1 / (1 + e), ranks alike, stays within [0, 1] and needs no noise beyond `draws`.
    """

    def sampled(probs_NKC: Array, draws_N: Array) -> Array:
        odds_N = np.maximum(value(probs_NKC, draws_N), 0)
        tiny = np.finfo(np.float64).tiny  # keeps a draw of 0 finite, and a draw that rounded to 1 from dividing 0 by 0
        waits_N = np.maximum(-np.log(np.maximum(draws_N, tiny)), tiny)
        return np.asarray(odds_N / (odds_N + waits_N))

    return sampled


CANDIDATES = 10  # informative examples for each place in a diverse batch

# With two classes entropy, margin and least confidence all fall with the lead of one class over the other; the last two
# are even equal, and so are the odds made of them.
VALUED: Mapping[str, Strategy] = {
    "entropy": Strategy(entropy, two_classes="lead"),
    "margin": Strategy(margin, two_classes="lead"),
    "least_confidence": Strategy(least_confidence, two_classes="lead"),
    "random": Strategy(random, predictions=False),
    "power_entropy": Strategy(power(entropy)),
    "power_margin": Strategy(power(margin), two_classes="odds of the lead"),
    "power_least_confidence": Strategy(power(least_confidence), two_classes="odds of the lead"),
    "bald": Strategy(bald, passes=True),
    "power_bald": Strategy(power(bald), passes=True),
}

STRATEGIES: Mapping[str, Strategy] = {
    **VALUED,
    **{
        f"diverse_{name}": Strategy(
            valued.value, passes=valued.passes, batch=diverse, shortlist=CANDIDATES, embeddings=True
        )
        for name, valued in VALUED.items()
        if valued.predictions
    },
}

SERVED = "margin"  # what a project is ordered by that does not say otherwise
SERVABLE = tuple(name for name, strategy in STRATEGIES.items() if strategy.servable)


def rank_alike(names: Iterable[str], classes: int) -> list[list[str]]:
    """The names in groups that order every pool alike, but for rounding; a name that stands alone is its own group."""
    groups: dict[str, list[str]] = {}
    for name in names:
        alike = STRATEGIES[name].two_classes if classes == 2 and name in STRATEGIES else ""
        groups.setdefault(alike or name, []).append(name)
    return list(groups.values())


def draws(ids_N: npt.NDArray[np.int64], seed: int) -> Array:
    """One uniform number in [0, 1) per example id: the same for the same id and seed, however examples are batched.

    A hash of id and seed with the mixing constants of SplitMix64 (Steele et al. 2014); its upper 53 bits fill a double.
    """
    with np.errstate(over="ignore"):
        x = ids_N.astype(np.uint64) + np.uint64(seed % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x + np.uint64(0x9E3779B97F4A7C15)) ^ (x >> np.uint64(shift))
            x = x * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / 2**53


def acquire(strategy: str, probs_NKC: Array, draws_N: Array, layout: Layout | None = None) -> Array:
    """The strategy's values; rounding never leaves [0, 1]. With a layout, those of its questions in one."""
    value = STRATEGIES[strategy].value
    values_N = value(probs_NKC, draws_N) if layout is None else of_form(value, probs_NKC, draws_N, layout)
    return np.clip(values_N, 0.0, 1.0)


def of_form(value: Value, probs_NKC: Array, draws_N: Array, layout: Layout) -> Array:
    """One value for several questions: the mean by their weights, or the highest of those that have a weight."""
    weights_Q = np.array([cut.weight for cut in layout.cuts])
    values_QN = np.stack(
        [_of_question(value, cut.kind, probs_NKC[:, :, at], draws_N, layout) for cut, at in layout.parts]
    )
    if not weights_Q.any():
        weights_Q = np.ones_like(weights_Q)
    if layout.combine == MAXIMUM:
        return np.asarray(values_QN[weights_Q > 0].max(axis=0))
    return np.asarray(weights_Q @ values_QN / weights_Q.sum())


def _of_question(value: Value, kind: str, probs_NKC: Array, draws_N: Array, layout: Layout) -> Array:
    """Where any labels may be given, each is a question of two classes. The least certain one counts; their mean is
    better on one of three corpora and worse on another (reports/form-orders)."""
    if kind == ORDERED and value in (entropy, margin, least_confidence):
        return spread(probs_NKC)
    if kind != ANY_OF:
        return value(probs_NKC, draws_N)
    each_LN = [value(np.stack([p_NK, 1 - p_NK], axis=2), draws_N) for p_NK in np.moveaxis(probs_NKC, 2, 0)]
    return np.asarray(np.max(each_LN, axis=0) if layout.combine_labels == MAXIMUM else np.mean(each_LN, axis=0))


def spread(probs_NKC: Array) -> Array:
    """Variance of the step of the mean prediction, over the highest that is possible: half on each end."""
    steps_C = np.arange(probs_NKC.shape[2], dtype=np.float64)
    mean_NC = _mean(probs_NKC)
    variance_N = mean_NC @ steps_C**2 - (mean_NC @ steps_C) ** 2
    return np.asarray(np.maximum(variance_N, 0) / (steps_C[-1] / 2) ** 2)


def most_informative_first(values_N: Array) -> npt.NDArray[np.intp]:
    """Positions by falling value; equal values keep their order, so that a run can be repeated."""
    return np.argsort(-values_N, kind="stable")


def _mean(probs_NKC: Array) -> Array:
    mean_NC: Array = probs_NKC.mean(axis=1)
    return mean_NC
