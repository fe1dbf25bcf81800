"""A checkpoint's directory as one array of bytes, so that it can be sent, and a directory again. Imports no torch.

Refuses what is no part of a checkpoint as we load it, and names that lead out of the directory.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nextlabel.errors import NoModelError

Bytes = npt.NDArray[np.uint8]

HEADER = 8  # bytes that hold the length of the list of files, little-endian
KEPT = 4  # versions on a node, up to 440 MB each
OTHERS = {".bin", ".h5", ".msgpack", ".onnx", ".ot", ".pt", ".pth", ".tflite"}  # the same weights for other programs


def pack(directory: Path) -> Bytes:
    """The files of a checkpoint one after the other, after a list of their names and sizes. Raises `NoModelError`."""
    try:
        files = _files(directory)
        contents = [path.read_bytes() for path in files]
    except OSError as error:
        raise NoModelError(f"The checkpoint in {directory} cannot be read: {error.strerror}.") from error
    listed = json.dumps([[path.name, len(held)] for path, held in zip(files, contents, strict=True)]).encode()
    joined = b"".join([len(listed).to_bytes(HEADER, "little"), listed, *contents])
    return np.frombuffer(joined, dtype=np.uint8)


def key(directory: Path) -> str:
    """A name of what the files hold at the moment: other ones have another."""
    found = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(directory)]
    return f"{directory.absolute()} {hashlib.sha256(repr(found).encode()).hexdigest()[:16]}"


def _files(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.iterdir()) if path.is_file() and path.suffix not in OTHERS]


def unpack(packed: Bytes, directory: Path) -> Path:
    """The directory, with the files in it. Raises `NoModelError` for what `pack` has not made."""
    start = HEADER + int.from_bytes(packed[:HEADER].tobytes(), "little")
    listed = json.loads(packed[HEADER:start].tobytes())
    for name, size in listed:
        if name == ".." or Path(name).name != name or start + size > len(packed):
            raise NoModelError(f"A packed checkpoint holds a file {name!r} of {size} bytes, which cannot be unpacked.")
        (directory / name).write_bytes(packed[start : start + size])
        start += size
    return directory


def unpacked(packed: Bytes) -> Path:
    """A directory with the files, which all processes of a person on a machine share: made by the first that asks.

    In the machine's temporary directory, named by what is in it.
    """
    return _unpacked_in(_home(), packed)


def unpacked_to_load(packed: Bytes) -> Path:
    """As `unpacked`, of what is loaded at once and not read again: of such directories the newest few are kept."""
    home = _own_directory(_home() / "loaded")
    directory = _unpacked_in(home, packed)
    os.utime(directory)
    for old in sorted(home.iterdir(), key=_changed_at)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return directory


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has deleted it
        return 0.0


def _home() -> Path:
    return _own_directory(Path(tempfile.gettempdir()) / f"nextlabel-{os.getuid()}")


def _unpacked_in(home: Path, packed: Bytes) -> Path:
    directory = home / hashlib.sha256(packed.data).hexdigest()[:32]
    if not directory.is_dir():
        with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as made:
            unpack(packed, Path(made))
            with suppress(OSError):  # another process was faster
                Path(made).rename(directory)
    return directory


def _own_directory(path: Path) -> Path:
    """Nobody else may write what we load."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise NoModelError(f"{path} is not a directory that belongs to this user alone. Remove it, or set TMPDIR.")
    return path
