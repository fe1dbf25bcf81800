"""What is said to be certified: labels of the version or head that is in force, by an audit that came to its end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.audits import AUDIT
from helpers.house import CONFIG
from nextlabel.labelstudio.client import UNCERTAINTY, Project
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.certificate import text_hash
from nextlabel.loop.afterwards import Afterwards, Checked
from nextlabel.loop.auditing import claim_of, progress
from nextlabel.problems.advice import CERTIFIED, Advice
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example, key_of
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import ProjectOptions
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

PROJECT, TASKS, ANSWERED = AUDIT.project, range(1, 101), 90
EXAMPLES = [Example(task, f"text {task}") for task in TASKS]
OF_100 = replace(
    AUDIT,
    labels=("pos", "neg"),
    ids_N=np.array(TASKS),
    texts=tuple(text_hash(key_of(example)) for example in EXAMPLES),
    said=("pos",) * len(TASKS),
    confidences_N=np.full(len(TASKS), 3.0),
)


class Nobody:
    """Whom nothing is told."""

    def look(self, *_: object) -> None:
        pass


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, PROJECT)) as found:
        vote = (Vote("pos", False, "2026-01-02T00:00:00Z"),)
        votes = [vote if place < ANSWERED else () for place in range(len(EXAMPLES))]
        rows = zip(EXAMPLES, votes, strict=True)
        found.upsert(TaskRow(one.id, one, False, bool(some), False, len(some), some) for one, some in rows)
        yield found


def advised(pool: Pool, model_dir: Path, order: str, ours: bool = True) -> Advice:
    """While the queue follows an order."""
    board, audits, nobody = StatusBoard(model_dir), Audits(model_dir), Nobody()
    board.put_queue(PROJECT, 0.0, order=order)
    rest: Any = (nobody, JobQueue(model_dir), audits, nobody, nobody, nobody)
    project = Project(PROJECT, "reviews", CONFIG, UNCERTAINTY, order, False, 0, 0, False, False)
    checked = Checked(project, parse_label_config(CONFIG), ProjectOptions(), None, ours)
    Afterwards(Registry(model_dir), board, *rest)._look_ahead(pool, checked)
    return board.advice(PROJECT)


def test_labels_are_certified_while_the_audited_version_is_in_force_and_no_longer(pool: Pool, tmp_path: Path) -> None:
    audits = Audits(tmp_path)
    audits.begin(OF_100, None)
    audits.end(PROJECT, "all tasks are certified")
    found = advised(pool, tmp_path, OF_100.version)
    assert found.key == CERTIFIED
    assert "of version 5.12 on 100 tasks are right" in found.sentence
    assert "Nobody has labelled 10 of them, and of these at most 5 (50.0 %) are wrong" in found.sentence
    assert advised(pool, tmp_path, OF_100.version, ours=False).key != CERTIFIED, "a person has chosen otherwise"
    for later in ("nextlabel-5.13-20260101T000000", "nextlabel-6-20260102T000000"):
        assert advised(pool, tmp_path, later).key != CERTIFIED


def test_how_many_labels_are_others_than_the_machine_s_is_told_once_the_audit_has_ended(
    pool: Pool, tmp_path: Path
) -> None:
    audits, board = Audits(tmp_path), StatusBoard(tmp_path)
    audits.begin(replace(OF_100, said=("neg",) + ("pos",) * 99, most_labels=100), None)
    advised(pool, tmp_path, OF_100.version)
    assert (board.certificate(PROJECT).labels, board.certificate(PROJECT).wrong) == (ANSWERED, None)
    audits.end(PROJECT, "all tasks are certified")
    advised(pool, tmp_path, OF_100.version)
    assert (board.certificate(PROJECT).labels, board.certificate(PROJECT).wrong) == (ANSWERED, 1)


def test_an_ignored_label_counts_as_skipped_in_an_audit_and_as_wrong_where_there_are_many(pool: Pool) -> None:
    form = CONFIG.replace("</Choices>", '<Choice value="Unsure"/></Choices>')
    config = parse_label_config(form, ProjectOptions(ignored_labels=("Unsure",)))
    vote = (Vote("Unsure", False, "2026-01-02T00:00:00Z"),)
    for unsure, certifies in ((1, 100), (10, 0)):
        pool.upsert(TaskRow(one.id, one, False, True, False, 1, vote) for one in EXAMPLES[:unsure])
        found = progress(pool, config, OF_100)
        assert (len(found.counted), found.skipped, found.wrong) == (ANSWERED, unsure, 0)
        assert (found.part.size if found.part else 0) == certifies
        told = "1 of 90 were skipped or have no label that counts, and are left out."
        assert (told in claim_of(pool, config, OF_100)) == bool(certifies)


def test_an_audit_that_was_given_up_certifies_nothing_and_one_that_had_ended_still_does(
    pool: Pool, tmp_path: Path
) -> None:
    audits = Audits(tmp_path)
    audits.begin(OF_100, None)
    audits.give_up(PROJECT)
    assert advised(pool, tmp_path, OF_100.version).key != CERTIFIED
    audits.begin(replace(OF_100, number=2), None)
    audits.end(PROJECT, "all tasks are certified")
    audits.give_up(PROJECT)
    assert not audits.holds(PROJECT)
    assert advised(pool, tmp_path, OF_100.version).key == CERTIFIED
