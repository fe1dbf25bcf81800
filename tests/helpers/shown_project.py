"""Projects with something in every section of their page, as if people had labelled for a week. No model is fitted."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from helpers.versions import make_card
from nextlabel.learning.judging import ANSWERED, ControlText, Said, judge
from nextlabel.problems.advice import HARDLY_CHANGES, Advice
from nextlabel.problems.helping import Forecast, Helping, Measured, NextLabels
from nextlabel.problems.judgement import Judgement
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.versions import version_name
from nextlabel.versions.registry import Registry
from nextlabel.web import panels

LABELS = ("Delivery", "Refund", "Account", "Praise", "Other")
TEXTS = (
    "My parcel should have come on Monday, and the tracking page has said the same since then.",
    "You took the money twice. When do I get the second payment back?",
    "I cannot sign in any more since you changed the password rules.",
    "Thank you, that was quick and friendly!",
    "Is your shop in the old town open on Saturdays?",
    "The courier left the box in the rain, half of what was in it is spoilt; do I send it back or do you fetch it?",
    "Please delete my account, and tell me in writing that you did.",
)
FITTED_ON = (8, 16, 32, 64, 128, 192, 256, 320)
ON_DISK = 5  # of these versions; the older ones were deleted
LIKE = ((0.41, 0.26), (0.52, 0.2), (0.61, 0.15), (0.7, 0.11), (0.76, 0.09), (0.79, 0.08), (0.82, 0.07), (0.84, 0.06))


def fill(model_dir: Path, project: int, now: datetime, title: str = "Mails to the shop") -> None:
    """A project of which everything is known, five of its eight versions on disk."""
    registry, board = Registry(model_dir), StatusBoard(model_dir)
    registry.know(project)
    registry.put_options(project, ProjectOptions(defaults=LATEST, control_seed="s", own={"window": 64}))
    for number in range(len(FITTED_ON) - ON_DISK, len(FITTED_ON)):
        registry.save(_card(project, number, now), {}, lambda directory: None)
    active = _name(len(FITTED_ON) - 1, now)
    registry.promote(project, active)
    at = now.timestamp()
    board.put_queue(
        project, at, state="published", title=title, tasks=3700, labels=347, control=39, pending=3,
        pool=2983, left=3314, window=64, held=2, version=active, order=active.replace("-8-", "-8.4-"), known=344,
        outside=1,
        how_to_find='To find tasks, filter for Prediction results that contain `"choices": ["Refund"]`.',
        warnings=("12 labels are of copies of other labelled texts, and 2 contradict them.",),
        remarks=("A label in the middle takes 9 s.",), wanted={"Refund": {"labels": 52, "target": 80}},
    )  # fmt: skip
    board.put_fit(project, at, state="idle", fits=8)
    board.put_quality(project, judgement_of(active.replace("-8-", "-8.4-")))
    forecast = Forecast(347, 0.052, 0.021, 0.083, (1.4, 2.1))
    following = NextLabels(64, 0.024, 900, 9.0)
    board.put_helping(project, Helping(active, at - 4000, Measured(39, None, None, more=153), forecast, following))
    advice = "The next 64 labels will hardly change the accuracy by more than 1.2 points."
    board.put_advice(project, Advice(HARDLY_CHANGES, advice, at))
    with Pool(pool_path(model_dir, project)) as pool:
        pool.upsert(_row(number) for number in range(1, 60))


def judgement_of(order: str) -> Judgement:
    """By 39 control labels, of which 34 are right."""
    right_N = np.arange(39) % len(LABELS)
    said_N = np.where(np.arange(39) % 8 == 7, (right_N + 1) % len(LABELS), right_N)
    probs_NK = np.full((39, len(LABELS)), 0.03)
    probs_NK[np.arange(39), said_N] += 0.85
    texts = [ControlText((n + 1,), ANSWERED, LABELS[k]) for n, k in enumerate(right_N)]
    texts += [ControlText((1000 + n,), "open") for n in range(331)]
    return judge(0.1, texts, 10**6, LABELS, Said(order, LABELS, dict(enumerate(probs_NK, 1)), ()), noted=True)


def _name(number: int, now: datetime) -> str:
    return version_name(number + 1, now - timedelta(hours=5 * (len(FITTED_ON) - number)))


def _card(project: int, number: int, now: datetime) -> Any:
    made = now - timedelta(hours=5 * (len(FITTED_ON) - number))
    refused = "its score is 0.083 below that of version 5" if number == 5 else ""
    return make_card(
        number + 1, LABELS, project, version=_name(number, now), created_at=made.isoformat(), refused=refused,
        label_counts=dict.fromkeys(LABELS, FITTED_ON[number] // len(LABELS)), judged="the control set (39)",
        parent=_name(number - 1, now) if number > len(FITTED_ON) - ON_DISK else None, known=FITTED_ON[number],
        seconds={"prepare": 0.1, "fit": 21.4, "evaluate": 0.6, "score": 4.2, "save": 0.3, "publish": 2.2, "total": 29},
    )  # fmt: skip


def _row(number: int) -> TaskRow:
    votes = (Vote(LABELS[number % len(LABELS)], False, ""),) if number > 30 else ()
    return TaskRow(number, Example(number, TEXTS[number % len(TEXTS)]), False, False, False, len(votes), votes)


def told(now: datetime) -> dict[str, Any]:
    """What the sections say that others put on the board, by the function of `panels` that asks for it."""
    share = {"value": 0.84, "low": 0.78, "high": 0.9, "n": 39}
    history = [
        {
            "version": _name(number, now), "name": str(number + 1), "labels": labels, "at": now.timestamp(),
            "promoted": number != 5, "judged_by": "control set", "macro_f1": None if number < 3 else share,
            "accuracy": {"value": value, "low": value - half, "high": min(1.0, value + half), "n": 39},
            "majority": 0.31,
        }
        for number, (labels, (value, half)) in enumerate(zip(FITTED_ON, LIKE, strict=True))
    ]  # fmt: skip
    random = [
        {"labels": n, "value": v, "low": v - 0.05, "high": v + 0.05, "kind": "forecast"}
        for n, v in ((64, 0.64), (128, 0.7), (192, 0.74), (256, 0.77), (320, 0.79))
    ]
    return {
        "history_of": history,
        "random_of": random,
        "next_of": {"at": now.timestamp(), "order": history[-1]["version"], "tasks": [_next(n) for n in range(1, 11)]},
        "people_of": _people(now),
        "look_again_of": _look_again(now),
    }


def _next(rank: int) -> dict[str, Any]:
    kinds = {3: "control", 7: "wanted"}
    value = None if rank in kinds else 0.98 - rank / 50
    why = "the two most likely classes are nearly as likely" if value else "drawn at random, to tell how good it is"
    near = [{"task": 30 + n, "label": LABELS[n % 5], "similarity": 0.9 - n / 20} for n in range(1, 4)]
    label = None if rank in kinds else LABELS[rank % 5]
    return {"task": rank, "kind": kinds.get(rank, "value"), "value": value, "rank": rank, "why": why, "label": label,
            "probability": None if label is None else 0.41, "neighbours": near if label else []}  # fmt: skip


def _people(now: datetime) -> dict[str, Any]:
    people = [
        {"name": name, "today": today, "labels": labels, "pace_s": pace, "alike": alike, "of": 18, "verdict": verdict}
        for name, today, labels, pace, alike, verdict in (
            ("ada@shop.example", 41, 180, 8.2, 16, "like the others"), ("ben@shop.example", 12, 167, 10.4, 15, ""),
        )
    ]  # fmt: skip
    agreement = {"alike": 16, "of": 18, "low": 0.65, "high": 0.99}
    today = {"labels": 53, "people": 2}
    return {"at": now.timestamp(), "names_shown": True, "today": today, "pace_s": 9.1, "agreement": agreement,
            "people": people}  # fmt: skip


def _look_again(now: datetime) -> dict[str, Any]:
    reasons = ["the model says Refund (0.93)", "4 of 5 neighbours are Refund"]
    tasks = [
        {"task": 30 + n, "label": LABELS[n % 5], "doubt": 0.9 - n / 10, "reasons": reasons[: 1 + n % 2], "state": state}
        for n, state in ((1, "open"), (4, "waiting"), (9, "waiting"))
    ]
    return {"at": now.timestamp(), "on": True, "open": 1, "most_open": 3, "tasks": tasks}


@contextmanager
def saying(said: dict[str, Any]) -> Iterator[None]:
    """The sections of others say so, in this process."""
    with ExitStack() as patches:
        for name, value in said.items():
            patches.enter_context(patch.object(panels, name, lambda project, value=value: value))
        yield


def long_ago() -> datetime:
    """A time that is always the same, for what must not change."""
    return datetime(2026, 11, 24, 6, 30, tzinfo=timezone.utc)
