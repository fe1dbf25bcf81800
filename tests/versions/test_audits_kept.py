"""Audits on disk: whole or not at all, numbered for good, and read again to the last bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.audits import AUDIT
from helpers.versions import cut
from nextlabel.errors import BadAuditError
from nextlabel.learning.heads import Head, load
from nextlabel.values.linear import Linear
from nextlabel.versions.archive import read, restore, write
from nextlabel.versions.audits import HEAD, ISSUED, PLAN, ROWS, Audits

LAYER = Linear(np.array([[1.5, -2.0], [0.25, 4.0]]), np.array([0.5, -0.5]))


@pytest.fixture
def audits(tmp_path: Path) -> Audits:
    return Audits(tmp_path)


def test_what_was_frozen_comes_back_to_the_last_bit(audits: Audits, tmp_path: Path) -> None:
    audits.begin(AUDIT, Head(LAYER, AUDIT.labels, {1: "pos"}, 0.1))
    found = Audits(tmp_path).load(7, 1)
    assert found.pool_hash == AUDIT.pool_hash
    assert found.plan == AUDIT.plan
    assert (found.version, found.labels, found.said) == (AUDIT.version, AUDIT.labels, AUDIT.said)
    kept = load(tmp_path / "audits" / "7" / "1" / HEAD)
    assert (kept.layer.weights_CD == LAYER.weights_CD).all()


def test_an_audit_runs_until_it_ends_and_its_number_is_never_given_again(audits: Audits) -> None:
    assert (audits.next_number(7), audits.last(7), audits.running(7), audits.holds(7)) == (1, None, None, False)
    audits.begin(AUDIT, None)
    running = audits.running(7)
    assert running is not None
    assert running.number == 1
    audits.end(7, "given up")
    audits.end(7, "200 labels were given")
    assert audits.ended(7) == "given up"
    assert audits.holds(7), "until it is released"
    audits.release(7)
    assert not audits.holds(7)
    assert (audits.running(7), audits.runs(7), audits.next_number(7)) == (None, False, 2)
    audits.begin(replace(AUDIT, number=2), None)
    last = audits.last(7)
    assert last is not None
    assert (last.number, audits.next_number(7), audits.next_number(8)) == (2, 3, 1)


def test_what_was_issued_is_known_for_good_and_it_is_known_whether_that_is_all(audits: Audits, tmp_path: Path) -> None:
    audits.begin(AUDIT, None)
    assert audits.issued(7, 1) == (frozenset(), True)
    for digest in ("ab" * 32, "cd" * 32, "ab" * 32):
        audits.note_issued(7, 1, digest)
    assert audits.issued(7, 1) == (frozenset({"ab" * 32, "cd" * 32}), True)
    write(tmp_path / "backup.zip", tmp_path, {}, "0.1.0", "2026-01-03")
    contents = read(tmp_path / "backup.zip")
    restore(tmp_path / "backup.zip", contents, contents.files, tmp_path / "restored")
    assert Audits(tmp_path / "restored").issued(7, 1) == audits.issued(7, 1)
    (tmp_path / "audits" / "7" / "1" / ISSUED).unlink()  # as an earlier build would have begun it
    assert audits.issued(7, 1) == (frozenset({"ab" * 32, "cd" * 32}), False)
    with pytest.raises(BadAuditError, match="cannot be noted"):
        audits.note_issued(7, 2, "ab" * 32)


def test_what_was_cut_short_does_not_count_and_is_no_obstacle(
    audits: Audits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            audits.begin(AUDIT, None)
    assert (audits.next_number(7), audits.last(7)) == (1, None)
    audits.begin(AUDIT, None)
    assert audits.load(7, 1).number == 1
    with pytest.raises(OSError, match="not empty"):
        audits.begin(replace(AUDIT, most_labels=9), None)
    assert audits.load(7, 1).most_labels == 200


@pytest.mark.parametrize("file", [PLAN, ROWS])
def test_a_damaged_audit_is_refused_by_name(audits: Audits, tmp_path: Path, file: str) -> None:
    audits.begin(AUDIT, None)
    cut(tmp_path / "audits" / "7" / "1" / file)
    with pytest.raises(BadAuditError, match=r"Audit 1 of project 7 cannot be read from .*, or give the audit up with"):
        audits.last(7)
    assert (audits.running(7), audits.holds(7), audits.next_number(7)) == (None, True, 2)
    audits.release(7)
    audits.end(7, "it was given up")
    assert not audits.holds(7), "a damaged one can be given up"
    with pytest.raises(BadAuditError, match=r"can be judged\.$"):
        audits.last(7)
