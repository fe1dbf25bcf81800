"""What the trainer says about each project, for the web process and for people. Small JSON files, no history."""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from nextlabel.problems.advice import NO_ADVICE, Advice
from nextlabel.problems.helping import Helping
from nextlabel.problems.history import NO_HISTORY, History
from nextlabel.problems.judgement import NO_JUDGEMENT, Judgement
from nextlabel.problems.look_again import LookAgain
from nextlabel.problems.people import People
from nextlabel.store.files import replace_file
from nextlabel.store.locks import LockHeld, lock
from nextlabel.values.next_tasks import NOTHING_NEXT, NextTasks
from nextlabel.values.traffic import Traffic


@dataclass(frozen=True)
class QueueStatus:
    """State of a project's queue.

    `state`: waiting (no version yet), reading (all tasks, for the first time), publishing, published, overruled (by a
    person's choice of another order), refused (the config), disconnected, ended (by `nextlabel finish`), failed;
    `summary` derives from it and the fits' what people read. `due` is why a fit is, empty when none is, and `paused`
    why none is to be until somebody resumes. `how_to_find` says how Label Studio finds tasks by their
    prediction. `stale` predictions of earlier versions are still to be removed; they order nothing.
    `left` tasks are left to label: those of the `pool`, of which labels are learnt, and those of the control set; of
    them `window` are published, so that they come next.
    `control` tasks of the control set have a label, which are not among the `labels` that are learnt from. `order` is
    what the queue is to follow: the active `version`, or a head of its; so many labels are `known` to it.
    `by_class` says how many of the `labels` give each class.
    `unscored` tasks of the pool have no place in it yet; `held` ones, of those that would be published, wait for a
    near-copy of theirs. So many labels are `outside`: on tasks that the queue did not offer. Of each `wanted` class
    there are so many `labels`, of a `target`, if there is one. `first` is the one thing about the project that must be
    known before all else, empty when all is well; `warnings` and `remarks` follow it. Of the `reconciles` so many were
    `errors`, `unanswered` of them because Label Studio did not answer.
    """

    state: str = "waiting"
    message: str = ""
    title: str = ""
    tasks: int = 0
    pool: int = 0
    left: int = 0
    unreadable: int = 0
    labels: int = 0
    control: int = 0
    pending: int = 0
    due: str = ""
    paused: str = ""
    how_to_find: str = ""
    holdout: int = 0
    version: str = ""
    order: str = ""
    known: int = 0
    window: int = 0
    stale: int = 0
    held: int = 0
    unscored: int = 0
    outside: int = 0
    wanted: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    by_class: Mapping[str, int] = field(default_factory=dict)
    first: str = ""
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    reconciles: int = 0
    errors: int = 0
    unanswered: int = 0
    publish_seconds: float = 0.0
    at: float = 0.0


@dataclass(frozen=True)
class FitStatus:
    """State of a project's fits. `state`: idle, fitting, failed. `done` of `total` steps or examples of `stage`.

    `refused` of the `fits` gave a version that was not promoted.
    """

    state: str = "idle"
    message: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    fits: int = 0
    refused: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class StartStatus:
    """State of a project's order before there is a version: `done` of `total` texts stand in it, or are embedded."""

    message: str = ""
    done: int = 0
    total: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class BaseModelStatus:
    """Whether fits can begin with the base checkpoint, as a trainer found. `state`: unknown, usable, failed."""

    state: str = "unknown"
    base_model: str = ""
    message: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class CertificateStatus:
    """How far the `audit` of this number is by the labels of now: of `most` tasks that it asks for so many `labels`
    count, and so many more tasks were `skipped`; `certified` are the tasks that its certificate is about. Once the
    audit has ended, the `claim` is what that says, empty where it certifies nothing, and so many labels are `wrong`;
    None while that is not told."""

    audit: int = 0
    claim: str = ""
    labels: int = 0
    most: int = 0
    wrong: int | None = None
    skipped: int = 0
    certified: int = 0


Status: TypeAlias = (
    QueueStatus
    | FitStatus
    | StartStatus
    | BaseModelStatus
    | CertificateStatus
    | Judgement
    | Helping
    | Advice
    | History
    | NextTasks
    | People
    | LookAgain
    | Traffic
)


T = TypeVar("T", bound=Status)


@dataclass(frozen=True)
class _OwnTraffic:
    """The file of a process, what those before it have counted there, and the lock that keeps others out."""

    name: str
    before: Traffic
    held: FileLock


_QUEUE, _FIT, _START = TypeAdapter(QueueStatus), TypeAdapter(FitStatus), TypeAdapter(StartStatus)
_CERTIFICATE, _BASE_MODEL = TypeAdapter(CertificateStatus), TypeAdapter(BaseModelStatus)
_JUDGEMENT = TypeAdapter(Judgement)
_HELPING = TypeAdapter(Helping)
_ADVICE = TypeAdapter(Advice)
_HISTORY = TypeAdapter(History)
_NEXT_TASKS = TypeAdapter(NextTasks)
_PEOPLE = TypeAdapter(People)
_LOOK_AGAIN = TypeAdapter(LookAgain)


class StatusBoard:
    """The status files below one directory. One writer per file; readers see whole files."""

    def __init__(self, model_dir: Path):
        self._model_dir, self._root = model_dir, model_dir / "status"
        self._own_traffic: _OwnTraffic | None = None
        self._taking = threading.Lock()

    def queue(self, project: int) -> QueueStatus:
        """What is known of the queue."""
        return self._valid(f"{project}.queue", _QUEUE, QueueStatus())

    def fit(self, project: int) -> FitStatus:
        """What is known of the fits."""
        return self._valid(f"{project}.fit", _FIT, FitStatus())

    def start(self, project: int) -> StartStatus:
        """What is known of the start order."""
        return self._valid(f"{project}.start", _START, StartStatus())

    def quality(self, project: int) -> Judgement:
        """What the control set says of what the queue follows."""
        return self._valid(f"{project}.quality", _JUDGEMENT, NO_JUDGEMENT)

    def put_quality(self, project: int, judgement: Judgement) -> None:
        """Say what it says."""
        self._write(f"{project}.quality", judgement)

    def helping(self, project: int) -> Helping:
        """What was last said of whether its order helps."""
        return self._valid(f"{project}.helping", _HELPING, Helping())

    def put_helping(self, project: int, found: Helping) -> None:
        """Say it."""
        self._write(f"{project}.helping", found)

    def advice(self, project: int) -> Advice:
        """What to do next."""
        return self._valid(f"{project}.advice", _ADVICE, NO_ADVICE)

    def put_advice(self, project: int, advice: Advice) -> None:
        """Say it."""
        self._write(f"{project}.advice", advice)

    def history(self, project: int) -> History:
        """How good each version and head was, by the labels of today."""
        return self._valid(f"{project}.history", _HISTORY, NO_HISTORY)

    def put_history(self, project: int, found: History) -> None:
        """Say it."""
        self._write(f"{project}.history", found)

    def next_tasks(self, project: int) -> NextTasks:
        """What people are served next."""
        return self._valid(f"{project}.next", _NEXT_TASKS, NOTHING_NEXT)

    def put_next_tasks(self, project: int, found: NextTasks) -> None:
        """Say it."""
        self._write(f"{project}.next", found)

    def people(self, project: int) -> People:
        """What is known of who labels it."""
        return self._valid(f"{project}.people", _PEOPLE, People())

    def put_people(self, project: int, people: People) -> None:
        """Say what the copy says of them."""
        self._write(f"{project}.people", people)

    def look_again(self, project: int) -> LookAgain:
        """Which of its labelled tasks are worth a second look, as far as that was looked at."""
        return self._valid(f"{project}.again", _LOOK_AGAIN, LookAgain())

    def put_look_again(self, project: int, found: LookAgain) -> None:
        """Say it."""
        self._write(f"{project}.again", found)

    def certificate(self, project: int) -> CertificateStatus:
        """What is certified."""
        return self._valid(f"{project}.certificate", _CERTIFICATE, CertificateStatus())

    def put_certificate(self, project: int, found: CertificateStatus) -> None:
        """Say it."""
        self._write(f"{project}.certificate", found)

    def base_model(self, name: str) -> BaseModelStatus:
        """What is known of the base checkpoint of that name: nothing, while what was found is of another one."""
        found = self._valid("base_model", _BASE_MODEL, BaseModelStatus())
        return found if found.base_model == name else BaseModelStatus()

    def put_base_model(self, status: BaseModelStatus) -> None:
        """Say what a trainer found."""
        self._write("base_model", status)

    def traffic(self) -> Traffic:
        """What all trainers together, also earlier ones, have exchanged with Label Studio."""
        return self._in_all(self._root.glob("traffic.*.json"))

    def _in_all(self, paths: Iterable[Path]) -> Traffic:
        return sum((Traffic(**self._read(path.stem, Traffic)) for path in paths), start=Traffic())

    def put_queue(self, project: int, now: float, **changes: Any) -> None:
        """Change some fields."""
        self._write(f"{project}.queue", replace(self.queue(project), at=now, **changes))

    def put_fit(self, project: int, now: float, **changes: Any) -> None:
        """Change some fields."""
        self._write(f"{project}.fit", replace(self.fit(project), at=now, **changes))

    def put_start(self, project: int, now: float, **changes: Any) -> None:
        """Change some fields."""
        self._write(f"{project}.start", replace(self.start(project), at=now, **changes))

    def put_traffic(self, traffic: Traffic) -> None:
        """Say what this process has exchanged since it began.

        It goes on in the file of a process that is gone: there are no more of them than trainers at a time.
        """
        with self._taking:
            self._own_traffic = self._own_traffic or self._take_traffic()
        self._write(self._own_traffic.name, self._own_traffic.before + traffic)

    def _take_traffic(self) -> "_OwnTraffic":
        name, mine = _first_free(self._model_dir)
        begun_anew = [path for path in self._root.glob("traffic.*.json") if not path.stem.partition(".")[2].isdigit()]
        before = self._in_all([self._root / f"{name}.json", *begun_anew])
        self._write(name, before)
        for path in begun_anew:  # with each start of a trainer of release 0.1.0
            path.unlink(missing_ok=True)
        return _OwnTraffic(name, before, mine)

    def _read(self, name: str, kind: type[Any]) -> dict[str, Any]:
        # It is only a status: one that another release wrote, or a damaged one, is as good as none.
        try:
            raw = json.loads((self._root / f"{name}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        known = {field.name for field in fields(kind)}
        return {key: value for key, value in raw.items() if key in known} if isinstance(raw, dict) else {}

    def _valid(self, name: str, of: TypeAdapter[T], nothing: T) -> T:
        try:
            return of.validate_python(self._read(name, type(nothing)))
        except ValidationError:
            return nothing

    def _write(self, name: str, status: Status) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        replace_file(self._root / f"{name}.json", json.dumps(asdict(status), ensure_ascii=False))


def _first_free(model_dir: Path) -> tuple[str, FileLock]:
    """The first file for traffic that no living process has, and its lock."""
    for number in count():
        name = f"traffic.{number}"
        try:
            return name, lock(model_dir, name).acquire().lock
        except LockHeld:
            continue
    raise AssertionError("there is no last number")
