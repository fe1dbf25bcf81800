"""A checkpoint that is sent: the same files on the other side, and nothing outside its directory."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from nextlabel.errors import NoModelError
from nextlabel.model import packed
from nextlabel.model.packed import KEPT


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of another machine."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    return home


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    for name, content in (("config.json", b"{}"), ("model.safetensors", bytes(range(256)) * 9), ("empty.txt", b"")):
        (directory / name).write_bytes(content)
    return directory


def test_the_files_are_the_same_and_weights_for_other_programs_stay(checkpoint: Path, elsewhere: Path) -> None:
    before = files(checkpoint)
    (checkpoint / "pytorch_model.bin").write_bytes(b"pickled")
    (checkpoint / "onnx").mkdir()
    found = packed.unpacked(packed.pack(checkpoint))
    assert found.is_relative_to(elsewhere)
    assert files(found) == before


def test_who_asks_again_gets_the_same_directory_and_other_files_another(checkpoint: Path, elsewhere: Path) -> None:
    key, first = packed.key(checkpoint), packed.unpacked(packed.pack(checkpoint))
    assert packed.unpacked(packed.pack(checkpoint)) == first
    assert packed.key(checkpoint) == key
    (checkpoint / "config.json").write_bytes(b"{ }")
    assert packed.key(checkpoint) != key
    assert packed.unpacked(packed.pack(checkpoint)) != first
    assert len(list(first.parent.iterdir())) == 2, "nothing half made is left"


def test_of_versions_the_newest_few_are_kept_and_what_fits_begin_with_stays(checkpoint: Path, elsewhere: Path) -> None:
    base, versions = packed.unpacked(packed.pack(checkpoint)), list[Path]()
    for number in range(KEPT + 2):
        (checkpoint / "config.json").write_text(f"{number}")
        versions.append(packed.unpacked_to_load(packed.pack(checkpoint)))
        os.utime(versions[-1], (number, number))
        if number:  # asked for again and again, it stays
            (checkpoint / "config.json").write_text("0")
            assert packed.unpacked_to_load(packed.pack(checkpoint)) == versions[0]
    left = {path for path in versions[0].parent.iterdir() if path.is_dir()}
    assert left == {versions[0], *versions[-KEPT + 1 :]}
    assert base.is_dir()


def test_nothing_is_left_of_what_was_interrupted(
    checkpoint: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(held: packed.Bytes, directory: Path) -> Path:
        (directory / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(packed, "unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packed.unpacked(packed.pack(checkpoint))
    assert [path.name for path in elsewhere.rglob("*") if path.is_file() or path.name.startswith("tmp")] == []


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/b", ".."])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    listed = json.dumps([[name, 1]]).encode()
    sent = np.frombuffer(len(listed).to_bytes(8, "little") + listed + b"x", dtype=np.uint8)
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(NoModelError, match="cannot be unpacked"):
        packed.unpack(sent, inside)
    assert list(tmp_path.rglob("*")) == [inside]


def test_a_directory_that_others_may_write_is_not_trusted(checkpoint: Path, elsewhere: Path) -> None:
    home = packed.unpacked(packed.pack(checkpoint)).parent
    home.chmod(0o777)
    with pytest.raises(NoModelError, match="belongs to this user alone"):
        packed.unpacked(packed.pack(checkpoint))


def test_a_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoModelError, match="gone cannot be read"):
        packed.pack(tmp_path / "gone")
