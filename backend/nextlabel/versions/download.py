"""A version with its newest head as one archive, made while it is sent: a piece at a time is in memory, and no model.

The head takes the place of the last layer's numbers in the file of weights, which is safetensors: a length, a
description in JSON, and the numbers.
"""

import json
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from nextlabel.errors import NotPossibleError
from nextlabel.values.linear import Linear
from nextlabel.versions import heads
from nextlabel.versions.registry import CARD, LABELS, MANIFEST, Registry

WEIGHTS = "model.safetensors"
OURS = (CARD, LABELS, MANIFEST)  # not of the checkpoint: they name tasks
PIECE = 2**20  # bytes
NUMBERS = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
OTHER_FORM = (
    "{name} answers the form as it is now, which has other labels than the version's weights. Wait for the next "
    "version, or take it with `nextlabel export --project {project} --out DIR`."
)
MADE = (1980, 1, 1, 0, 0, 0)  # the same bytes at each download


def zipped(registry: Registry, project: int, version: str) -> tuple[str, Iterator[bytes]]:
    """The name of the head, or of the version without one, and the archive, a piece at a time.

    Raises `NoModelError` when the version is damaged, `NotPossibleError` when its last layer cannot be told from
    others, or its head answers another form.
    """
    registry.verify(project, version)
    path = registry.path(project, version)
    name, head = heads.newest(path) or (version, None)
    if head and head.labels != registry.card(project, version).labels:
        raise NotPossibleError(OTHER_FORM.format(name=name, project=project))
    patches = _patches(path / WEIGHTS, head.layer, version) if head else []
    return name, _pieces(path, name, patches)


@dataclass(frozen=True)
class _Patch:
    """What stands at a place of a file instead."""

    at: int
    content: bytes


class _Sink:
    """What a zip file writes into, emptied after each piece."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, content: bytes) -> int:
        self._held += content
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        found = bytes(self._held)
        self._held.clear()
        return found


def _pieces(path: Path, name: str, patches: list[_Patch]) -> Iterator[bytes]:
    sink = _Sink()
    files = sorted(file for file in path.iterdir() if file.is_file() and file.name not in OURS)
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{name}/{file.name}", MADE)
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as into, file.open("rb") as opened:
                at = 0
                while piece := opened.read(PIECE):
                    into.write(_patched(piece, at, patches if file.name == WEIGHTS else []))
                    at += len(piece)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


def _patched(piece: bytes, at: int, patches: list[_Patch]) -> bytes:
    """A piece of a file that begins at a place, with what is to stand there instead."""
    changed = bytearray(piece)
    for patch in patches:
        first, last = max(at, patch.at), min(at + len(piece), patch.at + len(patch.content))
        if first < last:
            changed[first - at : last - at] = patch.content[first - patch.at : last - patch.at]
    return bytes(changed)


def _patches(weights: Path, layer: Linear, version: str) -> list[_Patch]:
    tensors, start = _described(weights)
    name = _name_of(tensors, layer, version)
    numbers = {f"{name}.weight": layer.weights_CD}
    if layer.bias_C is not None:
        numbers[f"{name}.bias"] = layer.bias_C
    return [
        _Patch(start + tensors[tensor]["data_offsets"][0], array.astype(NUMBERS[tensors[tensor]["dtype"]]).tobytes())
        for tensor, array in numbers.items()
    ]


def _described(weights: Path) -> tuple[dict[str, Any], int]:
    """The tensors by name, and where the numbers begin."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), 8 + length


def _name_of(tensors: dict[str, Any], layer: Linear, version: str) -> str:
    """The one layer of that shape. Of several it is the one that all models of transformers name so."""
    shapes = {name: tuple(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__"}
    known = {name for name in shapes if tensors[name]["dtype"] in NUMBERS}
    found = [
        name.removesuffix(".weight")
        for name in sorted(known)
        if name.endswith(".weight")
        and shapes[name] == layer.weights_CD.shape
        and _has_bias(shapes, name) == (layer.bias_C is not None)
    ]
    found = [name for name in found if name.startswith(("classifier", "score"))] or found
    if len(found) != 1:
        raise NotPossibleError(
            f"Which layer of {version} makes the logits cannot be told from its file alone: take it with "
            "`nextlabel export --project ID --out DIR`."
        )
    return found[0]


def _has_bias(shapes: dict[str, tuple[int, ...]], name: str) -> bool:
    bias = name.removesuffix("weight") + "bias"
    return shapes.get(bias) == shapes[name][:1]
