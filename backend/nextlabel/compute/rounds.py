"""What nodes compute for the loop: a fit with all that is asked of its version, and a part of a pool."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nextlabel.compute.tasks import Tell
from nextlabel.learning.rounds import Round, Scored, joined, run_round, score_pool
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.packed import Bytes, pack, unpack
from nextlabel.model.tokens import TokenCache
from nextlabel.problems.metrics import Scores
from nextlabel.problems.question import Question
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example

LONG_S = 15.0  # for a part of a pool

Labelled = Sequence[tuple[Example, str]]


@dataclass(frozen=True)
class Fitted:
    """A `Round` without its classifier, which is a packed checkpoint, and without texts. Where it was made: a device
    and a precision."""

    checkpoint: Bytes
    scores: Scores | None
    holdout_NC: Array
    pool: Scored
    labelled: Scored | None
    seconds: Mapping[str, float]
    steps: int
    device: str
    precision: str

    def as_round(
        self,
        labelled: Labelled,
        pool: Sequence[Example],
        node: str,
        device: str,
        precision: str,
        cache: TokenCache | None,
    ) -> Round:
        """On the machine that asked for it, with the texts that it asked about. Raises `NoModelError`."""
        with tempfile.TemporaryDirectory(prefix="nextlabel-fitted-") as home:
            classifier = classifiers.load(unpack(self.checkpoint, Path(home)), device, precision, cache)
        known = None if self.labelled is None else replace(self.labelled, examples=[e for e, _ in labelled])
        return Round(
            classifier,
            self.scores,
            self.holdout_NC,
            replace(self.pool, examples=pool),
            self.seconds,
            self.steps,
            known,
            {"node": node, "device": self.device, "precision": self.precision},
        )


def fit_round(
    tell: Tell,
    base: Path,
    recipe: Recipe,
    question: Question,
    labelled: Labelled,
    pool: Sequence[Example],
    holdout: Labelled,
    strategy: str,
    features: bool,
    weights_N: Array | None,
) -> Fitted:
    """`run_round` on a node, from the checkpoint in `base`. Raises what it raises."""
    recipe = replace(recipe, base_model=str(base))
    made = run_round(recipe, question, labelled, pool, holdout, strategy, tell, None, features, weights_N)
    with tempfile.TemporaryDirectory(prefix="nextlabel-fitted-") as home:
        made.classifier.save(Path(home))
        checkpoint = pack(Path(home))
    return Fitted(
        checkpoint,
        made.scores,
        made.holdout_NC,
        replace(made.pool, examples=()),
        None if made.labelled is None else replace(made.labelled, examples=()),
        dict(made.seconds),
        made.steps,
        str(made.classifier.device),
        str(made.classifier.precision).removeprefix("torch."),
    )


def score_part(
    tell: Tell,
    version: Classifier,
    examples: Sequence[Example],
    strategy: str,
    seed: int,
    features: bool,
    at_a_time: int,
) -> Scored:
    """What a version says of the examples, in slices of `at_a_time`; without the examples. Of the first ones alone, at
    the end of a slice, once that took `LONG_S`: fits wait for it."""
    parts, until = [], time.monotonic() + LONG_S
    for start in range(0, len(examples), at_a_time):
        some = examples[start : start + at_a_time]
        parts.append(score_pool(version, some, strategy, seed, exact=False, features=features))
        tell("score", start + len(some), len(examples))
        if time.monotonic() > until:
            break
    return replace(joined(parts), examples=())
