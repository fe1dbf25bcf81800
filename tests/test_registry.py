"""Versions on disk: whole or not at all, and one of them current."""

import threading
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from backend.registry import UNTRAINED, Busy, Card, Registry, is_ours, version_name, version_number

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=timezone.utc)
PROJECT = 17


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def card(number: int) -> Card:
    return Card(
        version=version_name(number, NOW),
        number=number,
        project=PROJECT,
        parent=None,
        labels=("pos", "negativ 🙂"),
        label_counts={"pos": 3, "negativ 🙂": 4},
        base_model="bert",
        strategy="entropy",
        seed=0,
        recipe={"steps": 3, "learning_rate": 2e-5},
        scores={"accuracy": 0.5},
        pool=100,
        seconds={"fit": 1.5},
        device="cpu",
        precision="fp32",
        libraries={"torch": "2"},
        created_at=NOW.isoformat(),
        reason="7 new labels",
    )


def write_weights(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "model.safetensors").chmod(0o600)


def save(registry: Registry, *numbers: int) -> list[str]:
    """Complete versions with these numbers, none of them promoted."""
    return [registry.save(card(number), {}, write_weights).name for number in numbers]


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


def test_the_card_learns_how_long_later_stages_took(registry: Registry) -> None:
    (version,) = save(registry, 1)
    registry.add_seconds(PROJECT, version, {"save": 0.25})
    registry.add_seconds(PROJECT, version, {"publish": 1.5, "save": 0.5})
    assert registry.card(PROJECT, version) == replace(card(1), seconds={**card(1).seconds, "save": 0.5, "publish": 1.5})
    assert {file.name for file in registry.path(PROJECT, version).iterdir()} == {
        "card.json",
        "labels.json",
        "model.safetensors",
    }


def test_pruning_keeps_the_newest_and_the_current(registry: Registry) -> None:
    versions = save(registry, 1, 2, 3, 4, 5)
    registry.promote(PROJECT, versions[1])
    assert registry.prune(PROJECT, keep=2) == [versions[2], versions[0]]
    assert registry.versions(PROJECT) == [versions[4], versions[3], versions[1]]
    assert registry.current(PROJECT) == versions[1]
    assert registry.prune(PROJECT, keep=2) == []


def test_projects_are_known_with_or_without_versions(registry: Registry) -> None:
    assert registry.projects() == []
    assert registry.versions(3) == []
    registry.know(30)
    registry.know(4)
    registry.know(4)
    save(registry, 1)
    (registry.root / "not-a-project").mkdir()
    assert registry.projects() == [4, PROJECT, 30]


def enters(registry: Registry, name: str) -> bool:
    """Whether another thread gets the lock now."""
    entered: list[bool] = []

    def attempt() -> None:
        try:
            with registry.lock(name):
                entered.append(True)
        except Busy:
            entered.append(False)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return entered[0]


def test_a_lock_excludes_other_threads_until_it_is_left(registry: Registry) -> None:
    with registry.lock("project-17"):
        assert not enters(registry, "project-17")
        assert enters(registry, "project-18")
    assert enters(registry, "project-17")
