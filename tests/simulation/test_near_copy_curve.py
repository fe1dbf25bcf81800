"""The curve of near-copies: a point for each rule, and fewer near-copies the more alike they must be."""

from dataclasses import replace
from pathlib import Path

from nextlabel.learning.near_copies import Alike
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.near_copy_curve import COMMON, COSINES, RULES, measure, to_markdown


def test_each_rule_has_a_point_and_a_higher_cosine_holds_less_back(tiny: Path) -> None:
    pairs = own_pairs()
    points = measure(replace(pairs, train=pairs.train[:40], holdout=(), test=()), str(tiny))
    assert [point.rule for point in points] == list(RULES)
    by_cosine, by_words, both = points[: len(COSINES)], points[len(COSINES) : -1], points[-1]
    words = by_words[COMMON.index(Alike().common)]
    assert [point.different for point in by_words] == sorted(point.different for point in by_words)
    shares = [(point.different, point.same) for point in by_cosine]
    assert shares == sorted(shares, reverse=True)
    at_98 = by_cosine[COSINES.index(0.98)]
    assert both.different >= max(words.different, at_98.different)
    assert 0 <= words.different <= 1
    assert words.distinct["polite"] >= 38
    assert words.distinct["numbers"] >= 38
    assert to_markdown(points).count("\n") == len(RULES) + 1
