"""One zip file of what cannot be made again: cards and lists of labels, audits, what Label Studio keeps as options.

It is written whole, and read with care: every name has to be one that is written here, every file what its digest says.
Refuses weights, which a fit makes again, and what lies elsewhere.
"""

import hashlib
import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nextlabel.errors import BadBackupError
from nextlabel.values.versions import is_ours
from nextlabel.versions.audits import Audits
from nextlabel.versions.endings import ENDING, STEPS, Endings
from nextlabel.versions.history import FILE
from nextlabel.versions.registry import CARD, LABELS, MANIFEST, OPTIONS, POINTER, TRAIL, UNFINISHED, Registry

FORMAT = 1
INDEX = "backup.json"  # what the archive is, options of projects by id, size and SHA-256 of every other file
LARGEST_INDEX = 2**28  # bytes
CHUNK = 2**20  # bytes
SCRATCH = ".restoring"  # in MODEL_DIR, while an archive is being restored
NOT_KEPT = (POINTER, TRAIL, UNFINISHED, OPTIONS)  # of weights that are not here; Label Studio's, as was known
OF_A_VERSION = (CARD, LABELS, MANIFEST)
_ID, _NAME, _FILE = r"[1-9]\d{0,9}", r"\w[\w.-]{0,99}", "|".join(map(re.escape, OF_A_VERSION))
MEMBER = re.compile(
    rf"models/{_ID}/(?!nextlabel-){_NAME}|models/{_ID}/nextlabel-{_NAME}/({_FILE})|audits/{_ID}/{_ID}/{_NAME}", re.ASCII
)

# What a file that is no archive of ours brings about: not a zip file, cut, encrypted, another index, other types in it.
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Stamp:
    """What a file must be: `size` in bytes, `sha256` in hexadecimal digits."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What an archive holds: `options` that Label Studio keeps with a project's ML backend, by project, and files by
    their names below MODEL_DIR. `release` made it at `made_at`."""

    release: str
    made_at: str
    options: Mapping[int, Mapping[str, Any]]
    files: Mapping[str, Stamp]

    @property
    def projects(self) -> list[int]:
        """Those of which there is anything."""
        return sorted(self.options.keys() | {int(name.split("/")[1]) for name in self.files})


# Writing


def kept_projects(model_dir: Path) -> list[int]:
    """Projects of which MODEL_DIR holds anything that can be backed up."""
    homes = (path for place in ("models", "audits") for path in (model_dir / place).glob("*"))
    return sorted({int(home.name) for home in homes if home.name.isdigit() and home.is_dir()})


def write(
    out: Path,
    model_dir: Path,
    options: Mapping[int, Mapping[str, Any]],
    release: str,
    made_at: str,
    projects: Sequence[int] | None = None,
) -> Contents:
    """Write the archive of these projects, or all, under another name, to disk, and rename it. Only its owner may read
    it. Trainers may work on.

    Raises `BadBackupError` when it cannot be written.
    """
    beside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with open(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600), "wb") as file:
            contents = _write(
                file, model_dir, options, release, made_at, kept_projects(model_dir) if projects is None else projects
            )
            file.flush()
            os.fsync(file.fileno())
        beside.replace(out)
    except OSError as error:
        raise BadBackupError(
            f"{out} cannot be written ({error}). Name a place with room in a directory that is there."
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return contents


def _write(
    file: IO[bytes],
    model_dir: Path,
    options: Mapping[int, Mapping[str, Any]],
    release: str,
    made_at: str,
    projects: Sequence[int],
) -> Contents:
    stamps: dict[str, Stamp] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for found in _units(model_dir, projects):
            for name, content in found.items():
                archive.writestr(name, content)
                stamps[name] = Stamp(len(content), hashlib.sha256(content).hexdigest())
        contents = Contents(release, made_at, options, stamps)
        archive.writestr(INDEX, json.dumps(_index(contents), ensure_ascii=False, indent=1))
    return contents


def _index(contents: Contents) -> dict[str, Any]:
    return {
        "nextlabel_backup": FORMAT,
        "release": contents.release,
        "made_at": contents.made_at,
        "options": {str(project): dict(extra) for project, extra in contents.options.items()},
        "files": {name: {"size": stamp.size, "sha256": stamp.sha256} for name, stamp in contents.files.items()},
    }


def _units(model_dir: Path, projects: Sequence[int]) -> Iterator[dict[str, bytes]]:
    """Files that belong together, by name; what is deleted while it is read is left out as a whole."""
    for project in projects:
        home = Registry(model_dir).home(project)
        for path in sorted(home.glob("*")):
            if is_ours(path.name):
                yield _read(model_dir, [path / name for name in OF_A_VERSION], required=path / CARD)
            elif path.is_file() and path.name not in NOT_KEPT:
                yield _read(model_dir, [path])
        for audit in sorted(Audits(model_dir).home(project).glob("*")):
            yield _read(model_dir, sorted(path for path in audit.glob("*") if path.is_file()))


def _read(model_dir: Path, paths: Iterable[Path], required: Path | None = None) -> dict[str, bytes]:
    try:
        found = {path: path.read_bytes() for path in paths if path.exists()}
    except FileNotFoundError:
        return {}
    named = {path.relative_to(model_dir).as_posix(): content for path, content in found.items()}
    whole = required is None or required in found
    return {name: content for name, content in named.items() if whole and MEMBER.fullmatch(name)}


# Reading


def read(path: Path) -> Contents:
    """What an archive holds, after a look at every file in it. Raises `BadBackupError` when it is none, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _checked(archive)
    except FileNotFoundError:
        raise BadBackupError(f"{path} is not there. Name a file that `nextlabel backup` wrote.") from None
    except (*BROKEN, OSError) as error:
        raise BadBackupError(
            f"{path} is not what `nextlabel backup` writes, or is damaged ({error}). Nothing was restored; take "
            "another copy of it."
        ) from None


def _checked(archive: zipfile.ZipFile) -> Contents:
    index = json.loads(_content(archive, INDEX, LARGEST_INDEX))
    if index["nextlabel_backup"] != FORMAT:
        raise ValueError(f"its format is {index['nextlabel_backup']!r:.20}, and this release reads {FORMAT}")
    files = {str(name): Stamp(int(stamp["size"]), str(stamp["sha256"])) for name, stamp in index["files"].items()}
    options = {int(project): dict(extra) for project, extra in index["options"].items()}
    strange = [name for name in files if not MEMBER.fullmatch(name) or Path(name).name in NOT_KEPT]
    if strange:
        raise ValueError(f"{strange[0]!r:.80} is no name of a file that is backed up")
    if sorted(archive.namelist()) != sorted([INDEX, *files]):
        raise ValueError(f"it holds other files than its {INDEX} names")
    for name, stamp in files.items():
        for _ in _chunks(archive, name, stamp):
            pass
    return Contents(str(index["release"]), str(index["made_at"]), options, files)


def _content(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    with archive.open(name) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"{name} has more than {largest} bytes")
    return content


def _chunks(archive: zipfile.ZipFile, name: str, stamp: Stamp) -> Iterator[bytes]:
    """The file's content, of which never more is unpacked than it should have."""
    digest, left = hashlib.sha256(), stamp.size
    with archive.open(name) as file:
        while chunk := file.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ValueError(f"{name} has more than {stamp.size} bytes")
            digest.update(chunk)
            yield chunk
    if left or digest.hexdigest() != stamp.sha256:
        raise ValueError(f"{name} is not as it was written")


# Restoring


def differing(contents: Contents, model_dir: Path) -> tuple[list[str], list[str]]:
    """Names of files that MODEL_DIR lacks, and of those that are others there; none that are left out."""
    left_out = taken_back(contents, model_dir)
    names = [name for name in contents.files if name not in left_out]
    lacking = [name for name in names if not (model_dir / name).exists()]
    others = [name for name in names if name not in lacking and not _is(model_dir / name, contents.files[name])]
    return lacking, others


def taken_back(contents: Contents, model_dir: Path) -> list[str]:
    """Names of files about the end of a project that are left out, as it has been taken back since: here is a version
    that works, and no end. With them the project would stand still, and nothing of it is in Label Studio."""
    registry, endings = Registry(model_dir), Endings(model_dir)
    return [
        name
        for name in contents.files
        if Path(name).name in (ENDING, STEPS)
        and not endings.holds(project := int(name.split("/")[1]))
        and registry.current(project) is not None
    ]


def _is(path: Path, stamp: Stamp) -> bool:
    """Or, of a file that only grows, whether it was."""
    size = path.stat().st_size if path.is_file() else -1
    content = (
        path.read_bytes()[: stamp.size] if size == stamp.size or (path.name == FILE and size > stamp.size) else b""
    )
    return len(content) == stamp.size and hashlib.sha256(content).hexdigest() == stamp.sha256


def restore(path: Path, contents: Contents, names: Iterable[str], model_dir: Path) -> None:
    """Bring these files back: all are unpacked beside first, then a new directory comes in one rename, other files one
    by one. Killed half-way, each file is the old or the new one, and it can be run again.

    Raises `BadBackupError` when one cannot be written.
    """
    beside, wanted = model_dir / SCRATCH, list(names)
    try:
        shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
        with zipfile.ZipFile(path) as archive:
            for name in wanted:
                _unpack(archive, name, contents.files[name], beside / name)
        for unit in dict.fromkeys(map(_unit, wanted)):
            _place(beside / unit, model_dir / unit)
    except (*BROKEN, OSError) as error:
        raise BadBackupError(
            f"Not all of {path} is restored in {model_dir} ({error}). Mend that, and run it again."
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unit(name: str) -> str:
    """The directory of a version or an audit, or the file itself."""
    return name.rpartition("/")[0] if name.count("/") > 2 else name


def _unpack(archive: zipfile.ZipFile, name: str, stamp: Stamp, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        for chunk in _chunks(archive, name, stamp):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())


def _place(unpacked: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if unpacked.is_dir() and target.is_dir():
        for file in unpacked.iterdir():
            file.replace(target / file.name)
    else:
        unpacked.rename(target)
