#!/usr/bin/env bash
# small-text 2.0.0.dev4: a class with one label loses it to the validation set, and is never learnt.
#
# Guess: a fit holds back a tenth of the labels for validation; "stratified" sees to it that all classes stay learnable,
# or at least that a class with a single label is held back one time in ten.
# Behaviour: each class is given a place in the validation set first, once that set is larger than the number of classes.
# So the only label of a class is held back in every fit, and the classifier is fitted on the other classes alone. With
# two labels one is kept.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check small-text==2.0.0.dev4
"$home/venv/bin/python" - <<'PY'
import numpy as np
import small_text
from small_text.data.splits import split_data

print(f"small-text {small_text.__version__}")
print("Guess: of 20 splits (a tenth, as in a fit by default) about 2 hold back the only label of a class.")
held = {}
for others, rare in ((31, 1), (99, 1), (62, 2)):
    y = np.array([0] * others + [1] * rare)
    held[others, rare] = 0
    for seed in range(20):
        np.random.seed(seed)
        train, valid = split_data(y, y=y, strategy="stratified", validation_set_size=0.1, return_indices=True)
        held[others, rare] += 1 not in y[train]
    print(f"{others + rare} labels, {rare} of the rare class: nothing of it to learn from in {held[others, rare]} of 20")
assert held == {(31, 1): 20, (99, 1): 20, (62, 2): 0}
PY
