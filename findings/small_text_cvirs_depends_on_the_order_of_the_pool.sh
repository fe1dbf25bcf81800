#!/usr/bin/env bash
# small-text 2.0.0.dev4: what CategoryVectorInconsistencyAndRanking asks for depends on the order in which texts stand.
#
# Guess: a query strategy for texts with several labels values each text by its predictions and by the labels so far. In
# another order the same texts have the same scores, and the same ones are asked for.
# Behaviour: the part of the score that is a rank is taken from numpy's argsort, which lists the positions of the pool by
# falling or rising margin; it is read as if it were the rank of each text. So a text's score is made of which other text
# holds its rank, and shuffling the pool changes scores and choices.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check small-text==2.0.0.dev4
"$home/venv/bin/python" - <<'PY'
import numpy as np
import small_text
from scipy.sparse import csr_matrix
from small_text.query_strategies.multi_label import CategoryVectorInconsistencyAndRanking


class Known:
    """A classifier whose probabilities are the data."""

    def predict_proba(self, probabilities):
        return probabilities


print(f"small-text {small_text.__version__}")
print("Guess: 20 pools of 50 texts, each scored in two orders: the same 5 texts highest, 20 times.")
rng = np.random.default_rng(0)
strategy, same = CategoryVectorInconsistencyAndRanking(pbar=None), 0
for _ in range(20):
    pool, labels = rng.uniform(size=(50, 4)), csr_matrix(rng.integers(0, 2, (10, 4)))
    order = rng.permutation(50)
    first_N = strategy.score(Known(), pool, np.arange(50), np.arange(10), labels)
    second_N = strategy.score(Known(), pool[order], np.arange(50), np.arange(10), labels)
    same += set(np.argsort(-first_N)[:5]) == set(order[np.argsort(-second_N)[:5]])
print(f"the same 5 texts: {same} times of 20")
assert same == 0
PY
