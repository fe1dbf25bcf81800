"""Versions for tests of what holds them: cards, weights that are a few bytes, damage."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nextlabel.values.examples import Example
from nextlabel.values.versions import Card, version_name

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=timezone.utc)
EXAMPLES = [Example(i, text) for i, text in enumerate(["good", "what a bad and long idea", "so and so", "a fine day"])]


def make_card(number: int, labels: Sequence[str] = ("pos", "neg"), project: int = 1, **fields: Any) -> Card:
    """The card of a version, its fields as given and the others as a fit might have left them."""
    card = Card(
        version=version_name(number, NOW),
        number=number,
        project=project,
        parent=None,
        labels=tuple(labels),
        label_counts=dict.fromkeys(labels, 2),
        base_model="MiniLM",
        strategy="entropy",
        seed=0,
        recipe={"steps": 3, "learning_rate": 2e-5},
        scores={"accuracy": 0.5, "f1": 0.25, "combined": 0.375},
        pool=0,
        seconds={"fit": 1.0, "score": 0.5},
        device="cpu",
        precision="fp32",
        libraries={"torch": "2"},
        created_at=NOW.isoformat(),
        reason="6 new labels",
    )
    return replace(card, **fields)


def write_weights(directory: Path) -> None:
    """What `Registry.save` is given in place of a classifier."""
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "model.safetensors").chmod(0o600)


def cut(file: Path) -> None:
    """Leave three bytes."""
    file.write_bytes(file.read_bytes()[:3])
