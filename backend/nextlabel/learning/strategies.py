"""How informative an example is, from class probabilities alone. Knows numpy, not models nor Label Studio.

A query strategy is a plain function `(probs_NKC, draws_N) -> values_N`: N examples, K stochastic passes (1 for a
deterministic model), C classes, and one uniform draw from [0, 1) per example for strategies that gamble. The values
lie in [0, 1], and 1 is the most informative.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from nextlabel.values.arrays import Array

Strategy = Callable[[Array, Array], Array]


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


def power(strategy: Strategy) -> Strategy:
    """The strategy that samples in proportion to `strategy`'s values, so that a batch is not made of near-copies.

    Its k highest values are k examples drawn without replacement, each with odds proportional to its value: the k
    highest of ln(value) + Gumbel noise, "power acquisition" with beta = 1 (Kirsch et al. 2023; Kool et al. 2019).
    A uniform draw u gives the exponential waiting time e = -ln(u) / value, and the shortest waits win (Efraimidis &
    Spirakis 2006); the value returned, 1 / (1 + e), ranks alike, stays within [0, 1] and needs no noise beyond `draws`.
    """

    def sampled(probs_NKC: Array, draws_N: Array) -> Array:
        odds_N = np.maximum(strategy(probs_NKC, draws_N), 0)
        tiny = np.finfo(np.float64).tiny  # keeps a draw of 0 finite, and a draw that rounded to 1 from dividing 0 by 0
        waits_N = np.maximum(-np.log(np.maximum(draws_N, tiny)), tiny)
        return np.asarray(odds_N / (odds_N + waits_N))

    return sampled


STRATEGIES: Mapping[str, Strategy] = {
    "entropy": entropy,
    "margin": margin,
    "least_confidence": least_confidence,
    "random": random,
    "power_entropy": power(entropy),
    "power_margin": power(margin),
    "power_least_confidence": power(least_confidence),
    "bald": bald,
    "power_bald": power(bald),
}


def needs_passes(name: str) -> bool:
    """Whether the strategy compares stochastic passes, K > 1, and is worth nothing for a deterministic prediction."""
    return name in ("bald", "power_bald")


# What a live queue can be ordered by. Dropout differs with what an example is batched with and from call to call,
# so the values of a strategy that needs passes could not be repeated.
SERVABLE = tuple(name for name in STRATEGIES if not needs_passes(name))

# Binary entropy, margin and least confidence all fall with the lead of one class over the other; the last two are
# even equal, and so are the odds made of them.
ALIKE_WITH_TWO_CLASSES = (("entropy", "margin", "least_confidence"), ("power_margin", "power_least_confidence"))


def rank_alike(names: Iterable[str], classes: int) -> list[list[str]]:
    """The names in groups that order every pool alike, but for rounding; a name that stands alone is its own group."""
    leader = {name: group[0] for group in ALIKE_WITH_TWO_CLASSES for name in group} if classes == 2 else {}
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(leader.get(name, name), []).append(name)
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


def acquire(strategy: str, probs_NKC: Array, draws_N: Array) -> Array:
    """The strategy's values; rounding never leaves [0, 1]."""
    return np.clip(STRATEGIES[strategy](probs_NKC, draws_N), 0.0, 1.0)


def most_informative_first(values_N: Array) -> npt.NDArray[np.intp]:
    """Positions by falling value; equal values keep their order, so that a run can be repeated."""
    return np.argsort(-values_N, kind="stable")


def _mean(probs_NKC: Array) -> Array:
    mean_NC: Array = probs_NKC.mean(axis=1)
    return mean_NC
