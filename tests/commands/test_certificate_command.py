"""What `nextlabel certificate` says before an audit, of pools of any size, and that it takes turns. The whole way is
played in tests/loop/test_audit_live.py."""

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.audits import AUDIT
from nextlabel.commands.certificate import _verify, takes
from nextlabel.errors import BadAuditError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.learning.audit import MOST_LABELS, RISK, allowed, labels_without_error, next_audit, spent
from nextlabel.learning.certificate import Audit
from nextlabel.loop import certifying
from nextlabel.loop.certifying import Auditor
from nextlabel.problems.quality_words import SAVES_HALF
from nextlabel.settings import Settings
from nextlabel.simulation.audits import certain_by, first_with, labels_for, labels_to_allow, wrong_in
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import lock
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry


def audit_of(tasks: int, labels: int) -> Audit:
    """Of which the version is surer of some than of others."""
    confidences_N = np.random.default_rng(0).normal(size=tasks)
    return replace(AUDIT, ids_N=np.arange(tasks), confidences_N=confidences_N, most_labels=labels)


@pytest.mark.parametrize(("tasks", "labels"), [(6, 200), (60, 200), (216, 200), (216, 50), (216, 1000), (2000, 200)])
def test_nothing_is_asked_for_that_a_pool_cannot_give(tasks: int, labels: int) -> None:
    audit = audit_of(tasks, labels)
    about, without_error, at_most, *others = takes(audit)
    most = min(tasks, labels)
    assert f"It takes {most} labels at most." in about
    size = audit.plan.parts[0].size
    needed = -(-labels_without_error(size, audit.plan.level) * tasks // size)
    assert (f"about {needed} " in without_error) == (needed < tasks)
    assert without_error.startswith("Not possible") == (needed > most)
    assert needed <= tasks
    said = " ".join(others).replace(",", "")
    assert not re.search(r"\b(\d+) or \1 labels", said), "the same is said once"
    numbers = [int(word) for word in said.split() if word.isdigit()]
    assert all(number <= tasks for number in numbers), said
    assert at_most.startswith("Not possible if")


@pytest.mark.parametrize("tasks", [1, 6, 60, 216, 300, 2000])
@pytest.mark.parametrize("number", [1, 2, 6])
def test_the_page_tells_of_an_audit_without_a_wrong_label_what_is_told_here(tasks: int, number: int) -> None:
    audit = replace(audit_of(tasks, min(tasks, MOST_LABELS)), number=number)
    assert next_audit(tasks, number).without_error == audit.needed


@pytest.mark.parametrize(("tasks", "share"), [(300, 0.01), (1000, 0.02)])
def test_an_audit_of_as_many_labels_as_are_told_has_the_chance_that_is_told_and_of_one_less_it_has_not(
    tasks: int, share: float
) -> None:
    level, chances = spent(1), (0.5, 0.9)
    told = labels_to_allow(audit_of(tasks, 200).confidences_N, share, level, RISK, chances)

    def does(most: int, chance: float) -> bool:
        """By what it would itself test first."""
        first = audit_of(tasks, most).plan.parts[0].size
        return labels_for(tasks, first, wrong_in(first, share), level, RISK, [chance], most) != [None]

    either = [most for most in told if most]
    assert [does(most, chance) for most, chance in zip(either, chances, strict=True)] == [True, True]
    assert [does(most - 1, chance) for most, chance in zip(either, chances, strict=True)] == [False, False]
    said = f"  {100 * share:.0f} % wrong: {either[0]} or {either[1]}; with {either[0]} the chance is one half or more"
    assert said in takes(audit_of(tasks, either[0]))


def test_an_audit_is_advised_from_so_many_tasks_on_that_it_saves_half_of_them_whatever_is_labelled_meanwhile() -> None:
    saves = {
        tasks: 2 * next_audit(tasks, 1).without_error <= tasks
        for tasks in (*range(SAVES_HALF - 1, 800), 1000, 2000, 10_000, 100_000)
    }
    assert [tasks for tasks, does in saves.items() if not does] == [SAVES_HALF - 1]


def test_of_so_few_tasks_that_all_are_to_be_labelled_that_is_said() -> None:
    _, few, at_most = takes(audit_of(6, 200))
    assert few == "So few tasks are certified only by labelling them all: nothing is left to the machine."
    assert at_most == "Not possible if any of them is wrong."


def test_where_too_few_labels_are_given_that_is_said_with_how_many_it_takes() -> None:
    said = list(takes(audit_of(216, 50)))
    assert (
        said[1] == "Not possible with 50 labels: even if none is wrong, about 70 are needed. Give --labels 70 or more."
    )
    assert [line.endswith("with 50 the chance is less than one half") for line in said[4:]] == [True] * 3


def test_of_one_task_it_is_not_said_that_it_is_several() -> None:
    assert "gives to 1 task, or" in next(takes(audit_of(1, 200)))
    assert "takes 1 label at most" in next(takes(audit_of(216, 1)))


@pytest.mark.parametrize(
    ("tasks", "labels", "why"), [(216, 50, "Not possible with 50 labels"), (6, 200, "So few tasks")]
)
def test_an_audit_that_cannot_succeed_is_not_begun_and_spends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: int, labels: int, why: str
) -> None:
    """Whatever would be frozen; nothing else is asked, least of all Label Studio to count it."""
    nobody = LabelStudioClient("http://127.0.0.1:9", "token")
    auditor = Auditor(Settings(_env_file=None, model_dir=tmp_path), Registry(tmp_path), nobody, JobQueue(tmp_path), 7)
    monkeypatch.setattr(auditor, "_opened", nullcontext)
    monkeypatch.setattr(auditor, "_frozen", lambda *_: (audit_of(tasks, labels), None))
    with pytest.raises(BadAuditError, match=f"No audit of project 7 was begun. {why}"):
        auditor.start(labels, 0.05)
    assert Audits(tmp_path).next_number(7) == 1


def test_brackets_in_brackets_are_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(BadAuditError, match="holds no certificate"):
        _verify(None, tmp_path / "deep.json")  # type: ignore[arg-type]  # nobody is asked


def test_what_wrong_labels_cost_is_as_computed_for_a_pool_without_end_and_less_in_a_small_one() -> None:
    level = spent(1)
    exact = [first_with(certain_by(0.01, level, 600), chance) for chance in (0.5, 0.9)]
    large, small = (labels_for(size, size, size // 100, level, 0.05, (0.5, 0.9)) for size in (20_000, 300))
    assert all(abs(found - right) < 0.2 * right for found, right in zip(large, exact, strict=True) if found and right)
    assert all(few < many for few, many in zip(small, large, strict=True) if few and many)
    assert labels_for(300, 300, allowed(300, 0.05) + 1, level, 0.05, (0.9,)) == [None]


def test_no_audit_is_stopped_while_one_is_being_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certifying, "PATIENCE_S", 0.1)
    settings, audits = Settings(_env_file=None, model_dir=tmp_path), Audits(tmp_path)
    nobody = LabelStudioClient("http://127.0.0.1:9", "token")
    auditor = Auditor(settings, Registry(tmp_path), nobody, JobQueue(tmp_path), AUDIT.project)
    audits.begin(AUDIT, None)
    with lock(tmp_path, f"{AUDIT.project}.queue"), pytest.raises(BadAuditError, match="is busy"):
        auditor.stop()
    assert audits.runs(AUDIT.project)
    auditor.stop()
    assert not audits.holds(AUDIT.project)
    with pytest.raises(BadAuditError, match="no audit that runs"):
        auditor.stop()
