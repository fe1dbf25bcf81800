"""What the gate refuses without a holdout: versions in a row on real labels, and fits that were spoilt on purpose.

Each version is judged, as in the live loop, by the labels that it was fitted on; the test part tells what is true.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError, DivergedError
from nextlabel.learning import auto_recipe
from nextlabel.learning.gate import judge
from nextlabel.learning.rounds import Round, round_seed, run_round, select
from nextlabel.learning.start_set import seed_positions
from nextlabel.model import checkpoints
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import records
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.store.files import replace_file
from nextlabel.values import markdown

STRATEGY, MARGIN = "margin", 0.05
GOOD = "as it should be"
RATES: Mapping[str, float] = {"rate x 5": 5, "rate x 50": 50}
FEW_STEPS, NEW_SHUFFLED, ALL_SHUFFLED = "5 steps", "new labels shuffled", "all labels shuffled"
FIT_SHUFFLED = "labels shuffled in the fit alone"
SPOILT = (*RATES, FEW_STEPS, NEW_SHUFFLED, ALL_SHUFFLED)
FALLS = 0.1, 0.25  # of the accuracy on test: one that somebody would mind, and one beyond any doubt

ABOUT = f"""\
Versions in a row, the labels between them by `{STRATEGY}`, the recipe `auto`. Each is judged against the one before by
the labels that both were fitted on, then by all that it was fitted on (PROMOTE_MARGIN={MARGIN:g}); accuracies are those
on test. *Could tell*: a version that answers one label for all would have been refused. *Shuffled*: labels that only
chance connects with their texts, of the tasks that are new since the version before, or of all; or people's labels are
right, and the fit mixed them up."""


@dataclass(frozen=True)
class GatePlan:
    """Rising label counts, the first of them the start set; seeds, of which the first so many have `spoilt` fits, too;
    how many texts a pool and the test part have at most, and how many word pieces of each are read."""

    labels: Sequence[int]
    seeds: Sequence[int]
    spoilt: int
    pool: int
    test: int
    word_pieces: int


@dataclass(frozen=True)
class Case:
    """A version of so many labels next to the one `before` it: accuracies on test, and the verdict by its labels."""

    corpus: str
    seed: int
    labels: int
    fit: str
    before: float
    after: float
    refused: bool
    tells: bool


def play(directory: Path, plan: GatePlan, base_model: str, out: Path) -> list[Case]:
    """The cases of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or more labels are asked for than a pool has.
    """
    data, word_pieces = fetched.read_single(directory)
    recipe = Recipe(base_model, 1, 0.0, auto_recipe.BATCH, min(word_pieces, plan.word_pieces), 0)
    recipe = replace(
        recipe, learning_rate=auto_recipe.learning_rate(checkpoints.width(base_model)), **auto_recipe.FIXED
    )
    path = out / f"{directory.name}.json"
    setting = {
        **{key: list(value) if isinstance(value, Sequence) else value for key, value in asdict(plan).items()},
        "base_model": checkpoints.identity(base_model),
        "data": data.fingerprint,
    }
    found = records.read_json(path)
    if found is not None and found["setting"] != setting:
        raise BadRunError(f"{path} was played with {found['setting']}, not with {setting}. Give another --out.")
    if found is None:
        size = min(plan.pool, len(data.train))
        if plan.labels[-1] > size:
            raise BadRunError(f"--labels-at goes to {plan.labels[-1]}; give at most the {size} texts of a pool.")
        rows = [
            asdict(case) for seed in plan.seeds for case in _Player(directory.name, data, plan, recipe, seed).cases()
        ]
        found = {"setting": setting, "cases": rows}
        replace_file(path, json.dumps(found, indent=1) + "\n")
    return [Case(**case) for case in found["cases"]]


class _Player:
    """One seed of a corpus."""

    def __init__(self, corpus: str, data: TextSet, plan: GatePlan, recipe: Recipe, seed: int):
        self._corpus, self._question, self._plan, self._recipe, self._seed = corpus, data.question, plan, recipe, seed
        self._pool = [data.train[i] for i in seed_positions(len(data.train), min(plan.pool, len(data.train)), seed)]
        self._test = data.test[: plan.test]
        self._label_of = {example.id: label for example, label in self._pool}

    def cases(self) -> Iterator[Case]:
        """Of each version but the first, and of what was spoilt in its place."""
        known = self._pool[: self._plan.labels[0]]
        while len({label for _, label in known}) < 2:  # no fit can be made of one class
            known = self._pool[: len(known) + 1]
        before = self._fitted(known, rest=self._rest(known))
        for labels in self._plan.labels[1:]:
            chosen = select(before.classifier, before.pool, STRATEGY, labels - len(known), self._seed)
            both, known = len(known), [*known, *((example, self._label_of[example.id]) for example in chosen)]
            after = self._fitted(known, rest=self._rest(known))
            yield self._case(known, both, GOOD, before, after)
            if self._plan.seeds.index(self._seed) < self._plan.spoilt:
                for fit in SPOILT:
                    given = self._shuffled(known, fit, len(chosen))
                    with suppress(DivergedError):  # no version comes of it
                        spoilt = self._fitted(given, fit)
                        yield self._case(given, both, fit, before, spoilt)
                        if fit == ALL_SHUFFLED:
                            yield self._case(known, both, FIT_SHUFFLED, before, spoilt)
            before = after

    def _rest(self, known: Sequence[Labelled]) -> list[Labelled]:
        ids = {example.id for example, _ in known}
        return [(example, label) for example, label in self._pool if example.id not in ids]

    def _fitted(self, known: Sequence[Labelled], fit: str = GOOD, rest: Sequence[Labelled] = ()) -> Round:
        recipe = replace(
            self._recipe,
            steps=5 if fit == FEW_STEPS else auto_recipe.steps(len(known)),
            learning_rate=self._recipe.learning_rate * RATES.get(fit, 1),
            seed=round_seed(self._seed, len(known)),
        )
        pool = [example for example, _ in rest]
        return run_round(recipe, self._question, known, pool, self._test, STRATEGY, features=True)

    def _shuffled(self, known: Sequence[Labelled], fit: str, new: int) -> list[Labelled]:
        labels = np.array([label for _, label in known])
        first = {NEW_SHUFFLED: len(known) - new, ALL_SHUFFLED: 0}.get(fit, len(known))
        labels[first:] = np.random.default_rng(self._seed).permutation(labels[first:])
        return [(example, str(label)) for (example, _), label in zip(known, labels, strict=True)]

    def _case(self, known: Sequence[Labelled], both: int, fit: str, before: Round, after: Round) -> Case:
        """Of the labels `known` to the version `after`, the first `both` are also those that the one before knows."""
        question, examples = self._question, [example for example, _ in known]
        assert before.scores is not None
        assert after.scores is not None
        assert after.labelled is not None
        right_N = question.class_numbers([label for _, label in known])
        before_N = question.predicted(before.classifier.predict_proba(examples, exact=False))
        after_N = question.predicted(after.labelled.probs_NC)
        of_both = judge(question, right_N[:both], before_N[:both], after_N[:both], MARGIN)
        verdict = judge(question, right_N, before_N, after_N, MARGIN)
        accuracies = (before.scores.accuracy, after.scores.accuracy)
        return Case(
            self._corpus, self._seed, len(known), fit, *accuracies, of_both.refused or verdict.refused, verdict.tells
        )


def to_markdown(cases: Sequence[Case]) -> str:
    """What became of versions as they should be, by corpus; and of spoilt ones, by what was spoilt and how far they
    fell."""
    counts = sorted({case.labels for case in cases})
    spoilt = "\n\n".join(_of_spoilt(cases, counts, fall) for fall in FALLS)
    return f"## {GOOD.capitalize()}\n\n{_of_good(cases, counts)}\n\n## Spoilt\n\n{spoilt}\n"


def _of_good(cases: Sequence[Case], counts: Sequence[int]) -> str:
    good = [case for case in cases if case.fit == GOOD]
    corpora = list(dict.fromkeys(case.corpus for case in good))
    rows = [
        [corpus, *(_counted([c for c in good if c.corpus == corpus and c.labels == labels]) for labels in counts)]
        for corpus in corpora
    ]
    total = ["all", *(_counted([case for case in good if case.labels == labels]) for labels in counts)]
    head = [f"refused, could tell, fell by {FALLS[0]:g} on test", *(f"{labels} labels" for labels in counts)]
    return markdown.table(head, [*rows, total])


def _counted(cases: Sequence[Case]) -> str:
    found = ([case.refused, case.tells, case.before - case.after >= FALLS[0]] for case in cases)
    return f"{', '.join(str(sum(column)) for column in zip(*found, strict=True))} of {len(cases)}"


def _of_spoilt(cases: Sequence[Case], counts: Sequence[int], fall: float) -> str:
    rows = [
        [fit, *(_caught([c for c in cases if c.fit == fit and c.labels == labels], fall) for labels in counts)]
        for fit in (*SPOILT, FIT_SHUFFLED)
    ]
    head = [f"fell by {fall:g} on test, refused of these", *(f"{labels} labels" for labels in counts)]
    return markdown.table(head, rows)


def _caught(cases: Sequence[Case], fall: float) -> str:
    """Of spoilt versions those that fell as far, with their mean accuracies, and how many of them were refused."""
    fell = [case for case in cases if case.before - case.after >= fall]
    if not fell:
        return f"0 of {len(cases)}"
    before, after = (float(np.mean([getattr(case, name) for case in fell])) for name in ("before", "after"))
    return f"{len(fell)} of {len(cases)} ({before:.2f} to {after:.2f}), {sum(case.refused for case in fell)}"
