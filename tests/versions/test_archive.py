"""What is backed up, and what an archive can do to whoever restores it: nothing but bring back those files."""

import json
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from helpers.killed import killed_at_each_step
from helpers.versions import make_card, write_weights
from nextlabel.errors import BadBackupError
from nextlabel.values.options import ProjectOptions
from nextlabel.versions import archive
from nextlabel.versions.endings import CLOSE, ENDING, STEPS, Ending, Endings, Step
from nextlabel.versions.registry import OPTIONS, POINTER, Registry

PROJECT, LABELS = 7, {1: "pos", 2: "neg"}
V1, V2 = (make_card(number, project=PROJECT).version for number in (1, 2))
AUDIT = {"audit.json": b'{"risk": 0.05}', "pool.npz": bytes(range(256)), "ENDED": b"given up"}
EXTRA = {"nextlabel": {"before": {"sampling": "Sequential sampling"}, "control_seed": "ab" * 16}, "else": [1, 2]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A MODEL_DIR with two versions, an audit of them, and much that can be made again."""
    directory = tmp_path / "home"
    registry = Registry(directory)
    for number in (1, 2):
        registry.save(make_card(number, project=PROJECT), LABELS, write_weights)
    registry.promote(PROJECT, V2)
    registry.put_options(PROJECT, ProjectOptions(("title",)))
    audit = directory / "audits" / str(PROJECT) / "1"
    audit.mkdir(parents=True)
    for name, content in AUDIT.items():
        (audit / name).write_bytes(content)
    for name in ("pools/7.sqlite", "status/7.queue.json", "audits/7/.beginning-2/audit.json", "models/7/.CURRENT.1-2"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("made again")
    return directory


@pytest.fixture
def made(home: Path, tmp_path: Path) -> Path:
    out = tmp_path / "backup.zip"
    archive.write(out, home, {PROJECT: EXTRA}, "0.1.0", "2026-01-01T00:00:00+00:00")
    return out


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def restore(path: Path, directory: Path) -> None:
    contents = archive.read(path)
    new, others = archive.differing(contents, directory)
    archive.restore(path, contents, [*new, *others], directory)


def test_cards_lists_of_labels_and_audits_come_back_and_nothing_else(home: Path, made: Path, tmp_path: Path) -> None:
    restore(made, tmp_path / "other")
    kept = {
        f"models/7/{version}/{name}" for version in (V1, V2) for name in ("card.json", "labels.json", "manifest.json")
    }
    assert files(tmp_path / "other") == {
        name: content
        for name, content in files(home).items()
        if name in kept | {f"audits/7/1/{name}" for name in AUDIT}
    }
    contents = archive.read(made)
    assert (contents.options, contents.projects) == ({PROJECT: EXTRA}, [PROJECT])
    assert stat.S_IMODE(made.stat().st_mode) == 0o600, "labels are nobody else's business"


def test_versions_without_weights_are_listed_and_never_active(made: Path, tmp_path: Path) -> None:
    restore(made, tmp_path / "other")
    registry = Registry(tmp_path / "other")
    assert registry.cards(PROJECT) == [make_card(number, project=PROJECT) for number in (2, 1)]
    assert registry.fitted_labels(PROJECT, V1) == LABELS
    assert (registry.current(PROJECT), registry.newest(PROJECT), registry.promoted(PROJECT)) == (None, None, "")
    assert "model.safetensors" in registry.damage(PROJECT, V2)


def test_a_version_that_was_seen_whole_is_not_taken_for_that_when_it_comes_back(home: Path, made: Path) -> None:
    registry = Registry(home)
    assert registry.current(PROJECT) == V2
    shutil.rmtree(home / "models")
    restore(made, home)
    assert registry.current(PROJECT) is None


def test_what_is_there_is_told_and_only_files_of_the_archive_are_replaced(home: Path, made: Path) -> None:
    contents, before = archive.read(made), files(home)
    assert archive.differing(contents, home) == ([], [])
    card, audit = home / "models" / "7" / V1 / "card.json", home / "audits" / "7" / "1"
    card.write_text("{}")
    (audit / "ENDED").unlink()
    (audit / "RELEASED").write_text("")
    assert archive.differing(contents, home) == (["audits/7/1/ENDED"], [f"models/7/{V1}/card.json"])
    restore(made, home)
    assert files(home) == {**before, "audits/7/1/RELEASED": b""}
    assert Registry(home).current(PROJECT) == V2, "weights stay"


def test_the_end_of_a_project_that_was_taken_back_since_does_not_come_back(home: Path, tmp_path: Path) -> None:
    endings, out = Endings(home), tmp_path / "ended.zip"
    ending = Ending(PROJECT, "run", V2, "all", 0, {}, "2026-11-30T00:00:00+00:00")
    endings.begin(ending, [Step(1, CLOSE, 0)])
    contents, names = archive.write(out, home, {}, "0.1.0", ""), [f"models/7/{name}" for name in (STEPS, ENDING)]
    assert (archive.differing(contents, home), archive.taken_back(contents, home)) == (([], []), [])
    endings.forget(PROJECT)  # as nextlabel finish --undo does last
    assert archive.taken_back(contents, home) == names
    restore(out, home)
    assert not endings.holds(PROJECT), "the project goes on"
    endings.begin(replace(ending, run="another"), [])
    assert archive.differing(contents, home)[1] == names, "what is replaced is asked about"
    shutil.rmtree(home / "models")
    restore(out, home)
    assert endings.load(PROJECT) == ending, "where all was lost, the end can still be taken back"


def test_a_version_that_is_deleted_while_it_is_read_is_left_out(home: Path, tmp_path: Path) -> None:
    (home / "models" / "7" / V1 / "card.json").unlink()  # `prune` begins with it
    contents = archive.write(tmp_path / "b.zip", home, {}, "0.1.0", "")
    assert {name.split("/")[2] for name in contents.files} == {V2, "1"}


def test_an_archive_that_cannot_be_written_says_so_and_leaves_none(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBackupError, match="Name a place with room"):
        archive.write(tmp_path / "nowhere" / "b.zip", home, {}, "0.1.0", "")
    assert not (tmp_path / "nowhere").exists()


# Archives that are not what they should be


def refused(path: Path, directory: Path) -> str:
    with pytest.raises(BadBackupError) as error:
        restore(path, directory)
    assert str(path) in str(error.value)
    assert files(directory) == {}
    return str(error.value)


def test_a_damaged_archive_is_refused_wherever_it_is_damaged(made: Path, tmp_path: Path) -> None:
    whole = made.read_bytes()
    with zipfile.ZipFile(made) as opened:
        contents = [info.header_offset + 30 + len(info.filename) for info in opened.infolist()]
    for at in (start + 5 for start in contents):
        made.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "damaged" in refused(made, tmp_path / "other")
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        made.write_bytes(whole[:size])
        assert "take another copy" in refused(made, tmp_path / "other")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    assert "is not there" in refused(tmp_path / "none.zip", tmp_path / "other")
    (tmp_path / "text.zip").write_text("hello")
    assert "is not what `nextlabel backup` writes" in refused(tmp_path / "text.zip", tmp_path / "other")
    assert "is not what `nextlabel backup` writes" in refused(tmp_path, tmp_path / "other")


Entries = Mapping[str | zipfile.ZipInfo, bytes]


@pytest.fixture
def forged(tmp_path: Path) -> Callable[..., Path]:
    """An archive with these files, and an index that names them."""

    def forge(entries: Entries, listed: Entries | None = None, **index: object) -> Path:
        named = {n.filename if isinstance(n, zipfile.ZipInfo) else n: c for n, c in (listed or entries).items()}
        stamps = {name: {"size": len(c), "sha256": sha256(c).hexdigest()} for name, c in named.items()}
        whole = {"nextlabel_backup": 1, "release": "1", "made_at": "", "options": {}, "files": stamps, **index}
        with zipfile.ZipFile(tmp_path / "forged.zip", "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in entries.items():
                out.writestr(name, content)
            out.writestr("backup.json", json.dumps(whole))
        return tmp_path / "forged.zip"

    return forge


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/evil", "models/7/../../evil", "models/../evil", "models/7/..", "audits/7/1/../../../evil",
        f"models/7/{V1}/model.safetensors", f"models/7/{V1}/../x", f"models/7/{V1}", f"models/7/{POINTER}",
        f"models/7/{OPTIONS}", "models/07/x", "models/x/y", "audits/7/1/.hidden", "audits/7/1/a/b", "locks/clock.lock",
        "queue.sqlite", ".env", "C:\\evil", "models\\7\\x", "models/7/x\n", "models/\u0667/x",
    ],
)  # fmt: skip
def test_a_name_that_no_backup_has_is_refused(forged: Callable[..., Path], tmp_path: Path, name: str) -> None:
    said = refused(forged({name: b"evil"}), tmp_path / "deep" / "other")
    assert "no name of a file that is backed up" in said or "holds other files" in said
    assert not list(tmp_path.rglob("*evil*"))


def test_other_tricks_are_refused(forged: Callable[..., Path], tmp_path: Path) -> None:
    other, name = tmp_path / "other", "audits/7/1/pool.npz"
    assert "holds other files" in refused(forged({name: b"x", "audits/7/1/more": b"y"}, {name: b"x"}), other)
    assert "holds other files" in refused(forged({}, {name: b"x"}), other)
    assert "has more than 1 bytes" in refused(forged({name: bytes(10**6)}, {name: b"x"}), other)
    assert "is not as it was written" in refused(forged({name: b"y"}, {name: b"x"}), other)
    assert "its format is 2, and this release reads 1" in refused(forged({name: b"x"}, nextlabel_backup=2), other)
    no_lists: list[dict[str, object]] = [{"options": {"x": {}}}, {"options": {"7": 3}}, {"files": 5}]
    for index in no_lists:
        assert "is not what `nextlabel backup` writes" in refused(forged({name: b"x"}, **index), other)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(forged({name: b"x"}), "a") as twice:
        twice.writestr(name, b"z")
    assert "holds other files" in refused(tmp_path / "forged.zip", other)


def test_a_link_in_an_archive_becomes_a_plain_file(forged: Callable[..., Path], tmp_path: Path) -> None:
    link = zipfile.ZipInfo("audits/7/1/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    restore(forged({link: b"/etc/passwd"}), tmp_path / "other")
    found = tmp_path / "other" / "audits" / "7" / "1" / "link"
    assert (found.is_symlink(), found.read_bytes()) == (False, b"/etc/passwd")


# Killed half-way

WRITE = """
from nextlabel.versions import archive
archive.write(Path(sys.argv[3]), Path(sys.argv[2]), {}, "0.1.0", "")
"""
RESTORE = """
from nextlabel.versions import archive
path, home = map(Path, sys.argv[2:])
contents = archive.read(path)
archive.restore(path, contents, sum(archive.differing(contents, home), []), home)
"""


@pytest.mark.usefixtures("patience")
def test_a_backup_that_is_killed_leaves_the_last_one_or_the_new_one(home: Path, made: Path) -> None:
    before, steps = made.read_bytes(), 0
    (home / "models" / "7" / V1 / "card.json").write_text('{"changed": true}')
    for steps in killed_at_each_step(WRITE, home, made):  # noqa: B007
        assert made.read_bytes() == before or archive.differing(archive.read(made), home) == ([], [])
    assert steps >= 1
    assert archive.differing(archive.read(made), home) == ([], [])
    left = {path.name for path in made.parent.iterdir() if path.is_file()} - {made.name}
    assert all(name.startswith(".backup.zip.") and name.endswith(".part") for name in left)


@pytest.mark.usefixtures("patience")
def test_a_restore_that_is_killed_leaves_whole_files_and_goes_on_when_it_is_run_again(
    home: Path, made: Path, tmp_path: Path
) -> None:
    wanted, card, steps = files(home), f"models/7/{V1}/card.json", 0
    start = home.rename(tmp_path / "start")
    shutil.rmtree(start / "audits" / "7" / "1")
    shutil.rmtree(start / "models" / "7" / V2)
    (start / card).write_text("{}")
    shutil.copytree(start, home)
    for steps in killed_at_each_step(RESTORE, made, home, stride=2):  # noqa: B007
        left = {name: content for name, content in files(home).items() if not name.startswith(archive.SCRATCH)}
        assert all(content == wanted[name] or (name, content) == (card, b"{}") for name, content in left.items())
        assert sum(name.startswith("audits/7/1/") for name in left) in (0, len(AUDIT)), "an audit comes as a whole"
        restore(made, home)
        assert files(home) == {name: c for name, c in wanted.items() if name != f"models/7/{V2}/model.safetensors"}
        shutil.rmtree(home)
        shutil.copytree(start, home)
    assert steps >= 8
