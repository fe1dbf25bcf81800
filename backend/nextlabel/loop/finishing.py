"""The last version of a project: fitted on everything, judged by nothing. It never enters a queue."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from nextlabel.compute import local
from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.copies import counted_once, lighter
from nextlabel.learning.rounds import round_seed, run_round
from nextlabel.loop.fitting import label_counts, recipe_of
from nextlabel.model import classifier as classifiers
from nextlabel.settings import Settings, for_project
from nextlabel.store.files import replace_file
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.versions.exporting import require_empty, whole
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

WHAT = "the last version: fitted on every label, of the control set and the holdout too, and judged by nothing"


def write_final(
    settings: Settings,
    registry: Registry,
    project: int,
    directory: Path,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> int:
    """Fit on all labels of the local copy and write a checkpoint that plain transformers loads, with a card that says
    what it is; returns how many labels it knows, copies once.

    Raises `NextlabelError` when the directory is not empty or cannot be written, or nothing was read of the project;
    `NotEnoughLabelsError` when labels are missing.
    """
    require_empty(directory)
    path = pool_path(settings.model_dir, project)
    if not path.exists():
        raise NextlabelError(
            f"MODEL_DIR={settings.model_dir} holds no tasks of project {project}. Set MODEL_DIR to the backend's, and "
            "--project to the number in its address."
        )
    options = registry.options(project)
    with Pool(path) as pool:
        question = parse_label_config(pool.state(SyncState).label_config, options).question
        asked = [(task.example, [vote for vote in task.votes if vote.weight]) for task in pool.asked(pool.annotated())]
        left_out = pool.counted_less()
    answered = [(example, votes) for example, votes in asked if votes]
    labelled = counted_once(question, answered)
    weights = lighter(question, answered, labelled)
    weights_N = np.array([weights.get(example.id, 1.0) for example, _ in labelled])
    recipe = recipe_of(settings, round_seed(settings.seed, 0), for_project(settings, options), len(labelled))
    result = local.run(run_round, recipe, question, labelled, [], [], "entropy", _tell, weights_N=weights_N)
    labels = [label for _, label in labelled]
    card = {
        "what": WHAT,
        "project": project,
        "labels": list(question.labels),
        "label_counts": label_counts(question, labels),
        "counted_less": asdict(left_out),
        "recipe": asdict(recipe),
        "steps": result.steps,
        "libraries": classifiers.package_versions(),
        "created_at": now().isoformat(timespec="seconds"),
    }
    with whole(directory) as beside:
        result.classifier.save(beside)
        replace_file(beside / "card.json", json.dumps(card, ensure_ascii=False, indent=1))
    return len(labelled)


def _tell(stage: str, done: int, total: int) -> None:
    if done % max(1, total // 10) == 0:
        log.info("%s %d of %d", stage, done, total)
