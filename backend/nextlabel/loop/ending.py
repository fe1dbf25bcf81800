"""The end of a project: the machine's labels are written into Label Studio, what is left is closed, and all of it can
be undone.

What will be done is on disk before any of it is, so that it can be gone on with or undone whatever interrupts it. While
that record is there, the trainer leaves the project alone. Nothing that a person gave is ever touched: predictions are
written beside, annotations by an account of its own on tasks without any, and what a person has changed since stays.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import uuid4

from nextlabel.errors import BadSettingError, InUseError, NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient, StudioRefusedError
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.controls import results
from nextlabel.labelstudio.registration import find_backend
from nextlabel.labelstudio.tasks import account_of, annotators_of, as_machines, is_machines, result_of
from nextlabel.loop.forgetting import AT_WORK, taken
from nextlabel.loop.machine_labels import Label, MachineLabels
from nextlabel.loop.sync import AT_WORK_S, sync
from nextlabel.problems.form import Form
from nextlabel.settings import Settings, control_of
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.versions.audits import Audits
from nextlabel.versions.endings import ANNOTATE, CLOSE, PREDICT, UNDOING, WRITTEN, Ending, Endings, Step
from nextlabel.versions.exporting import Source
from nextlabel.versions.registry import Registry

LEAST_REST_S = 0.02  # between two requests,
RESTS = 1.0  # or so many times as long as the last one took: half of Label Studio's time is others'
GONE = 404

Tell = Callable[[int], None]  # so many steps are done


@dataclass(frozen=True)
class Wish:
    """What a person wants: labels as annotations or as predictions; `certified` ones alone, or those of at least a
    probability; what is left closed or not. `anyway`: though people are labelling or a version is being fitted."""

    annotations: bool = False
    certified: bool = False
    at_least: float = 0.0
    close_rest: bool = True
    anyway: bool = False

    def takes(self, label: Label) -> bool:
        """Whether the machine's label is to be written."""
        return label.sure >= self.at_least and (label.certified or not self.certified)

    def __str__(self) -> str:
        which = ["certified ones"] if self.certified else []
        which += [f"those of a probability of at least {self.at_least:g}"] if self.at_least else []
        return " and ".join(which) or "all of them"


@dataclass(frozen=True)
class Planned:
    """An ending and its steps; `left` tasks stay as they are."""

    ending: Ending
    steps: tuple[Step, ...]
    left: int

    def count(self, what: str) -> int:
        """How many steps do that."""
        return sum(step.what == what for step in self.steps)


class Finisher:
    """Ends one project, or brings it back. Raises `StudioError` when Label Studio does not answer: run it again then.

    `robot` is a connection as the account whose annotations are written.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        studio: LabelStudioClient,
        jobs: JobQueue,
        project: int,
        robot: LabelStudioClient | None = None,
        rest: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ):
        self._settings, self._registry, self._studio, self._jobs = settings, registry, studio, jobs
        self._project, self._robot, self._rest, self._now = project, robot, rest, now
        self._endings, self._is_same = Endings(settings.model_dir), False

    def under_way(self) -> Ending | None:
        """The ending that has begun, whatever its state."""
        return self._endings.load(self._project)

    def require_ending(self) -> None:
        """Raises `NextlabelError` when there is none, so that nothing can be undone."""
        self._ending()

    def plan(self, source: Source, wish: Wish) -> Planned:
        """What would be done. Changes nothing. Raises `InUseError` when people are labelling, a version is being
        fitted or an audit runs; `BadSettingError` for a robot's account that is a person's.
        """
        if self._endings.holds(self._project):
            raise InUseError(
                f"Project {self._project} has ended already. Take that back first with `nextlabel finish --project "
                f"{self._project} --undo`."
            )
        if Audits(self._settings.model_dir).runs(self._project):
            raise InUseError(
                f"An audit of project {self._project} runs. Let it end, or give it up with `nextlabel certificate stop "
                f"--project {self._project}`."
            )
        if not wish.anyway:
            self._require_quiet()
        locks = ("{}.queue",) if wish.anyway else AT_WORK
        with self._copy() as pool:
            with taken(self._settings.model_dir, self._project, locks):  # not for as long as labels are computed
                config = self._read(pool)
            account = self._account(pool) if wish.annotations else 0
            labels = MachineLabels(self._settings, self._registry, pool, config, source)
            steps = tuple(_steps(pool, labels, wish))
            ending = Ending(
                project=self._project,
                run=uuid4().hex[:12],
                name=source.name,
                which=str(wish),
                account=account,
                before={},
                begun_at=self._now().isoformat(timespec="seconds"),
            )
            return Planned(ending, steps, len(pool.served()) - len(steps))

    def begin(self, planned: Planned, wish: Wish) -> None:
        """Have it known that the project ends so; nothing is written into Label Studio yet. Raises as `plan` does."""
        locks = ("{}.queue",) if wish.anyway else AT_WORK
        with taken(self._settings.model_dir, self._project, locks):
            project = self._studio.project(self._project, with_counts=False)
            before = {"model_version": project.model_version, "show_collab_predictions": project.show_predictions}
            self._endings.begin(replace(planned.ending, before=before), planned.steps)

    def go_on(self, tell: Tell = lambda done: None) -> int:
        """Do what was planned and is not done yet; returns how many tasks somebody else had answered meanwhile, which
        are left to them. Done again, it changes nothing."""
        with self._alone():
            return self._go_on(self._ending(), tell)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raises `InUseError` while another process does the same."""
        try:
            with lock(self._settings.model_dir, f"{self._project}.ending"):
                yield
        except LockHeld:
            raise InUseError(
                f"Another `nextlabel finish` is at work on project {self._project}. Let it come to its end."
            ) from None

    def _go_on(self, ending: Ending, tell: Tell) -> int:
        if ending.state == UNDOING:
            raise InUseError(
                f"The end of project {self._project} is being taken back. Let that be done first, with `nextlabel "
                f"finish --project {self._project} --undo`."
            )
        there = {p.task_id for p in self._studio.predictions_of(self._project, ending.model_version)}
        passed, predicted = 0, bool(there)
        for done, step in enumerate(self._endings.steps(self._project), start=1):
            if step.what == PREDICT and step.task not in there:
                predicted = self._paced(partial(self._predict, ending, step)) or predicted
            elif step.what == ANNOTATE:
                passed += not self._paced(partial(self._annotate, ending, step))
            elif step.what == CLOSE:
                self._paced(partial(self._studio.serve_task, step.task, served=False))
            tell(done)
        if predicted:
            fields = {"model_version": ending.model_version, "show_collab_predictions": True}
            self._studio.update_project(self._project, **fields)
        self._endings.say(ending, WRITTEN)
        return passed

    def undo(self, tell: Tell = lambda done: None) -> int:
        """Have the project be as it was, and the trainer go on with it; returns how many tasks stay as they are now, as
        a person has answered them or changed the machine's answer since."""
        with self._alone():
            return self._undo(self._endings.say(self._ending(), UNDOING), tell)

    def _undo(self, ending: Ending, tell: Tell) -> int:
        self._restore_fields(ending)
        left = 0
        for done, prediction in enumerate(self._studio.predictions_of(self._project, ending.model_version), start=1):
            self._paced(partial(self._delete, prediction.prediction_id))
            tell(done)
        for done, step in enumerate(self._endings.steps(self._project), start=1):
            if step.what != PREDICT:
                left += not self._paced(partial(self._take_back, ending, step))
            tell(done)
        self._endings.forget(self._project)
        self._jobs.hint(self._project, thorough=True)
        return left

    # Before

    def _ending(self) -> Ending:
        found = self._endings.load(self._project)
        if found is None:
            raise NextlabelError(
                f"Nothing was written at an end of project {self._project} by the backend of "
                f"MODEL_DIR={self._settings.model_dir}, so that nothing can be taken back."
            )
        return found

    def _require_quiet(self) -> None:
        since = self._now() - timedelta(seconds=AT_WORK_S)
        pages = self._studio.tasks_changed_since(self._project, since.isoformat(), 0)
        at_work = {who for page in pages for task in page for who, when in annotators_of(task) if _later(when, since)}
        if at_work:
            people = "1 person is" if len(at_work) == 1 else f"{len(at_work)} people are"
            raise InUseError(
                f"{people} at work on project {self._project}: the last label is less than {AT_WORK_S / 60:.0f} "
                "minutes old. Wait for the end of it, or run this with --anyway."
            )

    def _copy(self) -> Pool:
        path = pool_path(self._settings.model_dir, self._project)
        if not path.exists():
            raise BadSettingError(
                f"MODEL_DIR={self._settings.model_dir} holds no copy of project {self._project}. Set MODEL_DIR to the "
                "backend's, and --project to the number in its address."
            )
        return Pool(path)

    def _read(self, pool: Pool) -> LabelConfig:
        """The labelling config, and the copy in step with Label Studio."""
        project, options = self._studio.project(self._project, False), self._registry.options(self._project)
        config = parse_label_config(project.label_config, options)
        config = replace(config, control=control_of(self._settings, options))
        known = pool.state(SyncState)
        if not known.complete or known.reading != config.reading:
            raise NextlabelError(
                f"The trainer has not read project {self._project} to the end, or reads it in another way than the "
                "environment here says. Run this with the backend's .env, and try again in a minute."
            )
        sync(self._studio, pool, config, project, lambda: self._now().timestamp())
        return config

    def _account(self, pool: Pool) -> int:
        """That of the robot: nobody's whose answers count."""
        if self._robot is None:
            raise BadSettingError(
                "LABEL_STUDIO_ROBOT_API_KEY is not set. Make an account for the machine in Label Studio, and set it to "
                "that account's token."
            )
        account, email = self._robot.account(), self._robot.user()
        if account == self._studio.account():
            raise BadSettingError(
                f"LABEL_STUDIO_ROBOT_API_KEY is a token of {email}, as LABEL_STUDIO_API_KEY is. Make an account for "
                "the machine alone, so that its annotations can be told from people's."
            )
        voted = [task for task in pool.asked(pool.annotated()) if str(account) in {vote.account for vote in task.votes}]
        if voted:
            raise BadSettingError(
                f"LABEL_STUDIO_ROBOT_API_KEY is a token of {email}, who has labelled {len(voted)} tasks of project "
                f"{self._project}, such as {voted[0].example.id}. Make an account for the machine alone."
            )
        return account

    # Steps

    def _paced(self, request: Callable[[], bool]) -> bool:
        """Its answer, after a rest."""
        began = time.perf_counter()
        answer = request()
        self._rest(max(LEAST_REST_S, RESTS * (time.perf_counter() - began)))
        return answer

    def _predict(self, ending: Ending, step: Step) -> bool:
        said = {"result": list(step.result), "score": step.sure, "model_version": ending.model_version}
        try:
            self._studio.create_prediction(step.task, said)
        except StudioRefusedError as error:
            if error.code not in (400, GONE) or self._task(step.task) is not None:
                raise
            return False
        return True

    def _delete(self, prediction: int) -> bool:
        self._studio.delete_prediction(prediction)
        return True

    def _annotate(self, ending: Ending, step: Step) -> bool:
        """Whether the task has the machine's annotation, and no other."""
        task = self._task(step.task)
        if task is None or any(not is_machines(annotation) for annotation in task["annotations"]):
            return False
        self._same_robot(ending).annotate_once(step.task, step.result, step.unique_id(ending.run))
        return True

    def _same_robot(self, ending: Ending) -> LabelStudioClient:
        if self._robot is None or (not self._is_same and self._robot.account() != ending.account):
            raise BadSettingError(
                f"The end of project {self._project} was begun with the account {ending.account}. Set "
                "LABEL_STUDIO_ROBOT_API_KEY to that account's token, or take it back with --undo."
            )
        self._is_same = True
        return self._robot

    def _task(self, task: int) -> dict[str, Any] | None:
        try:
            return self._studio.task(task)
        except StudioRefusedError as error:
            if error.code != GONE:
                raise
            return None

    # Back

    def _restore_fields(self, ending: Ending) -> None:
        """Unless a person has the queue follow something else by now. Of a project that was disconnected meanwhile, how
        it was before it was connected stays."""
        if self._studio.project(self._project, False).model_version != ending.model_version:
            return
        if find_backend(self._studio, self._project) is None:
            self._studio.update_project(self._project, model_version="")
            return
        before = {**ending.before, "model_version": ending.before["model_version"] or ""}
        try:
            self._studio.update_project(self._project, **before)
        except StudioRefusedError as error:
            if error.code != 400:
                raise
            self._studio.update_project(self._project, **{**before, "model_version": ""})  # its predictions are gone

    def _take_back(self, ending: Ending, step: Step) -> bool:
        """Whether a task is as it was, or is gone."""
        task = self._task(step.task)
        if task is None:
            return True
        if step.what == ANNOTATE:  # by the account: what was asked for by `unique_id` is not told by it
            ours = [one for one in task["annotations"] if account_of(one) == str(ending.account)]
            unchanged = all(results.shown(annotation["result"]) == results.shown(step.result) for annotation in ours)
            for annotation in ours if unchanged else ():
                self._studio.delete_annotation(annotation["id"])
            return unchanged
        given = sum(not annotation.get("was_cancelled") for annotation in task["annotations"])
        # What was open again for a second person, and was put back by a disconnect since, stays closed.
        wanted = not given or given < task["overlap"]
        if task["is_labeled"] and given == step.annotations and wanted:
            self._studio.serve_task(step.task, served=True)
        return given == step.annotations


def _later(when: str, since: datetime) -> bool:
    return bool(when) and datetime.fromisoformat(when.replace("Z", "+00:00")) > since


def _steps(pool: Pool, labels: MachineLabels, wish: Wish) -> Iterator[Step]:
    """One for each task that is served and is not to be left as it is."""
    served, write = pool.served(), ANNOTATE if wish.annotations else PREDICT
    answered = set(pool.annotated())
    for label in labels.all():
        annotations = served.pop(label.task, None)
        if annotations is None:
            continue
        result = _result(labels, label) if label.machines and label.task not in answered and wish.takes(label) else []
        if result:
            yield Step(label.task, write, annotations, as_machines(result) if wish.annotations else result, label.sure)
        elif wish.close_rest:
            yield Step(label.task, CLOSE, annotations)
    for task, annotations in served.items() if wish.close_rest else ():  # what cannot be read
        yield Step(task, CLOSE, annotations)


def _result(labels: MachineLabels, label: Label) -> list[dict[str, Any]]:
    """What the editor would submit; nothing where the form has one of the labels no more."""
    known = {control.name: set(control.labels) for control in labels.config.asked}
    answers = {name: given for name, given in label.answers.items() if given}
    if any(not set(given) <= known.get(name, set()) for name, given in answers.items()):
        return []
    form = isinstance(labels.config.question, Form)
    return result_of(labels.config, label.answer if form else labels.single(label))
