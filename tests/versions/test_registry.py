"""Versions on disk: whole or not at all, and one of them current."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from helpers.versions import cut, make_card, write_weights
from nextlabel.errors import NoModelError
from nextlabel.store.files import replace_file
from nextlabel.values.versions import (
    UNTRAINED,
    is_ours,
    version_number,
)
from nextlabel.versions.registry import Registry

PROJECT = 17
card = partial(
    make_card,
    labels=("pos", "negativ 🙂"),
    project=PROJECT,
    label_counts={"pos": 3, "negativ 🙂": 4},
    reason="7 new labels",
)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def save(registry: Registry, *numbers: int) -> list[str]:
    """Complete versions with these numbers, none of them promoted."""
    return [registry.save(card(number), {}, write_weights).name for number in numbers]


def save_refused(registry: Registry, number: int) -> str:
    return registry.save(replace(card(number), refused="it is worse"), {}, write_weights).name


def weights_of(registry: Registry, version: str) -> Path:
    return registry.path(PROJECT, version) / "model.safetensors"


def here(registry: Registry) -> set[str]:
    return {path.name for path in (registry.root / str(PROJECT)).iterdir()}


def test_a_saved_version_comes_back_whole(registry: Registry) -> None:
    directory = registry.save(card(1), {12: "pos", 3: "negativ 🙂"}, write_weights)
    version = card(1).version
    assert directory == registry.path(PROJECT, version)
    assert registry.versions(PROJECT) == [version]
    assert registry.card(PROJECT, version) == card(1)
    assert registry.card(PROJECT, version).examples == 7
    assert registry.fitted_labels(PROJECT, version) == {12: "pos", 3: "negativ 🙂"}
    assert (directory / "model.safetensors").read_bytes() == b"weights"
    assert {file.stat().st_mode & 0o777 for file in directory.iterdir()} == {0o644}, "another user serves it"


def test_a_save_that_fails_leaves_nothing(registry: Registry) -> None:
    def run_out_of_disk(directory: Path) -> None:
        write_weights(directory)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        registry.save(card(1), {}, run_out_of_disk)
    assert here(registry) == set()
    assert save(registry, 1) == [card(1).version], "the next attempt is not hindered"


def test_what_a_killed_save_left_is_no_version_and_is_swept_by_the_next(registry: Registry) -> None:
    half = registry.root / str(PROJECT) / f".writing-{card(1).version}"
    half.mkdir(parents=True)
    write_weights(half)
    assert registry.versions(PROJECT) == []
    assert here(registry) == {half.name}
    save(registry, 2)
    assert here(registry) == {card(2).version}


def test_a_version_that_was_announced_counts_for_nothing_until_it_is_promoted(registry: Registry) -> None:
    old, new = save(registry, 1, 2)
    registry.announce(PROJECT, new)
    assert (registry.unfinished(PROJECT), registry.current(PROJECT), registry.newest(PROJECT)) == (new, old, old)
    registry.promote(PROJECT, old)
    assert registry.unfinished(PROJECT) == new
    registry.promote(PROJECT, new)
    assert (registry.unfinished(PROJECT), registry.current(PROJECT), registry.newest(PROJECT)) == ("", new, new)
    registry.promote(PROJECT, old)
    assert (registry.unfinished(PROJECT), registry.newest(PROJECT)) == ("", new), "it was finished once"
    registry.announce(PROJECT, card(3).version)
    registry.discard(PROJECT, card(3).version)
    assert here(registry) == {old, new, "CURRENT", "ACTIVE_BEFORE"}


def test_a_version_is_never_overwritten(registry: Registry) -> None:
    save(registry, 1)
    with pytest.raises(OSError, match="not empty"):
        registry.save(replace(card(1), reason="again"), {}, write_weights)
    assert registry.card(PROJECT, card(1).version).reason == "7 new labels"
    assert here(registry) == {card(1).version}


def test_a_directory_without_a_card_is_no_version(registry: Registry) -> None:
    (registry.root / str(PROJECT) / card(1).version).mkdir(parents=True)
    assert registry.versions(PROJECT) == []
    assert registry.current(PROJECT) is None


def test_versions_sort_by_number_and_not_by_letter(registry: Registry) -> None:
    names = save(registry, 9, 10, 2, 100)
    assert [version_number(name) for name in names] == [9, 10, 2, 100]
    assert [version_number(version) for version in registry.versions(PROJECT)] == [100, 10, 9, 2]
    assert registry.current(PROJECT) == card(100).version


@pytest.mark.parametrize(
    ("version", "ours", "number"),
    [("nextlabel-10-20261124T063000", True, 10), (UNTRAINED, True, 0), ("bert-1", False, 0), ("", False, 0)],
)
def test_our_versions_are_told_from_others(version: str, ours: bool, number: int) -> None:
    assert is_ours(version) is ours
    assert version_number(version) == number


def test_nothing_is_no_version_of_ours() -> None:
    assert not is_ours(None)


def test_the_promoted_version_is_current_even_if_it_is_older(registry: Registry) -> None:
    assert registry.current(PROJECT) is None
    old, new = save(registry, 1, 2)
    registry.promote(PROJECT, new)
    assert registry.current(PROJECT) == new
    registry.promote(PROJECT, old)
    assert registry.current(PROJECT) == old


@pytest.mark.parametrize(
    "pointer", [None, b"", b"nextlabel-3-gone\n", b"\xff\xfe\x00"], ids=["lost", "empty", "dangling", "damaged"]
)
def test_without_a_good_pointer_the_newest_version_is_current(registry: Registry, pointer: bytes | None) -> None:
    _, new = save(registry, 1, 2)
    if pointer is not None:
        (registry.root / str(PROJECT) / "CURRENT").write_bytes(pointer)
    assert registry.current(PROJECT) == new


def test_a_refused_version_is_is_active_only_when_it_is_promoted_or_alone(registry: Registry) -> None:
    refused = save_refused(registry, 3)
    assert registry.current(PROJECT) == refused
    old, new = save(registry, 1, 2)
    assert registry.current(PROJECT) == new, "without a pointer"
    registry.promote(PROJECT, old)
    assert registry.current(PROJECT) == old
    registry.promote(PROJECT, refused)
    assert registry.current(PROJECT) == refused
    assert registry.newest(PROJECT) == refused


def as_earlier_releases_wrote_it(directory: Path) -> None:
    raw = json.loads((directory / "card.json").read_text())
    del raw["holdout"], raw["refused"]
    (directory / "card.json").write_text(json.dumps(raw))
    (directory / "manifest.json").unlink()


def test_a_version_of_an_earlier_release_is_read_and_counts_as_whole(registry: Registry) -> None:
    (version,) = save(registry, 1)
    as_earlier_releases_wrote_it(registry.path(PROJECT, version))
    assert registry.card(PROJECT, version) == card(1)
    assert registry.current(PROJECT) == version
    registry.verify(PROJECT, version)


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("model.safetensors", cut, "model.safetensors has size 3, not 7"),
        ("model.safetensors", Path.unlink, "No such file"),
        ("labels.json", cut, "labels.json has size 3, not 2"),
        ("manifest.json", cut, "a file cannot be read"),
    ],
)
def test_a_damaged_version_gives_way_to_the_newest_intact_one(
    registry: Registry, name: str, damage: Callable[[Path], None], words: str
) -> None:
    old, new = save(registry, 1, 2)
    refused = save_refused(registry, 3)
    newest = registry.save(card(4), {}, write_weights).name
    registry.promote(PROJECT, newest)
    if name == "labels.json":
        (registry.path(PROJECT, newest) / name).write_text("{}\n ")
    damage(registry.path(PROJECT, newest) / name)
    assert words in registry.damage(PROJECT, newest)
    assert registry.current(PROJECT) == new
    assert registry.newest(PROJECT) == refused
    assert registry.promoted(PROJECT) == newest, "what was decided is not forgotten"
    assert registry.versions(PROJECT) == [newest, refused, new, old]
    with pytest.raises(NoModelError, match=f"{newest} of project 17 is damaged"):
        registry.verify(PROJECT, newest)


def test_without_a_whole_version_none_is_is_active(registry: Registry) -> None:
    (version,) = save(registry, 1)
    cut(weights_of(registry, version))
    assert registry.current(PROJECT) is None
    assert registry.newest(PROJECT) is None


def test_a_changed_byte_is_found_when_the_files_are_read(registry: Registry) -> None:
    (version,) = save(registry, 1)
    registry.verify(PROJECT, version)
    weights_of(registry, version).write_bytes(b"weightz")
    assert registry.damage(PROJECT, version) == "", "a look does not tell"
    with pytest.raises(NoModelError, match=r"model.safetensors has sha256 \w{64}, not \w{64}"):
        registry.verify(PROJECT, version)


def test_what_cannot_be_loaded_counts_as_damaged_until_it_is_repaired(registry: Registry) -> None:
    old, new = save(registry, 1, 2)
    registry.promote(PROJECT, new)
    assert registry.current(PROJECT) == new
    registry.note_unloadable(PROJECT, new, "no such tensor")
    assert registry.damage(PROJECT, new) == "no such tensor"
    assert registry.current(PROJECT) == old
    assert Registry(registry.root.parent).current(PROJECT) == new, "another process finds out by itself"
    weights_of(registry, new).write_bytes(b"weights")
    assert registry.damage(PROJECT, new) == ""
    assert registry.current(PROJECT) == new


def test_a_version_is_looked_at_once(registry: Registry) -> None:
    (version,) = save(registry, 1)
    assert registry.current(PROJECT) == version
    cut(weights_of(registry, version))
    assert registry.current(PROJECT) == version, "not at every request"
    assert Registry(registry.root.parent).current(PROJECT) is None


def test_before_a_version_there_was_its_parent_or_else_the_newest_that_was_not_refused(registry: Registry) -> None:
    first, second = save(registry, 1, 2)
    refused = save_refused(registry, 3)
    fourth = registry.save(replace(card(4), parent=first), {}, write_weights).name
    (fifth,) = save(registry, 5)
    assert registry.before(PROJECT, fifth) == fourth
    assert registry.before(PROJECT, fourth) == first
    assert registry.before(PROJECT, refused) == second
    assert registry.before(PROJECT, first) is None
    cut(weights_of(registry, first))
    assert Registry(registry.root.parent).before(PROJECT, fourth) == second


def test_back_goes_step_by_step_to_what_was_active_before_whatever_its_number(registry: Registry) -> None:
    first, second, third, fourth = save(registry, 1, 2, 3, 4)
    for version in (first, second, third, first, first, fourth):
        registry.promote(PROJECT, version)
    for earlier in (first, third, second, first):
        again = Registry(registry.root.parent)
        assert again.before(PROJECT, str(again.current(PROJECT))) == earlier
        assert again.roll_back(PROJECT) == earlier == registry.current(PROJECT)
    assert registry.roll_back(PROJECT) is None
    assert registry.current(PROJECT) == first
    registry.promote(PROJECT, third)
    assert registry.roll_back(PROJECT) == first, "what a person went back from is forgotten"


def test_back_passes_over_what_is_deleted_or_damaged(registry: Registry) -> None:
    first, second, third, fourth = save(registry, 1, 2, 3, 4)
    for version in (third, second, first, fourth):
        registry.promote(PROJECT, version)
    registry.discard(PROJECT, first)
    cut(weights_of(registry, second))
    assert Registry(registry.root.parent).roll_back(PROJECT) == third


@pytest.mark.parametrize("killed_after", ["ACTIVE_BEFORE", "CURRENT", None])
@pytest.mark.parametrize("way", ["promote", "roll_back"])
def test_killed_half_way_it_is_still_known_what_was_active_before(
    way: str, killed_after: str | None, registry: Registry
) -> None:
    first, second, third = save(registry, 1, 2, 3)
    for version in (second, first, third):
        registry.promote(PROJECT, version)

    def killed(path: Path, content: str) -> None:
        replace_file(path, content)
        if path.name == killed_after:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("nextlabel.versions.registry.replace_file", killed)
        registry.promote(PROJECT, second) if way == "promote" else registry.roll_back(PROJECT)
    before = {first: second, second: third, third: first}
    now = str(registry.current(PROJECT))
    assert registry.before(PROJECT, now) == before[now]


def test_a_project_of_an_earlier_release_goes_back_to_what_was_active_when_a_person_promoted(
    registry: Registry,
) -> None:
    first, second, _ = save(registry, 1, 2, 3)
    (registry.root / str(PROJECT) / "CURRENT").write_text(second)
    registry.promote(PROJECT, first)
    assert registry.roll_back(PROJECT) == second


def test_of_two_who_go_back_at_once_each_goes_one_step(registry: Registry) -> None:
    versions = save(registry, *range(1, 10))
    for version in versions:
        registry.promote(PROJECT, version)
    with ThreadPoolExecutor(4) as pool:
        reached = [*pool.map(lambda _: Registry(registry.root.parent).roll_back(PROJECT), range(8))]
    assert sorted(map(str, reached)) == sorted(versions[:8])
    assert registry.current(PROJECT) == versions[0]


@pytest.mark.parametrize("content", [None, "", "[1]", '{"12": "po'])
def test_without_its_labels_a_version_counts_as_fitted_on_none(registry: Registry, content: str | None) -> None:
    version = registry.save(card(1), {12: "pos"}, write_weights).name
    labels = registry.path(PROJECT, version) / "labels.json"
    labels.unlink() if content is None else labels.write_text(content)
    assert registry.fitted_labels(PROJECT, version) == {}


def test_the_card_learns_how_long_later_stages_took(registry: Registry) -> None:
    (version,) = save(registry, 1)
    registry.add_seconds(PROJECT, version, {"save": 0.25})
    registry.add_seconds(PROJECT, version, {"publish": 1.5, "save": 0.5})
    assert registry.card(PROJECT, version) == replace(card(1), seconds={**card(1).seconds, "save": 0.5, "publish": 1.5})
    assert {file.name for file in registry.path(PROJECT, version).iterdir()} == {
        "card.json",
        "labels.json",
        "manifest.json",
        "model.safetensors",
    }


def test_seconds_that_two_note_at_once_are_all_kept(registry: Registry) -> None:
    (version,) = save(registry, 1)

    def note(who: str) -> None:
        for n in range(50):
            registry.add_seconds(PROJECT, version, {f"{who} {n}": 1.0})

    with ThreadPoolExecutor(2) as both:
        list(both.map(note, ("fit", "publisher")))
    assert len(registry.card(PROJECT, version).seconds) == len(card(1).seconds) + 2 * 50


def test_pruning_keeps_the_newest_and_the_current(registry: Registry) -> None:
    versions = save(registry, 1, 2, 3, 4, 5)
    registry.promote(PROJECT, versions[1])
    versions[4] = save_refused(registry, 6)  # counts as any other
    registry.discard(PROJECT, card(5).version)
    assert registry.prune(PROJECT, keep=2) == [versions[2], versions[0]]
    assert registry.versions(PROJECT) == [versions[4], versions[3], versions[1]]
    assert registry.current(PROJECT) == versions[1]
    assert registry.prune(PROJECT, keep=2) == []


def test_pruning_leaves_what_the_queue_follows(registry: Registry) -> None:
    versions = save(registry, 1, 2, 3)
    registry.promote(PROJECT, versions[2])
    assert registry.prune(PROJECT, keep=1, followed=versions[1]) == [versions[0]]
    assert registry.prune(PROJECT, keep=1, followed=versions[2]) == [versions[1]]


def test_projects_are_known_with_or_without_versions(registry: Registry) -> None:
    assert registry.projects() == []
    assert registry.versions(3) == []
    registry.know(30)
    registry.know(4)
    registry.know(4)
    save(registry, 1)
    (registry.root / "not-a-project").mkdir()
    assert registry.projects() == [4, PROJECT, 30]
