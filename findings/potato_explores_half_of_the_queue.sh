#!/usr/bin/env bash
# potato-annotation 2.12.1: random_sample_percent 0.2 makes half of what is served the least uncertain, not 20 % random.
#
# Guess: "Fraction of each reordered batch left random" (Potato's own help, default 0.2): of ten served texts, eight are
# the most uncertain and two are drawn from the pool at random.
# Behaviour: the fifth of the pool that the model is surest of is cut off, shuffled, and dealt out in turn with the most
# uncertain, one for one, until it is used up. So every second text that an annotator gets is one of those that the model
# is surest of, whatever the fraction is.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check potato-annotation==2.12.1
"$home/venv/bin/python" - <<'PY'
from importlib.metadata import version

from potato.active_learning_manager import ActiveLearningConfig, ActiveLearningManager


class Items:
    """Takes down the order that annotators would be served."""

    def reorder_instances(self, order):
        self.order = order


print(f"potato-annotation {version('potato-annotation')}")
print("Guess: of the first 40 of 1,000 texts some 32 are the most uncertain, 8 come from anywhere.")
ranked = [(str(rank), 1 - rank / 1000) for rank in range(1000)]  # rank 0 is the most uncertain
for fraction in (0.2, 0.05):
    items = Items()
    ActiveLearningManager(ActiveLearningConfig(random_sample_percent=fraction))._apply_reordering(ranked, items)
    served = [int(rank) for rank in items.order[:40]]
    surest = sum(rank >= 1000 * (1 - fraction) for rank in served)
    print(f"random_sample_percent {fraction}: {served[:8]} ...: {surest} of 40 are of the surest {fraction:.0%}")
    assert served[::2] == list(range(20))
    assert surest == 20
PY
