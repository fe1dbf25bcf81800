"""Cells of a table that are kept as JSON once they were played; those of another plan are refused."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nextlabel.errors import BadRunError
from nextlabel.model import checkpoints
from nextlabel.simulation import records
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.store.files import replace_file


def setting_of(plan: Any, base_model: str, data: TextSet) -> dict[str, Any]:
    """What cells depend on: a plan, which is a dataclass of numbers and sequences, the checkpoint, and the texts."""
    named = {key: list(value) if isinstance(value, Sequence) else value for key, value in asdict(plan).items()}
    return {**named, "base_model": checkpoints.identity(base_model), "data": data.fingerprint}


def kept(path: Path, setting: Mapping[str, Any], play: Callable[[], Iterable[Any]]) -> list[dict[str, Any]]:
    """The fields of the cells, dataclasses, that the file holds; where there is none they are played and written.

    Lists that were tuples are tuples again. Raises `BadRunError` when the file has another setting.
    """
    found = records.read_json(path)
    if found is not None and found["setting"] != setting:
        raise BadRunError(f"{path} was played with {found['setting']}, not with {setting}. Give another --out.")
    if found is None:
        found = {"setting": setting, "cells": [asdict(cell) for cell in play()]}
        replace_file(path, json.dumps(found, indent=1) + "\n")
    return [
        {name: tuple(value) if isinstance(value, list) else value for name, value in cell.items()}
        for cell in found["cells"]
    ]
