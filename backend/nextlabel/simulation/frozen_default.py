"""A default of new projects that was frozen in a file before it was played: its options, and how it is to be played.

Knows no models. `reports/frozen-default.json` is such a file, docs/frozen.md says what stands in it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextlabel.errors import BadRunError
from nextlabel.learning import auto_recipe, control, heads, near_copies
from nextlabel.learning.start_order import SERVED_START
from nextlabel.learning.strategies import SERVED
from nextlabel.simulation import baselines
from nextlabel.simulation.records import RANDOM

SERVED_HERE: Mapping[str, object] = {
    "query_strategy": SERVED,
    "start_order": SERVED_START,
    "head_every": heads.EVERY,
    "head_precision": heads.PRECISION,
    "near_copies_cosine": near_copies.Alike().embedded,
    "near_copies_words": near_copies.RULE,
    "control_share": control.SERVED_SHARE,
    "control_spacing": control.RULE,
    "auto_recipe": auto_recipe.RULE,
    "auto_batch_size": auto_recipe.BATCH,
    **{f"auto_{name}": value for name, value in auto_recipe.FIXED.items()},
}
PARTS = ("strategy", "seeds", "full_seeds", "labels_at")  # of which a part may be played, and the rest later


@dataclass(frozen=True)
class FrozenDefault:
    """What a file froze: the checkpoint by its content, and the options of `nextlabel simulate` to play it with."""

    path: Path
    sha256: str
    base_model: str
    played: Mapping[str, Any]

    def require_checkpoint(self, identity: str) -> None:
        """Raises `BadRunError` unless it is the checkpoint of the file, whatever its directory is called."""
        if content_of(identity) != content_of(self.base_model):
            raise BadRunError(
                f"{self.path} was frozen with {self.base_model}, and --base-model is {identity}. Give that one, or "
                "leave out --frozen."
            )

    def counts(self, given: tuple[int, ...] | None, available: int) -> tuple[int, ...] | None:
        """The label counts that so many training examples reach. Raises `BadRunError` where others are given, as who
        chose among them might stop where an arm is ahead, and for fewer than two, of which nothing is compared."""
        if "labels_at" not in self.played:
            return given
        reached = tuple(count for count in self.played["labels_at"] if count <= available)
        if len(reached) < 2:
            raise BadRunError(
                f"{self.path} plays {_shown(self.played['labels_at'])} labels, of which {available} training examples "
                "reach fewer than two. Give more of them, or leave out --frozen."
            )
        if given not in (None, reached):
            raise BadRunError(
                f"--labels-at {_shown(given)} contradicts {self.path}, which plays {_shown(reached)} on {available} "
                "training examples. Leave it out, or --frozen."
            )
        return reached

    def settled(self, name: str, given: object) -> Any:
        """The value of an option, of which nothing or the file's value was given, or a part of what it plays. Raises
        `BadRunError` for another."""
        frozen = self.played.get(name)
        if given is None or given == frozen:
            return frozen
        if name in PARTS and _is_part(given, frozen):
            return given
        instead = f"which plays {_shown(frozen)}" if name in self.played else "which leaves that to the default"
        option = f"--{name.replace('_', '-')} {_shown(given)}".rstrip()
        raise BadRunError(f"{option} contradicts {self.path}, {instead}. Leave it out, or --frozen.")


def read(path: Path) -> FrozenDefault:
    """The file. Raises `BadRunError` when it is none, or when this build serves new projects otherwise."""
    try:
        content = path.read_bytes()
        told = json.loads(content)
        default, played, base_model = told["default"], dict(told["played"]), str(told["base_model"])
        differing = [
            f"{name} is {value!r}, not {default[name]!r}"
            for name, value in SERVED_HERE.items()
            if default[name] != value
        ]
        if "labels_at" in played:
            played["labels_at"] = tuple(played["labels_at"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRunError(
            f"--frozen {path} cannot be read as a frozen default: {error!r}. Give another file."
        ) from None
    if differing:
        raise BadRunError(
            f"This build serves new projects otherwise than {path} froze: {'; '.join(differing)}. Play it with the "
            "build that it was frozen with."
        )
    return FrozenDefault(path, hashlib.sha256(content).hexdigest(), base_model, played)


def content_of(identity: str) -> str:
    """Of a checkpoint's identity the hash."""
    return identity.rpartition("(")[2]


def _is_part(given: object, frozen: object) -> bool:
    """Random sampling is an arm of every run, baselines do not depend on what was frozen, and a corpus may have fewer
    texts than the last label count."""
    if isinstance(given, tuple) and isinstance(frozen, tuple):
        return given == frozen[: len(given)]
    if isinstance(given, int) and isinstance(frozen, int):
        return given <= frozen
    if not isinstance(given, list) or not isinstance(frozen, list):
        return False
    return all(one in (*frozen, RANDOM) or baselines.kind_of(str(one)) for one in given)


def _shown(value: object) -> str:
    if value is True:
        return ""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
