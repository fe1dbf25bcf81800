"""The last version of a project: fitted on everything, judged by nothing. It never enters a queue."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel import __version__
from nextlabel.compute import local
from nextlabel.compute.tasks import ClusterAwayError
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.copies import counted_once, lighter
from nextlabel.learning.rounds import Round, StageProgress, round_seed, run_round
from nextlabel.loop.elsewhere import Elsewhere, elsewhere_of
from nextlabel.loop.fitting import label_counts, recipe_of
from nextlabel.loop.leaving import README, base_of, full_copy_of
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.problems.judgement import Judgement
from nextlabel.problems.question import Question
from nextlabel.settings import Settings, for_project
from nextlabel.store.files import replace_file
from nextlabel.store.state import SyncState
from nextlabel.versions.exporting import require_empty, whole
from nextlabel.versions.model_card import Facts, Owner, model_card
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

NOBODY = Owner()
WHAT = "the last version: fitted on every label, of the control set and the holdout too, and judged by nothing"


def write_final(
    settings: Settings,
    registry: Registry,
    project: int,
    directory: Path,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    owner: Owner = NOBODY,
    elsewhere: Elsewhere | None = None,
) -> int:
    """Fit on all labels of the local copy and write a checkpoint that plain transformers loads, with cards that say
    what it is; returns how many labels it knows, copies once. `elsewhere` is what the settings name if not given.

    Raises `NextlabelError` when the directory is not empty or cannot be written, or its tasks were not all read;
    `NotEnoughLabelsError` when labels are missing.
    """
    require_empty(directory)
    options = registry.options(project)
    with full_copy_of(settings, project) as pool:
        form = pool.state(SyncState).label_config
        config = parse_label_config(form, options)
        question = config.question
        asked = [(task.example, [vote for vote in task.votes if vote.weight]) for task in pool.asked(pool.annotated())]
        left_out = pool.counted_less()
    answered = [(example, votes) for example, votes in asked if votes]
    labelled = counted_once(question, answered)
    weights = lighter(question, answered, labelled)
    weights_N = np.array([weights.get(example.id, 1.0) for example, _ in labelled])
    recipe = recipe_of(settings, round_seed(settings.seed, 0), for_project(settings, options), len(labelled))
    asked_of = elsewhere or elsewhere_of(settings)
    result = _fitted(asked_of, recipe, question, labelled, [], [], "entropy", _teller(), weights_N=weights_N)
    labels = [label for _, label in labelled]
    card: dict[str, Any] = {
        "what": WHAT,
        "project": project,
        "labels": list(question.labels),
        "label_counts": label_counts(question, labels),
        "fitted_on": len(labelled),
        "counted_less": asdict(left_out),
        "recipe": asdict(recipe),
        "steps": result.steps,
        "libraries": classifiers.package_versions(),
        **result.where,
        "created_at": now().isoformat(timespec="seconds"),
    }
    facts = _facts(card, question, recipe, form, config.fields, result.classifier.max_length, owner)
    with whole(directory) as beside:
        result.classifier.save(beside)
        replace_file(beside / "card.json", json.dumps(card, ensure_ascii=False, indent=1))
        replace_file(beside / README, model_card(facts))
    return len(labelled)


def _facts(
    card: Mapping[str, Any],
    question: Question,
    recipe: Recipe,
    form: str,
    fields: tuple[str, ...],
    max_length: int,
    owner: Owner,
) -> Facts:
    base_model, on_hub = base_of(recipe.base_model)
    return Facts(
        name="final",
        release=__version__,
        project=card["project"],
        is_head=False,
        labels=question.labels,
        layout=question.layout,
        counts=card["label_counts"],
        fitted_on=card["fitted_on"],
        made_at=card["created_at"],
        base_model=base_model,
        base_on_hub=on_hub,
        recipe=card["recipe"],
        fields=fields,
        max_length=max_length,
        form=form,
        judgement=Judgement(why=f"it is {WHAT}"),
        certificate=None,
        version_scores=None,
        owner=owner,
    )


def _fitted(elsewhere: Elsewhere | None, *asked: Any, **more: Any) -> Round:
    """As `run_round`: on the cluster, or here if there is none or it cannot be had."""
    if elsewhere is not None:
        try:
            return elsewhere.round(*asked, **more)
        except ClusterAwayError as error:
            log.warning("the fit is made here: %s", error)
    return local.run(run_round, *asked, **more)


def _teller() -> StageProgress:
    """Logs each tenth of a stage once."""
    last: tuple[str, int] | None = None

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        if (now := (stage, done * 10 // max(1, total))) != last:
            last = now
            log.info("%s %d of %d", stage, done, total)

    return tell
