"""What is remembered of a project from one job to the next. One module writes each record, any may read it.

Lies in the project's local copy, and can be thrown away with it: what was read and decided comes again, and what is
lost with `ControlState` and `QueueState` is said where they are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from nextlabel.values.survey import UnknownWords

State = TypeVar("State", bound="Record")


class Record:
    """What is stored as one row."""

    def to_json(self) -> str:
        """As it is stored."""
        return _ADAPTERS[type(self)].dump_json(self).decode()

    @classmethod
    def from_json(cls: type[State], text: str) -> State:
        """What was stored; what a damaged row held is not known, as nothing is in the beginning."""
        try:
            read: State = _ADAPTERS[cls].validate_json(text)
        except ValidationError:
            return cls()
        return read


@dataclass(frozen=True)
class SyncState(Record):
    """How far the copy is in step with Label Studio. `loop.sync` writes it.

    `reading` names the way in which the tasks were read, and `complete` says that all were; `label_config` is the
    project's as of the last look, empty before all were read for the first time. Changes were read up to `watermark`,
    an `updated_at` of Label Studio's; it is to be overlapped by `overlap_s` until it is the `settled` one.
    `watermark_seen_at` and `synced_at` are in seconds since the epoch.
    `annotators` gives the time of each one's last label, of those at work. `difference` and `accepted` are of tasks,
    annotations and closed tasks. All tasks up to id `verified_to` were compared, and `parts_owed` more parts are due.
    `counting` says in words which labels count less than others, or not at all.
    """

    reading: str = ""
    complete: bool = False
    label_config: str = ""
    watermark: str = ""
    watermark_seen_at: float = 0.0
    overlap_s: float = 0.0
    settled: str = ""
    synced_at: float = 0.0
    annotators: Mapping[str, str] = field(default_factory=dict)
    difference: tuple[int, int, int] = (0, 0, 0)
    accepted: tuple[int, int, int] = (0, 0, 0)
    verified_to: int = 0
    parts_owed: int = 0
    counting: str = ""


@dataclass(frozen=True)
class FitState(Record):
    """What tells whether a fit is due, besides the labels. `loop.fitting` writes it.

    Times are in seconds since the epoch. A fit has been due since `due_at`; there have been labels that
    version `pending_of` does not know since `pending_since`, by now so many `pending`, of which the last was seen at
    `last_came_at`. `demand_fitted` is the last demand that was answered. The
    last fit was `given_up` for one that knows more labels.
    """

    due_at: float | None = None
    pending_of: str = ""
    pending_since: float | None = None
    demand_fitted: str = ""
    failures_in_a_row: int = 0
    failed_at: float = 0.0
    given_up: bool = False
    pending: int = 0
    last_came_at: float | None = None


@dataclass(frozen=True)
class OutsideState(Record):
    """Labels on tasks that the queue did not offer. `loop.outside` writes it.

    Of the `recent` first labels of tasks, the newest last, each that is one; so many in `total`, and one of these tasks
    as an `example`, 0 before there is any.
    """

    recent: tuple[bool, ...] = ()
    total: int = 0
    example: int = 0


@dataclass(frozen=True)
class QueueState(Record):
    """Which versions Label Studio's queue followed `before` and `after` our last switch, both empty when there was
    none. `loop.publishing` writes it."""

    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class StartState(Record):
    """The order before there is a version, empty when there is none. `loop.starting` writes it.

    `name` is the one under which its values are in the pool. What it was `made_of`, besides the texts, is the way, the
    encoder and the way in which the tasks were read. There were `tasks` in the pool, of which so many were `ordered`.
    """

    name: str = ""
    made_of: str = ""
    tasks: int = 0
    ordered: int = 0


@dataclass(frozen=True)
class ControlState(Record):
    """How the control set is drawn, and what was noted of it. `loop.marks` writes it.

    `texts` names those that were read of each task, empty before the first look; `seed` is the last one, `share` 0
    while none is drawn. `noted`: all that models asked for since the set was drawn was noted. The figures are about
    tasks up to the id `judged_to`: later ones were imported and have not been caught up with.
    """

    texts: str = ""
    seed: str = ""
    share: float = 0.0
    noted: bool = False
    judged_to: int = 0


@dataclass(frozen=True)
class MarkState(Record):
    """Labelled tasks that have marked what stood above them, by the order in which they stood. `loop.marks` writes
    it."""

    passed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TurnState(Record):
    """How many texts of the control set had been `passed` at the last look, None before the first one, and the time of
    the newest label when there were last more of them. `loop.controlling` writes it."""

    passed: int | None = None
    at: str = ""


@dataclass(frozen=True)
class AgainState(Record):
    """What was asked about again. `loop.look_again` writes it.

    `asked` gives the answer that was in force of each task that was ever opened again, before a second person's: a task
    in it stands in the queue by a place, so that its score says nothing of an order. At the last look at all labels
    there were so many `votes`, and of tasks with different ones the account whose vote is `casting` was known. The draw
    for second votes has come to the place `drawn_to`, 0 while it is switched off; tasks that it has ever come to are
    `drawn`.
    """

    asked: Mapping[int, str] = field(default_factory=dict)
    votes: int = 0
    casting: Mapping[int, str] = field(default_factory=dict)
    drawn_to: float = 0.0
    drawn: tuple[int, ...] = ()


@dataclass(frozen=True)
class ProjectState(Record):
    """The project's connection with us, as it was found. `loop.controller` writes it.

    `unknown_words` are of the sample that `sample` names. The backend was at `backend_url` when it was last found to be
    ours, and has been registered `since` that ISO time, which this copy was told first at the time `seen`; empty when
    that is not known.
    """

    connected: bool = False
    backend_title: str = ""
    sample: str = ""
    unknown_words: UnknownWords = field(default_factory=UnknownWords)
    backend_url: str = ""
    since: str = ""
    seen: str = ""


@dataclass(frozen=True)
class ToldState(Record):
    """The key of the `advice` that was told last, empty when none was. `loop.telling` writes it."""

    advice: str = ""


_KINDS: tuple[type[Record], ...] = (
    SyncState,
    FitState,
    OutsideState,
    QueueState,
    StartState,
    ControlState,
    MarkState,
    TurnState,
    AgainState,
    ProjectState,
    ToldState,
)
_ADAPTERS: dict[type[Record], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in _KINDS}
