#!/usr/bin/env bash
# baycomp 1.0.3: of two classifiers with the same scores everywhere, the signed-rank test finds the left one better.
#
# Guess: SignedRankTest.probs(x, x) is (0.5, 0.5), as CorrelatedTTest.probs(x, x) is, for nothing tells the two apart.
# Behaviour: without a region of equivalence every draw is even. Rounding makes some lean to either side, and those
# that are even to the last digit count for the left one: with 8 data sets it is better with a probability of 0.69.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check baycomp==1.0.3 numpy==2.2.6 scipy==1.15.3
"$home/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from baycomp import CorrelatedTTest, SignedRankTest

scores = np.array([0.80, 0.70, 0.65, 0.90, 0.55, 0.77, 0.60, 0.81])
print(f"baycomp {version('baycomp')}, numpy {version('numpy')}")
print("Guess: a classifier compared with itself is better or worse with a probability of 0.5 each.")
left, right = map(float, CorrelatedTTest.probs(scores, scores))
print(f"CorrelatedTTest.probs(scores, scores): left {left}, right {right}")
assert (left, right) == (0.5, 0.5)
for seed in (0, 1, 2):
    left, right = map(float, SignedRankTest.probs(scores, scores, random_state=seed))
    print(f"SignedRankTest.probs(scores, scores, random_state={seed}): left {left}, right {right}")
    assert left > 0.6
PY
