"""What is kept of versions when they are gone: lines that are only added, whatever was killed while it was written."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.versions import make_card, write_weights
from nextlabel.versions.archive import differing, restore, write
from nextlabel.versions.archive import read as read_archive
from nextlabel.versions.history import FILE, Looks, Said, changed, note_fits, note_looks, note_said, read
from nextlabel.versions.registry import Registry

PROJECT = 1
CARDS = [make_card(number, refused="it was worse" if number == 2 else "") for number in (1, 2, 3)]
SAID = Said(CARDS[0].version, 4, 7.0, ("pos", "neg"), {"00aa": 1, "00bb": 0})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry(tmp_path)
    for card in CARDS:
        found.save(card, {}, write_weights)
    found.promote(PROJECT, CARDS[2].version)
    return found


def test_each_finished_fit_has_a_line_that_outlives_its_version(registry: Registry) -> None:
    note_fits(registry, PROJECT)
    first = registry.home(PROJECT).joinpath(FILE).read_bytes()
    note_said(registry, PROJECT, SAID)
    registry.prune(PROJECT, 1)
    note_fits(registry, PROJECT)
    assert registry.home(PROJECT).joinpath(FILE).read_bytes().startswith(first), "lines are only added"
    lines = read(registry, PROJECT)
    assert list(lines.fits) == [card.version for card in CARDS], "in the order in which they were made, each once"
    assert [fit.refused for fit in lines.fits.values()] == ["", "it was worse", ""]
    assert lines.said == {SAID.order: SAID}


def test_of_looks_at_one_comparison_the_newest_line_has_all(registry: Registry) -> None:
    first, other = Looks("ab" * 32, ((192, 0.01, 0.02, 0.001),)), Looks("cd" * 32, ())
    more = Looks(first.compared, (*first.taken, (256, 0.03, 0.02, 0.002)))
    for looks in (first, other, more):
        note_looks(registry, PROJECT, looks)
    note_said(registry, PROJECT, SAID)
    lines = read(registry, PROJECT)
    assert lines.looks == {first.compared: more, other.compared: other}
    assert (lines.fits, lines.said) == ({}, {SAID.order: SAID})


def test_a_version_whose_fit_has_not_ended_has_none_yet(registry: Registry) -> None:
    late = make_card(4)
    registry.announce(PROJECT, late.version)
    registry.save(late, {}, write_weights)
    note_fits(registry, PROJECT)
    assert late.version not in read(registry, PROJECT).fits
    registry.promote(PROJECT, late.version)
    note_fits(registry, PROJECT)
    assert late.version in read(registry, PROJECT).fits


def test_killed_at_any_byte_nothing_before_it_is_lost_and_the_next_look_completes_it(registry: Registry) -> None:
    path = registry.home(PROJECT) / FILE
    note_said(registry, PROJECT, SAID)
    before = path.stat().st_size
    note_fits(registry, PROJECT)
    whole = path.read_bytes()
    for cut in range(before, len(whole), 7):
        path.write_bytes(whole[:cut])
        note_fits(registry, PROJECT)
        lines = read(registry, PROJECT)
        assert lines.fits.keys() == {card.version for card in CARDS}
        assert lines.said == {SAID.order: SAID}
    path.write_bytes(b'[]\n{"order": 7}\nnull\n\xff\n' + whole)
    assert len(read(registry, PROJECT).fits) == len(CARDS), "what is damaged counts as none"


def test_of_several_writers_at_once_every_line_is_whole(registry: Registry) -> None:
    many = [replace(SAID, order=f"nextlabel-1.{number}-20261124T063000") for number in range(40)]
    with ThreadPoolExecutor(4) as writers:
        for writing in [writers.submit(note_said, registry, PROJECT, said) for said in many]:
            writing.result()
    assert read(registry, PROJECT).said == {said.order: said for said in many}
    assert changed(registry, PROJECT) != changed(registry, 2) == (0, 0)


def test_it_is_backed_up_and_comes_back(registry: Registry, tmp_path: Path) -> None:
    note_fits(registry, PROJECT)
    note_said(registry, PROJECT, SAID)
    contents = write(tmp_path / "backup.zip", tmp_path, {}, "1", "")
    there = tmp_path / "restored"
    there.mkdir()
    restore(tmp_path / "backup.zip", read_archive(tmp_path / "backup.zip"), contents.files, there)
    assert read(Registry(there), PROJECT) == read(registry, PROJECT)
    note_said(registry, PROJECT, replace(SAID, order="nextlabel-1.9-20261124T063000"))
    assert differing(contents, tmp_path) == ([], []), "what was added since stays"
    path = registry.home(PROJECT) / FILE
    path.write_bytes(b"{}\n" + path.read_bytes())
    assert differing(contents, tmp_path) == ([], [f"models/{PROJECT}/{FILE}"])
