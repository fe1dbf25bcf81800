"""What each version of a simulation said of every dev and test example, in one small file a seed. Knows no models.

From these files every measure of quality can be computed after a run: `DIRECTORY/seed-3.zip` holds the members
`margin/2/dev-classes.npy` (N class numbers) and `margin/2/dev-probs.npy` (N x C, 255 stands for 1), and the same for
`test`. `targets.json` has the right answers, in the same order. Of a form the classes are N x C of 0 and 1, a column
for each label, and its right answers null where a question was not answered.
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel.errors import BadRunError
from nextlabel.problems.form import Form
from nextlabel.problems.question import Question
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.store.files import replace_file
from nextlabel.values import arrays
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.layout import Layout

DIRECTORY, TARGETS = "probabilities", "targets.json"
PARTS = ("dev", "test")
LEVELS = 255
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same probabilities make the same bytes whenever they are written
REMEDY = "Restore the file, or delete it and give the command that made it again: its arms are begun anew."
DAMAGE = (zipfile.BadZipFile, zlib.error, LookupError, ValueError, EOFError, RuntimeError)  # what it shows as


@dataclass(frozen=True)
class Said:
    """What a version says of the N examples of a part: the likeliest class, and all probabilities in steps of 1/255.

    The class is that of the probabilities before they were rounded. Of a form it is (N, C), which labels are given.
    """

    classes_N: Ints
    probs_NC: Array


@dataclass(frozen=True)
class Targets:
    """The right class numbers of the N examples of a part, and their ids; of a form as `Layout.targets` has them."""

    ids_N: Ints
    classes_N: arrays.Targets


def likeliest(probs_NC: Array) -> Ints:
    """The class of each example."""
    classes_N: Ints = probs_NC.argmax(axis=1)
    return classes_N


def write(
    out: Path,
    seed: int,
    strategy: str,
    number: int,
    parts: Mapping[str, Array],
    predicted: Callable[[Array], arrays.Targets] = likeliest,
) -> None:
    """Add a round's probabilities, by part, to the seed's file, with what is `predicted` by them: whole or not at all.
    Raises `OSError`."""
    path = _path(out, seed)
    members = {name: content for name, content in _members(path) if not name.startswith(f"{strategy}/{number}/")}
    for part, probs_NC in parts.items():
        wide = np.uint8 if probs_NC.shape[1] <= 256 else np.uint16
        members[_name(strategy, number, part, "classes")] = _bytes(predicted(probs_NC).astype(wide))
        members[_name(strategy, number, part, "probs")] = _bytes(np.rint(probs_NC * LEVELS).astype(np.uint8))
    path.parent.mkdir(exist_ok=True)
    replace_file(path, _zipped(members), durable=True)


def read(out: Path, seed: int, strategy: str, number: int) -> dict[str, Said]:
    """What was said in a round, by part. Raises `BadRunError` when it is missing or damaged."""
    path = _path(out, seed)
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            known = set(archive.namelist())
            for part in PARTS:
                if _name(strategy, number, part, "classes") in known:
                    classes_N, levels_NC = (
                        np.load(io.BytesIO(archive.read(_name(strategy, number, part, what))))
                        for what in ("classes", "probs")
                    )
                    found[part] = Said(classes_N.astype(np.int64), levels_NC / LEVELS)
    except (OSError, *DAMAGE) as error:
        raise BadRunError(f"{path} cannot be read: {error}. {REMEDY}") from None
    if not found:
        raise BadRunError(f"{path} holds nothing of round {number} of {strategy}. {REMEDY}")
    return found


def rounds(out: Path, seed: int, strategy: str) -> int:
    """Of how many rounds of an arm there is a word in the seed's file. Raises `BadRunError` when it is damaged."""
    return len({name.split("/")[1] for name, _ in _members(_path(out, seed)) if name.startswith(f"{strategy}/")})


def forget(out: Path, seed: int, strategy: str) -> None:
    """Take an arm's rounds out of the seed's file. Raises `OSError`."""
    path = _path(out, seed)
    if path.exists():
        kept = {name: content for name, content in _members(path) if not name.startswith(f"{strategy}/")}
        replace_file(path, _zipped(kept), durable=True)


def write_targets(out: Path, labels: Sequence[str], parts: Mapping[str, Targets], layout: Layout | None = None) -> None:
    """Write the right answers of each part. Raises `OSError`."""
    told = {
        name: {"ids": part.ids_N.tolist(), "classes": _plain(part.classes_N)}
        for name, part in parts.items()
        if len(part.ids_N)
    }
    asked = {"questions": layout.as_dict()} if layout else {}
    replace_file(out / TARGETS, json.dumps({"labels": list(labels), **asked, **told}) + "\n", durable=True)


def _plain(classes: arrays.Targets) -> list[Any]:
    """JSON has no NaN."""
    if classes.ndim == 1:
        return list(classes.tolist())
    return [[None if math.isnan(given) else int(given) for given in row] for row in classes.tolist()]


def read_question(out: Path) -> Question:
    """What the right answers are answers to. Raises `BadRunError` as `read_targets`."""
    with _targets_of(out) as told:
        layout = Layout.of(told.get("questions"))
        return Form.of_layout(layout) if layout else SingleChoice(tuple(map(str, told["labels"])))


def read_targets(out: Path) -> dict[str, Targets]:
    """The right answers of each part. Raises `BadRunError` when they are missing or damaged."""
    with _targets_of(out) as told:
        of_classes = np.float64 if told.get("questions") else np.int64
        return {
            name: Targets(
                np.array(told[name]["ids"], dtype=np.int64), np.array(told[name]["classes"], dtype=of_classes)
            )
            for name in PARTS
            if name in told
        }


@contextmanager
def _targets_of(out: Path) -> Iterator[dict[str, Any]]:
    """What the file tells; says what is wrong with it when it cannot be read, or not as it should be."""
    try:
        told = json.loads((out / TARGETS).read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no JSON object")
        yield told
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadRunError(
            f"{out / TARGETS} cannot be read: {error}. Restore the file, or give the run again."
        ) from None


def _path(out: Path, seed: int) -> Path:
    return out / DIRECTORY / f"seed-{seed}.zip"


def _name(strategy: str, number: int, part: str, what: str) -> str:
    return f"{strategy}/{number}/{part}-{what}.npy"


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """What is in a file; nothing when there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield from [(name, archive.read(name)) for name in archive.namelist()]
    except FileNotFoundError:
        return
    except DAMAGE as error:
        raise BadRunError(f"{path} cannot be read: {error}. {REMEDY}") from None


def _bytes(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), members[name], zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
