"""Makes a Label Studio project from a corpus of sentence pairs, and completes one that lacks tasks or labels.

Takes no task away that a person has worked on, and refuses a project that holds anything but the corpus.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from nextlabel.errors import (
    IncompleteImportError,
    RefusedConfigError,
    StudioError,
    WrongProjectError,
    without_password,
)
from nextlabel.labelstudio import tasks
from nextlabel.labelstudio.client import (
    Counts,
    LabelStudioClient,
    StudioAwayError,
    StudioRefusedError,
)
from nextlabel.labelstudio.config import pair_config, parse_label_config
from nextlabel.labelstudio.tasks import choices_in
from nextlabel.simulation.datasets.corpora import (
    LABELS,
    Corpus,
    Pair,
    seed_rows,
)

PAIR_CONFIG = pair_config("Do these two sentences say the same?", ("sentence1", "sentence2"), LABELS)

# On SQLite, Label Studio drops all labels of an import beside which anything else is written in the wrong moment, and
# answers 201. No size is safe; the larger, the likelier: beside 5 to 50 writes a second 8 of 9 imports of 1000 tasks
# lost theirs, and 3 of 9 of 250.
BATCH, SMALLEST_BATCH, SHRINK = 250, 100, 2  # tasks per request, and by what a loss divides them
BULK_ROUNDS = 4  # after that, labels that are still lost are added one by one, which loses none
RETRIED_CODES = (408, 409, 413, 425, 429)  # refusals that another try, with a smaller batch, may get past
REMEDY = "To complete it, run `nextlabel import-mrpc` again with the same options and --project {project}."


@dataclass(frozen=True)
class Patience:
    """When to give up: after `rounds` in a row that brought nothing.

    `pause_s` is slept after the first of them that failed, and twice as long after each further one. `settle_s` is how
    long a complete project is watched for an import that was not answered and may still arrive.
    """

    rounds: int = 7
    pause_s: float = 1.0
    settle_s: float = 60.0


@dataclass(frozen=True)
class Imported:
    """A complete project: how many tasks and labels of the corpus it holds, and what that took.

    `lost` labels were dropped by Label Studio; all is there after `repairs` further rounds. `relabelled` tasks have
    another label than the corpus gives them: a person's. `unanswered` imports have not been seen to arrive.
    """

    project: int
    held: Counts
    lost: int
    repairs: int
    relabelled: int
    unanswered: int


@dataclass(frozen=True)
class Comparison:
    """A project beside the tasks that are wanted in it, row by row.

    `held` counts wanted tasks that are there, and labels that are wanted and there. Rows in `missing` have no task,
    those in `bare` have one (its id) without the label that they should have. `surplus` are ids of second tasks of a
    row, with the number of their annotations; those that a person has worked on are `doubled` instead. `relabelled`
    counts tasks with another label than the wanted one. `foreign` are ids of tasks that are of no wanted row.
    """

    wanted: Counts
    held: Counts
    missing: tuple[int, ...]
    bare: Mapping[int, int]
    surplus: Mapping[int, int]
    doubled: tuple[int, ...]
    relabelled: int
    foreign: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether every row is there with its label."""
        return self.held == self.wanted

    @property
    def complete(self) -> bool:
        """Whether every row is there once, with its label."""
        return self.whole and not (self.surplus or self.doubled)

    @property
    def rightness(self) -> tuple[int, int]:
        """What grows as the project is completed."""
        return self.held.tasks + self.held.annotations, -len(self.surplus)


@dataclass(frozen=True)
class _Copy:
    """A task of a row. `labels` counts its annotations without skips."""

    id: int
    labels: int
    worked_on: bool
    relabelled: bool

    def worth(self) -> tuple[bool, int, int]:
        """What a person did comes first, then what has a label, then what is older."""
        return self.worked_on, self.labels, -self.id


def compare(wanted: Mapping[int, Mapping[str, Any]], tasks: Iterable[Mapping[str, Any]]) -> Comparison:
    """The wanted tasks, as they are imported and by `data.row`, beside those that Label Studio lists."""
    copies: dict[int, list[_Copy]] = defaultdict(list)
    foreign = []
    for task in tasks:
        row = _row(task["data"])
        if row in wanted and wanted[row]["data"].items() <= task["data"].items():
            copies[row].append(_copy(wanted[row], task))
        else:
            foreign.append(int(task["id"]))
    best = {row: max(several, key=_Copy.worth) for row, several in copies.items()}
    others = [copy for row, several in copies.items() for copy in several if copy is not best[row]]
    labelled = [row for row, task in wanted.items() if "annotations" in task]
    return Comparison(
        wanted=Counts(len(wanted), len(labelled)),
        held=Counts(len(best), sum(row in best and best[row].labels > 0 for row in labelled)),
        missing=tuple(row for row in wanted if row not in best),
        bare={row: best[row].id for row in labelled if row in best and not best[row].labels},
        surplus={copy.id: copy.labels for copy in others if not copy.worked_on},
        doubled=tuple(copy.id for copy in others if copy.worked_on),
        relabelled=sum(row in best and best[row].relabelled for row in labelled),
        foreign=tuple(foreign),
    )


def _row(data: object) -> int:
    """The key by which a task is found again; -1 where there is none."""
    row = data.get("row") if isinstance(data, Mapping) else None
    return row if isinstance(row, int) else -1


def _copy(wanted: Mapping[str, Any], task: Mapping[str, Any]) -> _Copy:
    given = [choices_in(annotation) for annotation in wanted.get("annotations", ())]
    annotations = task.get("annotations") or []
    labels = [choices_in(annotation) for annotation in annotations if not annotation.get("was_cancelled")]
    skipped = len(labels) < len(annotations)
    return _Copy(
        id=int(task["id"]),
        labels=len(labels),
        worked_on=skipped or labels not in ([], given),
        relabelled=any(label not in given for label in labels),
    )


def import_corpus(
    studio: LabelStudioClient,
    corpus: Corpus,
    title: str,
    start: float,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    remedy: str = REMEDY,
) -> int:
    """Make a project and fill it, as `complete` does; returns its id."""
    project = studio.create_project(title, PAIR_CONFIG)
    return complete(studio, project, corpus, start, seed, progress, remedy).project


def complete(
    studio: LabelStudioClient,
    project: int,
    corpus: Corpus,
    start: float,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    remedy: str = REMEDY,
    patience: Patience = Patience(),
) -> Imported:
    """Import what the project lacks of the corpus, until it holds every row once, and every label.

    A random seed set (`start`: a share below 1, or a count) comes with its gold labels, and so does the holdout,
    which carries `split` = `validation` and is never in the pool and never trained on. `progress` is told how many
    tasks of how many are there.

    Raises `WrongProjectError` for a project that holds something else, and `IncompleteImportError`, with what is
    there and with `remedy`, when the project cannot be completed.
    """
    _require_pairs(studio, project)
    return _Import(studio, project, wanted_tasks(corpus, start, seed), progress, remedy, patience).run()


def _require_pairs(studio: LabelStudioClient, project: int) -> None:
    config = studio.project(project, with_counts=False).label_config
    try:
        same = parse_label_config(config) == parse_label_config(PAIR_CONFIG)
    except RefusedConfigError:
        same = False
    if not same:
        raise WrongProjectError(
            f"{_place(studio, project)} has another labelling config than the import gives its projects. Nothing was "
            "imported. Name the project of an earlier import, or leave --project out to make a new one."
        )


def wanted_tasks(corpus: Corpus, start: float, seed: int) -> dict[int, dict[str, Any]]:
    """The tasks as they are imported, by row, in the order of the corpus."""
    seeds = seed_rows(corpus.train, start, seed)
    tasks = {pair.row: _task(pair, "train", labelled=pair.row in seeds) for pair in corpus.train}
    return tasks | {pair.row: _task(pair, "validation", labelled=True) for pair in corpus.holdout}


def _task(pair: Pair, split: str, labelled: bool) -> dict[str, Any]:
    data = {"sentence1": pair.sentence1, "sentence2": pair.sentence2, "row": pair.row, "split": split}
    return {"data": data, "annotations": [{"result": result_of(pair.label)}]} if labelled else {"data": data}


def result_of(label: str) -> list[dict[str, Any]]:
    """The annotation result that Label Studio's editor would submit for this label in a project of pairs."""
    return tasks.result_of(parse_label_config(PAIR_CONFIG), label)


@dataclass
class _Import:
    """One run: look at what is there, send what is not, and look again.

    A row that came without its label is sent once more, and its first task is taken away at the very end: earlier,
    SQLite would give the task's id away again, and what a person submits for it would land on another row.
    """

    studio: LabelStudioClient
    project: int
    wanted: Mapping[int, Mapping[str, Any]]
    progress: Callable[[int, int], None]
    remedy: str
    patience: Patience
    found: Comparison = field(init=False)
    size: int = BATCH
    rounds: int = 0
    lost: int = 0
    present: int = 0  # tasks in the project, second ones included, as far as we know
    in_doubt: int = 0  # imports that were not answered and have not been seen to arrive

    def run(self) -> Imported:
        idle, reason = 0, ""
        self.found = compare(self.wanted, [])
        while idle < self.patience.rounds:
            idle += 1
            try:
                idle = 1 if self._look() else idle
                if not self.found.complete:
                    self._mend()
                elif not self._still_arrives():
                    return self._report()
            except StudioError as error:
                reason = f" {error}"
                if _is_final(error):
                    break
                time.sleep(self.patience.pause_s * 2 ** (idle - 1))
        with suppress(StudioError):  # for what was sent last may be there
            self._look()
        if self.found.complete:
            return self._report()
        raise IncompleteImportError(
            f"{_place(self.studio, self.project)} is incomplete: when last read, it held {_holding(self.found)}."
            f"{reason} {self.remedy.format(project=self.project)}"
        )

    def _look(self) -> bool:
        """Read the project back; returns whether more of it is right than before."""
        tasks = [task for page in self.studio.tasks_after(self.project, 0) for task in page]
        before, self.found = self.found, compare(self.wanted, tasks)
        if self.found.foreign:
            raise WrongProjectError(
                f"{_place(self.studio, self.project)} holds {len(self.found.foreign)} tasks that are not of this "
                f"corpus, such as task {self.found.foreign[0]}. Nothing was added beside them. Name the project of an "
                "earlier import of this corpus, or leave --project out to make a new one."
            )
        self.in_doubt -= self.in_doubt > 0 and len(tasks) > self.present
        self.present = len(tasks)
        self.progress(self.found.held.tasks, len(self.wanted))
        return self.found.rightness > before.rightness

    def _mend(self) -> None:
        self.rounds += 1
        one_by_one = self.rounds > BULK_ROUNDS
        self._send([*self.found.missing, *(() if one_by_one else self.found.bare)])
        if one_by_one:
            for row, task_id in self.found.bare.items():
                self.studio.add_label(task_id, self.wanted[row]["annotations"][0]["result"])
        if self.found.whole:
            self._take_away()

    def _send(self, rows: Sequence[int]) -> None:
        done, missing = self.found.held.tasks, set(self.found.missing)
        while rows:
            batch, rows = rows[: self.size], rows[self.size :]
            self._import(batch)
            done += len(missing.intersection(batch))
            self.progress(done, len(self.wanted))

    def _import(self, batch: Sequence[int]) -> None:
        tasks = [self.wanted[row] for row in batch]
        sent = Counts(len(tasks), sum("annotations" in task for task in tasks))
        try:
            created = self.studio.import_tasks(self.project, tasks)
        except StudioError as error:
            self.in_doubt += _may_still_arrive(error)
            self._shrink(batch)
            raise
        self.present += created.tasks
        self.lost += sent.annotations - created.annotations
        if created != sent:
            self._shrink(batch)

    def _shrink(self, batch: Sequence[int]) -> None:
        self.size = max(SMALLEST_BATCH, len(batch) // SHRINK)

    def _take_away(self) -> None:
        for labels in set(self.found.surplus.values()):
            ids = [task_id for task_id, count in self.found.surplus.items() if count == labels]
            self.studio.delete_tasks(self.project, ids, annotations=labels)

    def _still_arrives(self) -> bool:
        """Whether an import that was not answered arrives while we wait for it."""
        end = time.monotonic() + (self.patience.settle_s if self.in_doubt else 0)
        while time.monotonic() < end:
            if self.studio.project(self.project).tasks > self.present:
                return True
            time.sleep(self.patience.settle_s / 60)
        return False

    def _report(self) -> Imported:
        return Imported(
            project=self.project,
            held=self.found.held,
            lost=self.lost,
            repairs=max(0, self.rounds - 1),
            relabelled=self.found.relabelled,
            unanswered=self.in_doubt,
        )


def _is_final(error: StudioError) -> bool:
    return isinstance(error, StudioRefusedError) and 400 <= error.code < 500 and error.code not in RETRIED_CODES


def _may_still_arrive(error: StudioError) -> bool:
    """Whether what was sent may be carried out after all: nobody answered, or a proxy in between did."""
    if isinstance(error, StudioRefusedError):
        return error.code == 408 or error.code > 500
    return not isinstance(error, StudioAwayError)


def project_url(studio: LabelStudioClient, project: int) -> str:
    """The project's page in Label Studio."""
    return f"{without_password(studio.url)}/projects/{project}"


def _place(studio: LabelStudioClient, project: int) -> str:
    return f"Project {project} ({project_url(studio, project)})"


def _holding(found: Comparison) -> str:
    text = (
        f"{found.held.tasks} of {found.wanted.tasks} tasks and {found.held.annotations} of "
        f"{found.wanted.annotations} labels"
    )
    if found.surplus:
        text += f", and {len(found.surplus)} tasks twice"
    if found.doubled:
        text += (
            f", and {len(found.doubled)} tasks twice that people have worked on, such as task {found.doubled[0]}: "
            "delete one of each in the data manager"
        )
    return text
