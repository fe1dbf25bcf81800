"""An import into a real Label Studio that loses labels, gives no answer, refuses or is broken off half-way."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from helpers.faulty_studio import (
    BAD_GATEWAY,
    LOCKED,
    Ask,
    Fault,
    FaultyStudio,
    Reply,
    json_of,
    late,
    lost,
    reset,
    to,
    truncated,
)
from helpers.mrpc import whole_mrpc
from helpers.paths import ROOT
from nextlabel.errors import IncompleteImportError, WrongProjectError
from nextlabel.lab.importing import (
    BATCH,
    PAIR_CONFIG,
    Comparison,
    Imported,
    Patience,
    compare,
    complete,
    import_corpus,
    project_url,
    result_of,
    wanted_tasks,
)
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import Counts, LabelStudioClient
from nextlabel.simulation.datasets.corpora import MRPC_SIZES, Corpus, own_pairs

START = 0.5
IMPORT = to(r"POST /api/projects/\d+/import")
QUICK = Patience(rounds=3, pause_s=0.05, settle_s=6)
TIMEOUT_S = 3.0

Task = dict[str, Any]


# The comparison


def wanted(*rows: int, labelled: bool = True) -> dict[int, Task]:
    annotations = {"annotations": [{"result": result_of("different")}]} if labelled else {}
    return {row: {"data": {"sentence1": f"a {row}", "sentence2": "b", "row": row}, **annotations} for row in rows}


def held(task_id: int, row: object, *labels: str, skipped: bool = False, **data: object) -> Task:
    """A task as Label Studio lists it."""
    annotations = [{"result": result_of(label), "was_cancelled": False} for label in labels]
    skips = [{"result": [], "was_cancelled": True}] if skipped else []
    fields = {"sentence1": f"a {row}", "sentence2": "b", "row": row, "more": [1], **data}
    return {"id": task_id, "data": fields, "annotations": annotations + skips}


def test_a_project_that_holds_every_row_once_with_its_label_is_complete() -> None:
    found = compare(
        wanted(1, 2) | wanted(3, labelled=False), [held(7, 2, "different"), held(8, 1, "different"), held(9, 3)]
    )
    assert found == Comparison(Counts(3, 2), Counts(3, 2), (), {}, {}, (), 0, ())
    assert found.complete


def test_rows_without_a_task_and_tasks_without_their_label_are_found() -> None:
    found = compare(wanted(1, 2, 3, 4), [held(7, 1), held(8, 2, skipped=True), held(9, 3, "different")])
    assert (found.held, found.missing, found.bare) == (Counts(3, 1), (4,), {1: 7, 2: 8})
    assert not found.whole


def test_of_two_tasks_of_a_row_the_better_one_stays() -> None:
    tasks = [
        held(1, 1), held(2, 1, "different"), held(3, 1, "different"),  # the older one with a label
        held(4, 2, "different"), held(5, 2, "paraphrase"),  # a person's
        held(6, 3), held(7, 3),
    ]  # fmt: skip
    found = compare(wanted(1, 2) | wanted(3, labelled=False), tasks)
    assert found.surplus == {1: 0, 3: 1, 4: 1, 7: 0}
    assert (found.whole, found.complete, found.doubled) == (True, False, ())


def test_no_task_that_a_person_worked_on_is_surplus() -> None:
    tasks = [
        held(1, 1, "paraphrase"),
        held(2, 1, "different", "different"),
        held(3, 2, skipped=True),
        held(4, 2, "different"),
    ]
    found = compare(wanted(1) | wanted(2, labelled=False), tasks)
    assert found.surplus == {}
    assert found.doubled == (1, 3)
    assert not found.complete


def test_another_label_than_the_wanted_one_is_counted_and_left() -> None:
    found = compare(wanted(1), [held(1, 1, "paraphrase")])
    assert (found.complete, found.relabelled) == (True, 1)


@pytest.mark.parametrize("row", [2, None, "1", 1.5, [1], {"1": 1}])
def test_a_task_of_no_wanted_row_is_foreign(row: object) -> None:
    assert compare(wanted(1), [held(5, row)]).foreign == (5,)


def test_a_row_with_other_texts_is_foreign() -> None:
    assert compare(wanted(1), [held(5, 1, sentence1="another corpus")]).foreign == (5,)
    assert compare(wanted(1), [{"id": 6, "data": ["no mapping"]}]).foreign == (6,)


# Label Studio


class Watched(LabelStudioClient):
    """A client that notes what each import was to create and what it created."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.imports: list[tuple[Counts, Counts]] = []

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> Counts:
        created = super().import_tasks(project, tasks)
        self.imports.append((Counts(len(tasks), sum("annotations" in task for task in tasks)), created))
        return created


@contextmanager
def somebody_writing(label_studio: LocalStudio, busy_s: float) -> Iterator[None]:
    """Another program that writes to Label Studio's database: all the time at first, then twice a second."""
    [path] = label_studio.data_dir.rglob("label_studio.sqlite3")
    done, calm_from = threading.Event(), time.monotonic() + busy_s

    def write() -> None:
        database = sqlite3.connect(path, timeout=60, isolation_level=None)
        database.execute("CREATE TABLE IF NOT EXISTS somebody (wrote INTEGER)")
        while not done.is_set():
            database.execute("INSERT INTO somebody VALUES (1)")
            done.wait(0.002 if time.monotonic() < calm_from else 0.5)
        database.execute("DROP TABLE somebody")
        database.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def tasks_of(studio: LabelStudioClient, project: int) -> list[Task]:
    return [task for page in studio.tasks_after(project, 0) for task in page]


def assert_complete(studio: LabelStudioClient, project: int, corpus: Corpus, start: float = START) -> None:
    """Looked at without the comparison that the import itself makes."""
    tasks = tasks_of(studio, project)
    gold = {pair.row: pair.label for pair in corpus.train + corpus.holdout}
    assert sorted(task["data"]["row"] for task in tasks) == sorted(gold)
    labels = {task["data"]["row"]: [a["result"] for a in task["annotations"]] for task in tasks}
    seeds = {row for row, task in wanted_tasks(corpus, start, 0).items() if "annotations" in task}
    assert labels == {row: [result_of(label)] if row in seeds else [] for row, label in gold.items()}
    assert all(task["is_labeled"] == (task["total_annotations"] == 1) for task in tasks)
    assert studio.project(project).annotations == len(seeds)


def fill(studio: LabelStudioClient, project: int, corpus: Corpus, patience: Patience = QUICK) -> Imported:
    return complete(studio, project, corpus, START, seed=0, patience=patience)


@pytest.fixture
def project(studio: LabelStudioClient) -> int:
    return studio.create_project("to be filled", PAIR_CONFIG)


@pytest.fixture(scope="module")
def proxy(label_studio: LocalStudio) -> Iterator[FaultyStudio]:
    proxy = FaultyStudio(label_studio)
    yield proxy
    proxy.stop()


@pytest.fixture
def behind(proxy: FaultyStudio) -> LabelStudioClient:
    """A client that reaches Label Studio through the proxy and does not wait long."""
    return LabelStudioClient(proxy.url, proxy.login.token, timeout_s=TIMEOUT_S)


def test_labels_that_label_studio_drops_beside_a_writer_are_added_again(
    label_studio: LocalStudio, project: int, few_pairs: Corpus
) -> None:
    watched = Watched(label_studio.url, label_studio.login.token)
    with somebody_writing(label_studio, busy_s=2.5):  # the first try, but not Label Studio's second, 3 s later
        done = fill(watched, project, few_pairs)
    sent, created = watched.imports[0]
    assert sent == Counts(120, 72)
    assert created == Counts(120, 0)  # and the answer was 201
    assert done.lost >= 72
    assert done.repairs > 0
    assert done.held == Counts(120, 72)
    assert_complete(watched, project, few_pairs)


class Forgetful(LabelStudioClient):
    """Label Studio beside a writer that always hits: no import keeps its labels."""

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> Counts:
        return super().import_tasks(project, [{"data": task["data"]} for task in tasks])


def test_labels_that_are_dropped_every_time_are_added_one_by_one(
    label_studio: LocalStudio, project: int, few_pairs: Corpus
) -> None:
    few = Corpus("fewer", few_pairs.train[:12], few_pairs.holdout[:4])
    done = fill(Forgetful(label_studio.url, label_studio.login.token), project, few, Patience(rounds=6, pause_s=0))
    assert done.held == Counts(16, 10)
    assert_complete(LabelStudioClient(label_studio.url, label_studio.login.token), project, few)
    assert all(a["ground_truth"] for task in tasks_of(label_studio.connect(), project) for a in task["annotations"])


def then(answer: Fault) -> Fault:
    """Label Studio does what it is asked, and something else is answered."""

    def fault(ask: Ask) -> Reply | None:
        ask()
        return answer(ask)

    return fault


@pytest.mark.parametrize("fault", [late, lost, truncated, then(BAD_GATEWAY), then(LOCKED)])
def test_an_import_whose_answer_was_lost_is_not_made_twice(
    fault: Fault,
    proxy: FaultyStudio,
    behind: LabelStudioClient,
    studio: LabelStudioClient,
    project: int,
    few_pairs: Corpus,
) -> None:
    with proxy.failing(fault, IMPORT, times=1) as injection:
        done = fill(behind, project, few_pairs)
    assert (injection.injected, injection.met) == (1, 1)  # neither we nor the SDK asked again
    assert done.unanswered == 0
    assert_complete(studio, project, few_pairs)


@pytest.mark.parametrize("fault", [reset, LOCKED, json_of(413, {"detail": "too large"})])
def test_an_import_that_was_not_carried_out_is_made_again(
    fault: Fault,
    proxy: FaultyStudio,
    behind: LabelStudioClient,
    studio: LabelStudioClient,
    project: int,
    few_pairs: Corpus,
) -> None:
    with proxy.failing(fault, IMPORT, times=1):
        done = fill(behind, project, few_pairs, Patience(rounds=3, pause_s=0.05, settle_s=0.1))
    assert done.repairs == 1
    assert done.unanswered == (fault is reset)
    assert_complete(studio, project, few_pairs)


def test_an_import_that_arrives_after_we_gave_it_up_leaves_no_row_twice(
    proxy: FaultyStudio, behind: LabelStudioClient, studio: LabelStudioClient, project: int, few_pairs: Corpus
) -> None:
    go, arrived = threading.Event(), []

    def held_back(ask: Ask) -> Reply:
        assert go.wait(60)
        arrived.append(ask())
        return arrived[0]

    def once_all_is_sent_again(done: int, total: int) -> None:
        if done == total:
            go.set()

    with proxy.failing(held_back, IMPORT, times=1):
        done = complete(behind, project, few_pairs, START, 0, once_all_is_sent_again, patience=QUICK)
    assert arrived[0].status == 201
    assert (done.unanswered, done.repairs > 1) == (0, True)
    assert_complete(studio, project, few_pairs)


def run_script(label_studio: LocalStudio, *arguments: object) -> subprocess.Popen[str]:
    keys = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.login.token}
    command = [sys.executable, str(ROOT / "scripts" / "import_mrpc.py"), *map(str, arguments)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **keys}, **pipes)


def test_a_run_that_was_killed_has_named_its_project_and_is_completed_by_another(
    label_studio: LocalStudio, studio: LabelStudioClient, tmp_path: Any
) -> None:
    arguments = ("--mrpc-dir", whole_mrpc(tmp_path), "--start", 60)
    broken = run_script(label_studio, *arguments)
    assert broken.stdout is not None
    named = [broken.stdout.readline() for _ in range(3)]
    project = int(re.findall(r"--project (\d+)", named[2])[0])
    assert named[1].strip() == f"Project {project}: {project_url(studio, project)}"
    while not studio.project(project).tasks:
        time.sleep(0.05)
    broken.kill()
    broken.communicate()
    size = sum(MRPC_SIZES)
    assert studio.project(project).tasks < size

    again = run_script(label_studio, *arguments, "--project", project)
    out, errors = again.communicate(timeout=1000)
    assert again.returncode == 0, errors
    assert f"{size} tasks, {60 + MRPC_SIZES[1]} labels" in out
    found = studio.project(project)
    assert (found.tasks, found.annotations) == (size, 60 + MRPC_SIZES[1])


def test_nothing_is_sent_to_a_complete_project_and_what_people_did_there_stays(
    label_studio: LocalStudio, project: int, few_pairs: Corpus
) -> None:
    watched = Watched(label_studio.url, label_studio.login.token)
    fill(watched, project, few_pairs)
    tasks = tasks_of(watched, project)
    open_task = next(task for task in tasks if not task["annotations"])
    watched.annotate(open_task["id"], result_of("different"))
    watched.imports.clear()
    done = fill(watched, project, few_pairs)
    assert (done.held, done.repairs, watched.imports) == (Counts(120, 72), 0, [])
    assert watched.project(project).annotations == 73


def test_tasks_and_labels_that_went_missing_come_back_and_second_tasks_go(
    studio: LabelStudioClient, project: int, few_pairs: Corpus
) -> None:
    fill(studio, project, few_pairs)
    tasks = tasks_of(studio, project)
    bare = [{"data": task["data"]} for task in tasks]
    studio.delete_tasks(project, [task["id"] for task in tasks[:10]], annotations=1)
    studio.import_tasks(project, bare[10:40])
    fill(studio, project, few_pairs)
    assert_complete(studio, project, few_pairs)


def test_a_refusal_ends_in_one_message_that_names_the_project_and_what_it_holds(
    proxy: FaultyStudio, behind: LabelStudioClient, studio: LabelStudioClient, project: int
) -> None:
    corpus = own_pairs()
    size, labels = len(corpus.train) + len(corpus.holdout), len(corpus.train) // 2 + len(corpus.holdout)
    refused = json_of(403, {"detail": "not yours"})
    with (
        proxy.failing(refused, IMPORT, every=2, times=1) as injection,
        pytest.raises(IncompleteImportError) as told,
    ):
        fill(behind, project, corpus)
    assert injection.met == 2  # a refusal for good is not tried again
    first = sum("annotations" in task for task in list(wanted_tasks(corpus, START, 0).values())[:BATCH])
    message = str(told.value)
    assert message.startswith(f"Project {project} ({proxy.url}/projects/{project}) is incomplete: ")
    assert f"held {BATCH} of {size} tasks and {first} of {labels} labels." in message
    assert "403" in message
    assert message.endswith(f"run `nextlabel import-mrpc` again with the same options and --project {project}.")
    fill(studio, project, corpus)
    assert_complete(studio, project, corpus)


def test_a_fault_that_stays_ends_after_some_tries(
    proxy: FaultyStudio, behind: LabelStudioClient, project: int, few_pairs: Corpus
) -> None:
    with proxy.failing(LOCKED, IMPORT) as injection, pytest.raises(IncompleteImportError, match="database is locked"):
        fill(behind, project, few_pairs)
    assert injection.met == QUICK.rounds


def test_a_project_that_holds_something_else_is_refused_and_left_as_it_is(
    studio: LabelStudioClient, project: int, few_pairs: Corpus
) -> None:
    other = import_corpus(studio, Corpus("others", own_pairs().train[200:203], ()), "others", 0, seed=0)
    with pytest.raises(WrongProjectError, match=rf"Project {other} .* holds 3 tasks that are not of this corpus"):
        fill(studio, other, few_pairs)
    reviews = studio.create_project("reviews", PAIR_CONFIG.replace("paraphrase", "good"))
    with pytest.raises(WrongProjectError, match="another labelling config"):
        fill(studio, reviews, few_pairs)
    assert (studio.project(other).tasks, studio.project(reviews).tasks) == (3, 0)


def test_a_task_that_was_labelled_meanwhile_is_not_deleted(studio: LabelStudioClient, project: int) -> None:
    studio.import_tasks(project, list(wanted(1, 2, labelled=False).values()))
    first, second = tasks_of(studio, project)
    studio.annotate(first["id"], result_of("different"))
    studio.delete_tasks(project, [first["id"], second["id"]], annotations=0)
    assert [task["id"] for task in tasks_of(studio, project)] == [first["id"]]
    studio.delete_tasks(project, [], annotations=1)
    assert len(tasks_of(studio, project)) == 1


def test_a_label_that_is_added_again_is_there_once(studio: LabelStudioClient, project: int) -> None:
    studio.import_tasks(project, list(wanted(1, labelled=False).values()))
    [task] = tasks_of(studio, project)
    for _ in range(2):
        studio.add_label(task["id"], result_of("different"))
    [task] = tasks_of(studio, project)
    assert len(task["annotations"]) == 1
