"""The local copy of a project's tasks, labels, scores and published predictions. No network, no models.

SQLite, and mapped files beside it for scores and vectors.

Label Studio stays the owner of all of it: the copy is kept in step by increments and can be thrown away at any time.
Notes that nobody else has outlive other tables: what models would have asked for, when a text of the control set was
last passed, our last switch, what was asked about again, and what was told.
"""

import hashlib
import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count, groupby, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from nextlabel.errors import PoolError
from nextlabel.problems.question import Question
from nextlabel.store.arrays import AT_A_TIME, Latest, RecordFiles, Records, Values, record, vector_record
from nextlabel.store.state import (
    AgainState,
    ControlState,
    MarkState,
    QueueState,
    Record,
    State,
    SyncState,
    ToldState,
    TurnState,
)
from nextlabel.values.arrays import Array, Features, Ints
from nextlabel.values.counting import GUIDELINE, PERSON, Counting
from nextlabel.values.examples import Example, key_of
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.queue import Published, Ranked
from nextlabel.values.survey import CountedLess, Note, Seen, Survey

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY,
    text TEXT, pair TEXT,                    -- text is NULL for a task that cannot be read
    more TEXT,                               -- texts beyond the pair, a list in JSON
    holdout INTEGER NOT NULL,
    draw TEXT NOT NULL,                      -- place in the control set, empty when it is none of that
    skipped INTEGER NOT NULL,
    annotations INTEGER NOT NULL,            -- Label Studio's own count, to notice what the increments missed
    notes TEXT NOT NULL,                     -- what a person should hear of it
    voted INTEGER NOT NULL,                  -- it has an answer that counts
    open INTEGER NOT NULL,                   -- in the pool: readable, neither holdout nor control, no label, served
    closed INTEGER NOT NULL,                 -- Label Studio no longer serves it, counted as `annotations` are
    copy TEXT,                               -- the same for copies, NULL without a text
    number INTEGER NOT NULL                  -- of the text: a new one whenever the task is new or has another text
);
CREATE TABLE IF NOT EXISTS vote (            -- the annotators' answers, in Label Studio's order
    task_id INTEGER NOT NULL, place INTEGER NOT NULL,
    label TEXT NOT NULL, ground_truth INTEGER NOT NULL, given TEXT NOT NULL, accepted INTEGER NOT NULL,
    account TEXT NOT NULL, weight REAL NOT NULL, why TEXT NOT NULL, seconds REAL, first TEXT NOT NULL,  -- as in `Vote`
    PRIMARY KEY (task_id, place)
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS counted AS SELECT * FROM vote WHERE weight > 0;
CREATE TABLE IF NOT EXISTS read_before (     -- texts of tasks that are being read again, and their numbers
    id INTEGER PRIMARY KEY, text TEXT, pair TEXT, more TEXT, number INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS offered (task_id INTEGER PRIMARY KEY);  -- a prediction of ours was there some time
CREATE TABLE IF NOT EXISTS newly_answered (task_id INTEGER PRIMARY KEY);  -- by hand, and not touched before
CREATE INDEX IF NOT EXISTS task_unused ON task (id) WHERE text IS NULL AND voted;
CREATE INDEX IF NOT EXISTS task_open ON task (id) WHERE open;
CREATE INDEX IF NOT EXISTS task_unreadable ON task (id) WHERE text IS NULL;
CREATE INDEX IF NOT EXISTS task_noted ON task (id) WHERE notes != '[]';
CREATE INDEX IF NOT EXISTS task_annotations ON task (annotations);  -- totals without reading the texts
CREATE INDEX IF NOT EXISTS task_closed ON task (closed);  -- the same
CREATE INDEX IF NOT EXISTS task_copy ON task (copy);
CREATE INDEX IF NOT EXISTS task_draw ON task (draw) WHERE draw != '';
CREATE INDEX IF NOT EXISTS task_skipped ON task (id) WHERE open AND skipped;
CREATE INDEX IF NOT EXISTS task_passed ON task (id) WHERE skipped AND NOT holdout;
CREATE TABLE IF NOT EXISTS marked (draw TEXT PRIMARY KEY) WITHOUT ROWID;  -- a model would have asked for them by now
CREATE TABLE IF NOT EXISTS scored (          -- which records of a version's file count
    version TEXT PRIMARY KEY, records INTEGER NOT NULL, classes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS vectors (         -- which records of a file of vectors count
    kind TEXT NOT NULL, name TEXT NOT NULL, records INTEGER NOT NULL, width INTEGER NOT NULL, number TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS published (
    prediction_id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, version TEXT NOT NULL, score REAL NOT NULL,
    choice TEXT NOT NULL                     -- the label that it shows, empty when it shows none
);
"""
SCHEMA_NUMBER = 17  # raised with every change of a table: a copy with other tables is read again
READ_AGAIN = (
    "meta",
    "task",
    "vote",
    "read_before",
    "score",
    "scored",
    "vectors",
    "published",
    "offered",
    "newly_answered",
)  # tables of any release, not `marked`
# Of `meta`, the same in any release: nobody else knows it.
NOTED = (ControlState, MarkState, TurnState, QueueState, AgainState, ToldState)

EMBEDDINGS = "embeddings"  # the base encoder's, of unit length
FEATURES = "features"  # what a version's last layer reads, in half precision
EXACT = "exact"  # the same in full precision, of the few texts that are shown
KINDS = (EMBEDDINGS, FEATURES, EXACT)  # of vectors

NO_CASTING: Mapping[int, str] = {}
PATIENCE_S = 10.0  # with another writer
_UNUSABLE = "The copy of the project in {} cannot be used ({}): stop what has locked it, or make room there."
FIRST = 4  # times as many tasks as are wanted are looked at before all are
LAST = 2**63 - 1  # SQLite's highest id
AMONG = "id IN (SELECT value FROM json_each(?))"
NO_NOTES = "[]"
TEXTS = "text, pair, more"
VOTES = "SELECT task_id, label, ground_truth, given, accepted, account, weight, why, seconds, first"
FIRST_GIVEN = "CASE WHEN first = '' THEN given ELSE first END"
VOTED = (  # of the holdout, as it judges, only what counts as much as can be
    "FROM counted CROSS JOIN task ON id = task_id WHERE holdout = ? AND draw = '' AND text IS NOT NULL "
    "AND weight >= holdout ORDER BY task_id, place"
)
ANSWERED = "EXISTS (SELECT 1 FROM vote WHERE task_id = id)"  # whether the answers count or not
OPEN_CONTROL = f"(draw != '' AND text IS NOT NULL AND NOT (skipped OR closed OR {ANSWERED}))"
LEFT = f"(open OR {OPEN_CONTROL})"  # tasks that the queue still offers: of both
SCORED = "(open OR draw != '')"  # tasks that a version scores: the pool, and the control set, labelled or not


@dataclass(frozen=True, slots=True)
class ControlTask:
    """A task of the control set. `labelled`, whether the label counts or not; `passed`: without one, and somebody has
    skipped it, or submitted it without an answer until nobody is served it. `closed`: nobody is served it any more.
    `marked`: a model would have asked for its text by now. `draw`: its place in the order of the set."""

    task_id: int
    labelled: bool
    passed: bool
    closed: bool = False
    marked: bool = False
    draw: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A readable task and what came of asking: all `votes`, also those that do not count, whether somebody `skipped`
    it, and whether it is `closed`, so that nobody is asked any more."""

    example: Example
    votes: tuple[Vote, ...]
    skipped: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scored open task: what a prediction is made of. `probs_C` in the order of the version's labels.

    `truncated` when the version read only the beginning of the text.
    """

    task_id: int
    value: float
    probs_C: Array
    truncated: bool


class Pool:
    """One project's copy. Every thread opens its own; writers take turns.

    When the file cannot be used, opening it and the `with` block raise `PoolError`. A damaged one is thrown away.
    """

    def __init__(self, path: Path):
        self._path = path
        self._mapped: tuple[tuple[str, int], Values] | None = None
        self._vectors: dict[tuple[str, str], tuple[int, Latest]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._make_tables()
            files = self._word("files")
            self._files = RecordFiles(_values_path(path) / files)
            self._vector_files = {kind: RecordFiles(path.with_suffix(f".{kind}") / files) for kind in KINDS}
        except sqlite3.Error as error:
            self._db.close()
            raise _unusable(path, error) from error

    def _make_tables(self) -> None:
        if self._count("PRAGMA user_version") == SCHEMA_NUMBER:
            return
        with self.transaction():
            if self._count("PRAGMA user_version") == SCHEMA_NUMBER:  # another thread was faster
                return
            noted = self._noted()
            self._db.execute("DROP VIEW IF EXISTS counted")
            for table in READ_AGAIN:
                self._db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in SCHEMA.split(";"):
                self._db.execute(statement)
            for state in noted:
                self._put(state)
            for directory in (_values_path(self._path), *(self._path.with_suffix(f".{kind}") for kind in KINDS)):
                shutil.rmtree(directory, ignore_errors=True)
            # Its own: a thread that still has the copy before this one open must not write into them.
            self._put_word("files", uuid.uuid4().hex)
            self._db.execute(f"PRAGMA user_version={SCHEMA_NUMBER}")

    def _noted(self) -> list[Record]:
        """What a copy with other tables holds of `NOTED`."""
        if not self._count("SELECT COUNT(*) FROM sqlite_master WHERE name = 'meta'"):
            return []
        if switched := self._word("switched").split():  # release 0.1.0's words for it
            return [QueueState(*switched) if len(switched) == 2 else QueueState("", *switched)]
        return [self.state(kind) for kind in NOTED]

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: object = None, error: object = None, traceback: TracebackType | None = None) -> None:
        self._db.close()
        if isinstance(error, sqlite3.Error):
            raise _unusable(self._path, error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and one write to disk."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._mapped = None  # it may know what was not written after all
            raise
        self._db.execute("COMMIT")

    # What is remembered from one job to the next

    def state(self, kind: type[State]) -> State:
        """A record of the project's state."""
        return kind.from_json(self._word(kind.__name__))

    def update(self, kind: type[State], change: Callable[[State], State]) -> State:
        """Change a record; returns it as it is now. What other threads change of it meanwhile is not lost."""
        with self.transaction():
            before = self.state(kind)
            after = change(before)
            if after != before:
                self._put(after)
        return after

    def _put(self, record: Record) -> None:
        self._put_word(type(record).__name__, record.to_json())

    def _word(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def _put_word(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # The version that has scored the whole pool, as far as is known; empty when there may be none

    def _all_scored_by(self) -> str:
        return self._word("scored")

    def _put_all_scored_by(self, version: str) -> None:
        self._put_word("scored", version)

    # Tasks

    def upsert(self, rows: Iterable[TaskRow]) -> int:
        """Take over tasks as they are now; returns how many differ from before. A changed text loses its scores."""
        with self.transaction():
            numbers = count(int(self._word("numbers") or 1))
            again = self._count("SELECT count(*) FROM read_before") > 0
            changed = [row for row in rows if self._upsert(row, numbers, again)]
            if changed:
                self._put_word("numbers", str(next(numbers)))
            if any(row.open or row.draw for row in changed):
                self._put_all_scored_by("")
        return len(changed)

    def _upsert(self, row: TaskRow, numbers: Iterator[int], again: bool) -> bool:
        notes = json.dumps([[note.kind, note.detail] for note in row.notes]) if row.notes else NO_NOTES
        states = (int(row.voted), int(row.open), int(row.closed))
        new = (*_columns(row.example), int(row.holdout), row.draw, int(row.skipped), row.annotations, notes, *states)
        old = self._db.execute(
            f"SELECT {TEXTS}, holdout, draw, skipped, annotations, notes, voted, open, closed, number FROM task "
            "WHERE id = ?",
            (row.id,),
        ).fetchone()
        if old is not None and old[:-1] == new and (not row.votes or self._votes_of(row.id) == row.votes):
            return False
        if row.by_hand and old is not None and _untouched(*old):
            self._db.execute("INSERT OR IGNORE INTO newly_answered VALUES (?)", (row.id,))
        known_text = old
        if old is None and again:
            before = f"SELECT {TEXTS}, number FROM read_before WHERE id = ?"
            known_text = self._db.execute(before, (row.id,)).fetchone()
        number = known_text[-1] if known_text is not None and known_text[:3] == new[:3] else next(numbers)
        known = (row.id, *new, _digest(row.example), number)
        self._db.execute("INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", known)
        if old is not None:
            self._db.execute("DELETE FROM vote WHERE task_id = ?", (row.id,))
        votes = [
            (row.id, place, v.label, v.ground_truth, v.when, v.accepted, v.account, v.weight, v.why, v.seconds, v.first)
            for place, v in enumerate(row.votes)
        ]
        if votes:
            self._db.executemany("INSERT INTO vote VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", votes)
        return True

    def _votes_of(self, task_id: int) -> tuple[Vote, ...]:
        rows = self._db.execute(f"{VOTES} FROM vote WHERE task_id = ? ORDER BY place", (task_id,))
        return tuple(map(_vote, rows))

    def count_votes(self, counting: Counting) -> int:
        """Have the known answers count as they would if they were read now; returns for how many that is a change."""
        self._db.create_function("weight_of", 2, counting.weight, deterministic=True)
        self._db.create_function("why_of", 2, counting.why, deterministic=True)
        weighed = "(weight_of(account, given), why_of(account, given))"
        with self.transaction():
            sql = f"UPDATE vote SET (weight, why) = {weighed} WHERE (weight, why) != {weighed}"
            changed = self._db.execute(sql).rowcount
            if changed:
                self._db.execute(
                    f"UPDATE task SET voted = id IN (SELECT task_id FROM counted) WHERE {ANSWERED}",
                )
                self._db.execute(
                    "UPDATE task SET open = text IS NOT NULL AND NOT (holdout OR draw != '' OR closed OR voted) "
                    f"WHERE {ANSWERED}"
                )
                self._put_all_scored_by("")
        return changed

    def forget(self, task_ids: Collection[int]) -> None:
        """Drop tasks that Label Studio deleted, with their predictions, which it deleted too."""
        with self.transaction():
            for table, key in (("task", "id"), ("vote", "task_id"), ("published", "task_id")):
                self._db.executemany(f"DELETE FROM {table} WHERE {key} = ?", [(t,) for t in task_ids])

    def clear(self, anew: SyncState) -> None:
        """Forget every task, for another way of reading them, and how far they were read: `anew` takes the place of
        that. What is published stays known, and so do scores and vectors of the texts that are the same then: another
        question about them changes none of it."""
        with self.transaction():
            self._db.execute(f"INSERT OR REPLACE INTO read_before SELECT id, {TEXTS}, number FROM task")
            self._db.execute("DELETE FROM task")
            self._db.execute("DELETE FROM vote")
            self._put_all_scored_by("")
            self._put(anew)

    def all_read_again(self) -> None:
        """Forget what the texts were like before; no text is read any more that could be the same."""
        with self.transaction():
            self._db.execute("DELETE FROM read_before")

    def task_ids(self, first: int = 0, last: int = LAST) -> set[int]:
        """Every task known, with ids from `first` to `last`."""
        return {row[0] for row in self._db.execute("SELECT id FROM task WHERE id BETWEEN ? AND ?", (first, last))}

    def size(self) -> int:
        """How many tasks are known."""
        return self._count("SELECT COUNT(*) FROM task")

    def annotations(self) -> int:
        """How many annotations Label Studio counted on the known tasks."""
        return self._count("SELECT COALESCE(SUM(annotations), 0) FROM task")

    def closed_size(self) -> int:
        """How many tasks Label Studio no longer serves."""
        return self._count("SELECT COUNT(*) FROM task WHERE closed = 1")

    def last_id(self) -> int:
        """The highest task id known; 0 when none is."""
        return self._count("SELECT COALESCE(MAX(id), 0) FROM task")

    def served(self) -> dict[int, int]:
        """How many annotations Label Studio counted on each task that it serves, as far as is known."""
        return dict(self._db.execute("SELECT id, annotations FROM task WHERE closed = 0 ORDER BY id"))

    def annotated(self) -> list[int]:
        """Tasks on which Label Studio counted an annotation."""
        return [row[0] for row in self._db.execute("SELECT id FROM task WHERE annotations > 0 ORDER BY id")]

    def open_ids(self) -> list[int]:
        """The tasks in the pool."""
        return [row[0] for row in self._db.execute("SELECT id FROM task WHERE open ORDER BY id")]

    def open_size(self) -> int:
        """How many tasks are in the pool."""
        return self._count("SELECT COUNT(*) FROM task WHERE open")

    def left_size(self) -> int:
        """How many tasks are left to label: those of the pool, and of the control set those without an answer."""
        return self.open_size() + self._count(f"SELECT COUNT(*) FROM task WHERE {OPEN_CONTROL}")

    def published_size(self, version: str) -> int:
        """How many of these have a prediction of `version`, and so come next while the queue follows it."""
        sql = f"SELECT COUNT(DISTINCT id) FROM published CROSS JOIN task ON id = task_id WHERE version = ? AND {LEFT}"
        return self._count(sql, version)

    def is_labelled_out(self) -> bool:
        """Whether there are tasks, and none is left that Label Studio serves and we would have labelled."""
        open_control = "draw != '' AND text IS NOT NULL AND NOT (voted OR closed OR skipped)"
        left = f"EXISTS (SELECT 1 FROM task WHERE open) OR EXISTS (SELECT 1 FROM task WHERE {open_control})"
        return bool(self._count(f"SELECT EXISTS (SELECT 1 FROM task) AND NOT ({left})"))

    def scored_size(self) -> int:
        """How many tasks a version scores: those of the pool and of the control set."""
        return self._count(f"SELECT COUNT(*) FROM task WHERE {SCORED}")

    def unreadable(self) -> int:
        """How many tasks hold nothing that can be classified."""
        return self._count("SELECT COUNT(*) FROM task WHERE text IS NULL")

    def _count(self, sql: str, *args: object) -> int:
        return int(self._db.execute(sql, args).fetchone()[0])

    # Labels

    def labels(self, question: Question, holdout: bool) -> dict[int, str]:
        """The consensus label of each readable task that has one, by task id: the holdout's, or those to fit on."""
        rows, casting = self._db.execute(f"{VOTES} {VOTED}", (int(holdout),)), self._casting()
        found = (
            (task_id, question.consensus([_vote(vote, casting) for vote in votes]))
            for task_id, votes in groupby(rows, itemgetter(0))
        )
        return {task_id: label for task_id, label in found if label is not None}

    def labelled(self, question: Question, holdout: bool) -> list[tuple[Example, str]]:
        """The same with the tasks' texts, in the order of their ids."""
        found = ((example, question.consensus(votes)) for example, votes in self.answered(holdout))
        return [(example, label) for example, label in found if label is not None]

    def answered(self, holdout: bool) -> list[tuple[Example, list[Vote]]]:
        """All readable tasks with answers, the holdout's or the others, in the order of their ids."""
        rows, casting = self._db.execute(f"{VOTES}, {TEXTS} {VOTED}", (int(holdout),)), self._casting()
        tasks = (list(votes) for _, votes in groupby(rows, itemgetter(0)))
        return [(_example(votes[0][0], *votes[0][-3:]), [_vote(vote, casting) for vote in votes]) for votes in tasks]

    def left_out(self, question: Question) -> dict[int, str]:
        """Readable tasks that are neither held out nor of the control set and whose answers come to an ignored label,
        each with the time of its last answer. Costs next to nothing while nobody gives one."""
        given = [row[0] for row in self._db.execute("SELECT DISTINCT label FROM counted")]
        ignored = [label for label in given if question.leaves_out([Vote(label, False, "")])]
        sql = (
            "SELECT DISTINCT id FROM counted CROSS JOIN task ON id = task_id "
            "WHERE label IN (SELECT value FROM json_each(?)) AND NOT holdout AND draw = '' AND text IS NOT NULL"
        )
        tasks = self.counted_votes([row[0] for row in self._db.execute(sql, (json.dumps(ignored),))])
        return {task: max(vote.when for vote in votes) for task, votes in tasks.items() if question.leaves_out(votes)}

    def labelled_ids(self) -> set[int]:
        """Readable tasks with answers that count, but for the holdout's and those of the control set."""
        sql = "SELECT id FROM task WHERE voted AND NOT holdout AND draw = '' AND text IS NOT NULL"
        return {row[0] for row in self._db.execute(sql)}

    def people(self) -> set[str]:
        """The accounts whose answers to these count."""
        voted = "FROM counted CROSS JOIN task ON id = task_id WHERE NOT holdout AND draw = '' AND text IS NOT NULL"
        return {row[0] for row in self._db.execute(f"SELECT DISTINCT account {voted}")}

    def last_answered(self, task_ids: Collection[int]) -> list[int]:
        """Those of the tasks whose answers count, by the time of their last one."""
        sql = f"SELECT task_id FROM counted WHERE task_{AMONG} GROUP BY task_id ORDER BY MAX(given), task_id"
        return [row[0] for row in self._db.execute(sql, (json.dumps(list(task_ids)),))]

    def counted_votes(self, task_ids: Collection[int]) -> dict[int, list[Vote]]:
        """The answers to those of the tasks that have any, in Label Studio's order, as far as they count."""
        sql = f"{VOTES} FROM counted WHERE task_{AMONG} ORDER BY task_id, place"
        rows, casting = self._db.execute(sql, (json.dumps(list(task_ids)),)), self._casting()
        return {task: [_vote(vote, casting) for vote in votes] for task, votes in groupby(rows, itemgetter(0))}

    def _casting(self) -> Mapping[int, str]:
        """Whose vote decides, by task, where as much weight is on each of several labels."""
        return self.state(AgainState).casting

    def by_hand(self) -> list[tuple[str, str, float]]:
        """Of each label that was given in Label Studio's editor: whose it is, when it was given, and how many seconds
        it took. Those that do not count are among them."""
        return self._db.execute("SELECT account, given, seconds FROM vote WHERE seconds IS NOT NULL").fetchall()

    # The control set, of which nothing is learnt

    def control(self) -> list[list[ControlTask]]:
        """Its texts in their order, each with its copies, by id."""
        rows = self._db.execute(
            "SELECT draw, id, answered, NOT answered AND (skipped OR (closed AND annotations > 0)), closed, "
            "draw IN (SELECT draw FROM marked) "
            f"FROM (SELECT *, {ANSWERED} AS answered FROM task WHERE draw != '') ORDER BY draw, id"
        )
        return [
            [
                ControlTask(task_id, bool(labelled), bool(passed), bool(closed), bool(marked), draw)
                for draw, task_id, labelled, passed, closed, marked in copies
            ]
            for _, copies in groupby(rows, itemgetter(0))
        ]

    def control_draws(self, limit: int) -> dict[int, str]:
        """The places of its first texts in the order, at most so many, by task, of copies the first one."""
        sql = "SELECT MIN(id), draw FROM task WHERE draw != '' GROUP BY draw ORDER BY draw LIMIT ?"
        return dict(self._db.execute(sql, (limit,)))

    def control_votes(self) -> dict[int, list[Vote]]:
        """The answers to its tasks, by task id: as they judge, only those that count as much as can be."""
        sql = f"{VOTES} FROM vote CROSS JOIN task ON id = task_id WHERE draw != '' AND weight = 1 ORDER BY 1, place"
        rows = self._db.execute(sql)
        return {task_id: [_vote(vote) for vote in votes] for task_id, votes in groupby(rows, itemgetter(0))}

    def mark(self, task_ids: Collection[int]) -> None:
        """Mark the texts of those of the tasks that are of the control set."""
        sql = f"INSERT OR IGNORE INTO marked SELECT draw FROM task WHERE {AMONG} AND draw != ''"
        self._db.execute(sql, (json.dumps(list(task_ids)),))

    def mark_labelled(self, first: str = "") -> None:
        """Mark the labelled texts of the control set from a draw on, whether the labels count or not."""
        sql = f"INSERT OR IGNORE INTO marked SELECT draw FROM task WHERE draw != '' AND draw >= ? AND {ANSWERED}"
        self._db.execute(sql, (first,))

    def unmark_all(self) -> None:
        """Take away all marks."""
        self._db.execute("DELETE FROM marked")

    def labelled_between(self, first: str, last: str) -> bool:
        """Whether a task of the pool's was answered after the first of two ISO times and before the last one, or at any
        time since where there is none; not where the first is empty."""
        given = f"{FIRST_GIVEN} > ? AND (? = '' OR {FIRST_GIVEN} < ?)"
        sql = f"FROM vote CROSS JOIN task ON id = task_id WHERE draw = '' AND NOT holdout AND {given}"
        return bool(first) and bool(self._count(f"SELECT EXISTS (SELECT 1 {sql})", first, last, last))

    def labelled_scores(self, but: Collection[int] = ()) -> dict[str, dict[int, float]]:
        """Of each order the scores with which labelled tasks of the pool's were published, by task: they were asked
        for, whether the labels count or not. Tasks `but` those, which were published anew after they were labelled."""
        sql = (
            "SELECT version, id, MAX(score) FROM published CROSS JOIN task ON id = task_id WHERE "
            f"{ANSWERED} AND draw = '' AND NOT holdout AND id NOT IN (SELECT value FROM json_each(?)) "
            "GROUP BY version, id ORDER BY version, id"
        )
        rows = self._db.execute(sql, (json.dumps(list(but)),))
        return {order: {task: score for _, task, score in some} for order, some in groupby(rows, itemgetter(0))}

    def votes(self) -> int:
        """How many answers there are, whether they count or not."""
        return self._count("SELECT COUNT(*) FROM vote")

    def finished(self, task_ids: Collection[int]) -> set[int]:
        """Those of the tasks that Label Studio no longer serves and nobody has skipped."""
        sql = f"SELECT id FROM task WHERE {AMONG} AND closed AND NOT skipped"
        return {row[0] for row in self._db.execute(sql, (json.dumps(list(task_ids)),))}

    def done_size(self) -> int:
        """How many tasks, but for the holdout, somebody has answered or skipped, whether that counts or not."""
        voted = "SELECT COUNT(DISTINCT task_id) FROM vote CROSS JOIN task ON id = task_id WHERE NOT holdout"
        passed = f"SELECT COUNT(*) FROM task WHERE skipped AND NOT holdout AND NOT {ANSWERED}"
        return self._count(voted) + self._count(passed)

    def control_labels(self) -> int:
        """How many tasks of it have a label."""
        return self._count("SELECT COUNT(*) FROM task WHERE draw != '' AND voted")

    def reserved(self, task_ids: Collection[int]) -> set[int]:
        """Those of the tasks that are of the control set."""
        sql = f"SELECT id FROM task WHERE {AMONG} AND draw != ''"
        return {row[0] for row in self._db.execute(sql, (json.dumps(list(task_ids)),))}

    def last_label(self) -> str:
        """The ISO time at which the newest label was given, whether it counts or not; empty without any."""
        [(last,)] = self._db.execute(f"SELECT COALESCE(MAX({FIRST_GIVEN}), '') FROM vote")
        return str(last)

    def labels_since_control(self, after: str = "") -> int:
        """How many tasks have been labelled after the last one of the control set and after that time. An edit is no
        new label."""
        last = f"SELECT MAX({FIRST_GIVEN}) FROM vote CROSS JOIN task ON id = task_id WHERE draw != ''"
        return self._count(
            "SELECT COUNT(DISTINCT task_id) FROM vote CROSS JOIN task ON id = task_id WHERE draw = '' AND NOT holdout "
            f"AND {FIRST_GIVEN} > MAX(COALESCE(({last}), ''), ?)",
            after,
        )

    # What an audit needs

    def unanswered(self) -> list[Example]:
        """By id the tasks, of the pool or the control set, that can be labelled and that nobody has labelled or
        skipped; of copies one, and none of a labelled text. Labels that do not count are labels here."""
        return self._examples(
            f"SELECT MIN(id), {TEXTS} FROM task "
            f"WHERE text IS NOT NULL AND NOT (holdout OR {ANSWERED} OR closed OR skipped) "
            f"AND copy NOT IN (SELECT copy FROM task WHERE {ANSWERED} AND copy IS NOT NULL) GROUP BY copy ORDER BY 1"
        )

    def unanswered_of(self, task_ids: Collection[int]) -> int:
        """How many of the tasks have no answer, whether answers count or not."""
        sql = f"SELECT COUNT(*) FROM task WHERE {AMONG} AND NOT {ANSWERED}"
        return self._count(sql, json.dumps(list(task_ids)))

    def open_copies_of(self, task_ids: Collection[int]) -> set[int]:
        """Tasks of the pool with the texts of these tasks, of which they may be some."""
        sql = f"SELECT id FROM task WHERE open AND copy IN (SELECT copy FROM task WHERE {AMONG})"
        return {row[0] for row in self._db.execute(sql, (json.dumps(list(task_ids)),))}

    def asked(self, task_ids: Collection[int]) -> list[Asked]:
        """Those of the tasks that can be read, by id."""
        sql = f"SELECT id, {TEXTS}, skipped, closed FROM task WHERE {AMONG} AND text IS NOT NULL ORDER BY id"
        rows = self._db.execute(sql, (json.dumps(list(task_ids)),)).fetchall()
        return [
            Asked(_example(task_id, *texts), self._votes_of(task_id), bool(skipped), bool(closed))
            for task_id, *texts, skipped, closed in rows
        ]

    # Copies: texts that are alike but for case and blanks

    def copy_groups(self, task_ids: Collection[int]) -> list[list[int]]:
        """Those of the tasks that are copies of others of them, together with these."""
        sql = f"SELECT copy, id FROM task WHERE {AMONG} AND copy IS NOT NULL ORDER BY copy, id"
        rows = self._db.execute(sql, (json.dumps(list(task_ids)),))
        groups = ([task_id for _, task_id in group] for _, group in groupby(rows, itemgetter(0)))
        return [group for group in groups if len(group) > 1]

    def copy_keys(self, task_ids: Collection[int]) -> dict[int, str]:
        """Of those of the tasks that can be read what copies have in common, by id."""
        sql = f"SELECT id, copy FROM task WHERE {AMONG} AND copy IS NOT NULL"
        return dict(self._db.execute(sql, (json.dumps(list(task_ids)),)))

    def copies_of_labelled(self, question: Question) -> set[int]:
        """Tasks of the pool that are copies of labelled ones, held out or not, or of those that were `left_out`."""
        labelled = self.labels(question, holdout=False).keys() | self.labels(question, holdout=True).keys()
        labelled |= self.left_out(question).keys()
        sql = (
            "SELECT task.id FROM json_each(?) CROSS JOIN task AS other ON other.id = value "
            "CROSS JOIN task ON task.copy = other.copy WHERE task.open"
        )
        return {row[0] for row in self._db.execute(sql, (json.dumps(list(labelled)),))}

    def closed_copies(self) -> set[int]:
        """Copies of other tasks that Label Studio does not serve though nobody has answered or skipped them."""
        sql = "SELECT id FROM task WHERE closed = 1 AND annotations = 0 AND NOT skipped"
        closed = {row[0] for row in self._db.execute(sql)}
        return closed.intersection(chain.from_iterable(self.copy_groups(self.task_ids())))

    # What a person should know

    def survey(self) -> Survey:
        """What there is, and what is odd about it. Costs next to nothing while nothing is odd."""
        notes = self._db.execute(
            "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), COUNT(*), MIN(task.id) "
            "FROM task, json_each(notes) WHERE notes != '[]' GROUP BY 1, 2 ORDER BY 3 DESC, 4"
        )
        votes = self._db.execute(
            "SELECT label, COUNT(*), MIN(task_id), SUM(accepted) FROM counted GROUP BY 1 ORDER BY 2 DESC, 3"
        ).fetchall()
        size = self.size()
        return Survey(
            tasks=size,
            readable=size - self.unreadable(),
            unused=self._count("SELECT COUNT(*) FROM task WHERE text IS NULL AND voted"),
            notes={Note(kind, detail): Seen(count, task_id) for kind, detail, count, task_id in notes},
            votes={label: Seen(count, task_id) for label, count, task_id, _ in votes},
            accepted={label: int(accepted) for label, _, _, accepted in votes if accepted},
        )

    def counted_less(self) -> CountedLess:
        """How many labels count less than others, or not at all."""
        sql = f"SELECT COUNT(*), COUNT(DISTINCT account) FROM vote WHERE why = '{PERSON}'"
        labels, people = self._db.execute(sql).fetchone()
        return CountedLess(
            labels=labels,
            people=people,
            older=self._count(f"SELECT COUNT(*) FROM vote WHERE why = '{GUIDELINE}'"),
            weighed=self._count("SELECT COUNT(*) FROM counted WHERE weight < 1"),
            lost=self._count(f"SELECT COUNT(*) FROM task WHERE closed AND NOT voted AND {ANSWERED}"),
        )

    def with_uncounted(self) -> set[int]:
        """Tasks with a label that does not count."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT task_id FROM vote WHERE weight = 0")}

    def sample(self, size: int) -> list[Example]:
        """Up to `size` readable tasks from all over the project, the same ones as long as it does not change."""
        ids = [row[0] for row in self._db.execute("SELECT id FROM task WHERE text IS NOT NULL ORDER BY id")]
        chosen = ids[:: max(1, len(ids) // size)][:size]
        return self._examples(f"SELECT id, {TEXTS} FROM task WHERE {AMONG} ORDER BY id", json.dumps(chosen))

    # The pool and its scores

    def open_numbers(self, skipped: bool) -> tuple[Ints, Ints]:
        """Ids of the pool's tasks and numbers of their texts: of those that somebody has skipped, or of the others."""
        return self._numbered(f"SELECT id, number FROM task WHERE open AND {'' if skipped else 'NOT '}skipped")

    def numbers_of_open(self, task_ids: Collection[int]) -> tuple[Ints, Ints]:
        """The same of those of the tasks that are in the pool."""
        sql = f"SELECT id, number FROM task WHERE {AMONG} AND open"
        return self._numbered(sql, json.dumps(list(task_ids)))

    def examples(self, task_ids: Collection[int]) -> list[Example]:
        """Those of the tasks that can be read, by id."""
        sql = f"SELECT id, {TEXTS} FROM task WHERE {AMONG} AND text IS NOT NULL ORDER BY id"
        return self._examples(sql, json.dumps(list(task_ids)))

    def open_examples(self) -> list[Example]:
        """The pool, by task id."""
        return self._examples(f"SELECT id, {TEXTS} FROM task WHERE open ORDER BY id")

    def first_to_score(self, limit: int, previous: str | None, rng: np.random.Generator) -> list[Example]:
        """By task id, what a new version should score before all else: the pool, if it is no larger than `limit`.

        Otherwise half are what the `previous` version found most informative, the rest is drawn.
        """
        if self.scored_size() <= limit:
            return self._examples(f"SELECT id, {TEXTS} FROM task WHERE {SCORED} ORDER BY id")
        likely = {task.task_id for task in self.ranked(previous or "", limit // 2, skipped=False)}
        ids_N = np.array([row[0] for row in self._db.execute("SELECT id FROM task WHERE open") if row[0] not in likely])
        size = min(limit - len(likely), len(ids_N))  # some may just have been labelled
        drawn = rng.choice(ids_N, size=size, replace=False).tolist()
        ids = json.dumps([*likely, *drawn])
        return self._examples(f"SELECT id, {TEXTS} FROM task WHERE {AMONG} ORDER BY id", ids)

    def unscored(self, version: str, first: int = 0, last: int = LAST) -> list[Example]:
        """Tasks of the pool and the control set with ids from `first` to `last` that `version` has not seen: new ones,
        edited ones, and those that lost their label."""
        ids = json.dumps([task for ids_M in self._unscored_ids(version, first, last) for task in ids_M.tolist()])
        return self._examples(f"SELECT id, {TEXTS} FROM task WHERE {AMONG} AND {SCORED} ORDER BY id", ids)

    def unscored_size(self, version: str) -> int:
        """How many such tasks there are. Costs nothing while it has seen all and none was added."""
        if self._all_scored_by() == version and self._values(version).whole:
            return 0
        with self.transaction():  # no task may come between the count and the note
            size = sum(map(len, self._unscored_ids(version)))
            self._put_all_scored_by("" if size else version)
        return size

    def scored_records(self, version: str) -> int:
        """How many are in the record of the version; of a text there may be an exact one as well."""
        return self._values(version).records

    def has_unscored(self, version: str) -> bool:
        """Whether there is such a task."""
        return any(len(ids_M) for ids_M in self._unscored_ids(version))

    def unscored_parts(self, version: str, size: int) -> list[tuple[int, int]]:
        """First and last id of the stretches of `size` ids in which there are tasks that `version` has not seen.

        The stretches are the same whichever tasks they hold at the moment.
        """
        parts = sorted({part for ids_M in self._unscored_ids(version) for part in np.unique(ids_M // size).tolist()})
        return [(part * size, (part + 1) * size - 1) for part in parts]

    def _unscored_ids(self, version: str, first: int = 0, last: int = LAST) -> Iterator[Ints]:
        """By id, some at a time: what is held does not grow with the pool, and whoever looks for one can stop."""
        sql = f"SELECT id, number FROM task WHERE {SCORED} AND id BETWEEN ? AND ? ORDER BY id"
        values, rows = self._values(version), self._db.execute(sql, (first, last))
        while len(some_M2 := _numbers(islice(rows, AT_A_TIME))):
            yield some_M2[~values.knows(some_M2[:, 1]), 0]

    def _numbered(self, sql: str, *args: object) -> tuple[Ints, Ints]:
        """Ids of tasks and numbers of their texts."""
        rows_N2 = _numbers(self._db.execute(sql, args))
        return rows_N2[:, 0], rows_N2[:, 1]

    def _values(self, version: str) -> Values:
        """What is known of the version's values, read anew when there are more."""
        sql = "SELECT records, classes FROM scored WHERE version = ?"
        records, classes = self._db.execute(sql, (version,)).fetchone() or (0, 0)
        if self._mapped is None or self._mapped[0] != (version, records):
            with self._usable():
                self._mapped = (version, records), Values(self._files.read(version, records, record(classes)), records)
        return self._mapped[1]

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PoolError(_UNUSABLE.format(self._path, error)) from error

    def _examples(self, sql: str, *args: object) -> list[Example]:
        return [_example(*row) for row in self._db.execute(sql, args)]

    def put_scores(
        self,
        version: str,
        examples: Sequence[Example],
        values_N: Array,
        probs_NC: Array,
        exact: bool,
        truncated: Sequence[bool] = (),
    ) -> None:
        """Remember what `version` says of these tasks, and, if it is known, of which it read only the beginning. What
        is not `exact` is kept of texts alone of which nothing is known: whoever else scores them may have come first.
        Other versions' scores stay until `keep_scores_of`."""
        if not examples:
            return
        records_N: Records = np.zeros(len(examples), record(probs_NC.shape[1]))
        records_N["task"] = [example.id for example in examples]
        records_N["value"], records_N["probs"], records_N["exact"] = values_N, probs_NC, exact
        records_N["truncated"] = truncated or False
        with self.transaction():
            records_N["text"] = records_N["again"] = self._numbers_of(examples)
            records_N = records_N[records_N["text"] > 0]
            if not exact:
                records_N = records_N[~self._values(version).knows(records_N["text"])]
            self._append(version, records_N)

    def _numbers_of(self, examples: Sequence[Example]) -> list[int]:
        """The numbers of the texts; 0 for one that was edited in the meantime, which keeps no score of the old one."""
        sql = f"SELECT id, {TEXTS}, number FROM task WHERE {AMONG}"
        rows = self._db.execute(sql, (json.dumps([example.id for example in examples]),))
        known = {task_id: (tuple(texts), number) for task_id, *texts, number in rows}
        found = ((known.get(example.id, ((), 0)), example) for example in examples)
        return [number if texts == _columns(example) else 0 for (texts, number), example in found]

    def _append(self, version: str, records_N: Records) -> None:
        classes = records_N["probs"].shape[1]
        sql = "SELECT records FROM scored WHERE version = ? AND classes = ?"
        (counted,) = self._db.execute(sql, (version, classes)).fetchone() or (0,)
        with self._usable():
            total = self._files.append(version, counted, records_N)
            if self._mapped is not None and (self._mapped[0], total) == ((version, counted), counted + len(records_N)):
                self._mapped[1].grow(self._files.read(version, total, records_N.dtype))
                self._mapped = (version, total), self._mapped[1]
            else:
                self._mapped = None
        self._db.execute("INSERT OR REPLACE INTO scored VALUES (?, ?, ?)", (version, total, classes))

    def ranked(self, version: str, limit: int, skipped: bool) -> list[Ranked]:
        """The pool in the order of `version`, most informative first, equal values by task id; at most `limit`.

        Either the tasks that somebody has skipped, or those that nobody has.
        """
        values = self._values(version)
        if skipped:
            return _in_order(values, *self._numbered("SELECT id, number FROM task WHERE open AND skipped"), limit)
        # Those that were labelled since, or are skipped, are few among the first.
        ids_M, lowest = values.highest(FIRST * limit)
        sql = "SELECT id, number FROM task WHERE open AND NOT skipped"
        found = _in_order(values, *self._numbered(f"{sql} AND {AMONG}", json.dumps(ids_M.tolist())), limit)
        if len(found) == limit and found[-1].value >= lowest:
            return found
        return _in_order(values, *self._numbered(sql), limit)

    def keep_scores_of(self, version: str) -> None:
        """Drop the scores of every other version."""
        with self.transaction():
            self._db.execute("DELETE FROM scored WHERE version != ?", (version,))
            self._files.keep((version,))
            self._mapped = None
            for kind in (FEATURES, EXACT):
                self._keep_vectors_of(kind, (version,))
            if self._all_scored_by() != version:
                self._put_all_scored_by("")  # that version has no scores any more, and may be active again

    def inexact(self, version: str, task_ids: Collection[int]) -> list[Example]:
        """Those of the tasks that are in the pool and have no exact score under `version`: theirs was computed in the
        fast precision, or is that of a text that was edited since."""
        ids_N, records_N = self._open_records(version, task_ids)
        exact = set(ids_N[records_N["exact"]].tolist())
        ids = json.dumps([task_id for task_id in task_ids if task_id not in exact])
        sql = f"SELECT id, {TEXTS} FROM task WHERE {AMONG} AND open"
        found = {example.id: example for example in self._examples(sql, ids)}
        return [found[task_id] for task_id in task_ids if task_id in found]

    def open_values(self, version: str, task_ids: Collection[int]) -> dict[int, float]:
        """The value of each of these tasks that is still in the pool, under `version`."""
        ids_N, records_N = self._open_records(version, task_ids)
        return dict(zip(ids_N.tolist(), records_N["value"].tolist(), strict=True))

    def _open_records(self, version: str, task_ids: Collection[int]) -> tuple[Ints, Records]:
        """Ids of those of the tasks that are in the pool and scored, and what was said of them."""
        sql = f"SELECT id, number FROM task WHERE {AMONG} AND open"
        ids_N, numbers_N = self._numbered(sql, json.dumps(list(task_ids)))
        values = self._values(version)
        known_N = values.knows(numbers_N)
        return ids_N[known_N], values.of(numbers_N[known_N])

    def said(self, version: str, task_ids: Collection[int]) -> tuple[Ints, Array, Array]:
        """Ids of those of the tasks, in the pool or not, that `version` has scored, their values and probabilities."""
        ids_N, numbers_N = self._readable(task_ids)
        values = self._values(version)
        known_N = values.knows(numbers_N)
        records_N = values.of(numbers_N[known_N])
        return ids_N[known_N], records_N["value"], records_N["probs"]

    def open_probabilities(self, version: str) -> tuple[Ints, Array]:
        """Ids of the pool's tasks that are scored and not skipped, and what `version` said of them, (N, C)."""
        ids_N, numbers_N = self.open_numbers(skipped=False)
        values = self._values(version)
        known_N = values.knows(numbers_N)
        return ids_N[known_N], values.of(numbers_N[known_N])["probs"]

    def misplaced(self, task_ids: Collection[int]) -> set[int]:
        """Those of the tasks that never belong in the queue, labelled or not: held out, or with nothing to classify."""
        sql = "SELECT id FROM task WHERE id = ? AND (holdout OR text IS NULL)"
        return {row[0] for task_id in task_ids for row in self._db.execute(sql, (task_id,))}

    def candidate(self, version: str, task_id: int) -> Candidate | None:
        """What to publish for a task; None when it has left the pool in the meantime."""
        _, records_N = self._open_records(version, [task_id])
        if not len(records_N):
            return None
        found = records_N[0]
        return Candidate(task_id, float(found["value"]), found["probs"], bool(found["truncated"]))

    # Vectors of the texts, of several kinds, each kind by the name of what made them

    def put_vectors(self, kind: str, name: str, examples: Sequence[Example], vectors_ND: Features) -> None:
        """Remember the vectors of these tasks' texts, in the precision in which they come; all of one `name` have the
        same width and precision, or the last ones take the place of all. Features are kept of texts alone that have
        none, as scores are."""
        kept_N: Records = np.zeros(len(examples), vector_record(vectors_ND.shape[1], vectors_ND.dtype))
        kept_N["vector"] = vectors_ND
        of_which = (kind, name, vectors_ND.shape[1], vectors_ND.dtype.str)
        with self.transaction():
            kept_N["text"] = kept_N["again"] = self._numbers_of(examples)
            kept_N = kept_N[kept_N["text"] > 0]
            sql = "SELECT records FROM vectors WHERE (kind, name, width, number) = (?, ?, ?, ?)"
            (counted,) = self._db.execute(sql, of_which).fetchone() or (0,)
            if kind == FEATURES and counted:
                kept_N = kept_N[~self._latest(kind, name).knows(kept_N["text"])]
            with self._usable():
                counted = self._vector_files[kind].append(name, counted, kept_N)
            self._vectors.pop((kind, name), None)
            self._db.execute(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)", (kind, name, counted, *of_which[2:])
            )

    def vectors(self, kind: str, name: str, task_ids: Collection[int]) -> tuple[Ints, Features]:
        """Ids of those of the tasks whose text has a vector, by id, and the vectors, (M, D); D is 0 when none has."""
        ids_N, numbers_N = self._readable(task_ids)
        latest = self._latest(kind, name)
        known_N = latest.knows(numbers_N)
        return ids_N[known_N], latest.of(numbers_N[known_N])["vector"]

    def without_vector(self, kind: str, name: str, task_ids: Collection[int]) -> list[Example]:
        """Those of the tasks, by id, whose text can be read and has no vector."""
        ids_N, numbers_N = self._readable(task_ids)
        ids = json.dumps(ids_N[~self._latest(kind, name).knows(numbers_N)].tolist())
        return self._examples(f"SELECT id, {TEXTS} FROM task WHERE {AMONG} AND text IS NOT NULL ORDER BY id", ids)

    def latest_vectors(self, kind: str, name: str) -> Latest:
        """All of them, by the number of the text."""
        return self._latest(kind, name)

    def keep_vectors_of(self, kind: str, names: Collection[str]) -> None:
        """Drop the vectors of that kind that others made."""
        with self.transaction():
            self._keep_vectors_of(kind, names)

    def _keep_vectors_of(self, kind: str, names: Collection[str]) -> None:
        sql = "DELETE FROM vectors WHERE kind = ? AND name NOT IN (SELECT value FROM json_each(?))"
        self._db.execute(sql, (kind, json.dumps(list(names))))
        self._vector_files[kind].keep(names)
        self._vectors.clear()

    def _readable(self, task_ids: Collection[int]) -> tuple[Ints, Ints]:
        sql = f"SELECT id, number FROM task WHERE {AMONG} AND text IS NOT NULL ORDER BY id"
        return self._numbered(sql, json.dumps(list(task_ids)))

    def _latest(self, kind: str, name: str) -> Latest:
        sql = "SELECT records, width, number FROM vectors WHERE kind = ? AND name = ?"
        records, width, number = self._db.execute(sql, (kind, name)).fetchone() or (0, 0, "<f2")
        if self._vectors.get((kind, name), (-1,))[0] != records:
            with self._usable():
                read = self._vector_files[kind].read(name, records, vector_record(width, number))
            self._vectors[kind, name] = records, Latest(read, records)
        return self._vectors[kind, name][1]

    # What Label Studio holds of ours

    def published(self) -> list[Published]:
        """Every prediction of ours in Label Studio, as far as we know."""
        rows = self._db.execute(
            "SELECT prediction_id, task_id, version, score, choice FROM published ORDER BY prediction_id"
        )
        return [Published(*row) for row in rows]

    def waiting(self, version: str) -> set[int]:
        """Predictions of this version whose tasks nobody has labelled."""
        sql = "SELECT prediction_id FROM published JOIN task ON id = task_id WHERE version = ? AND open"
        return {row[0] for row in self._db.execute(sql, (version,))}

    def upcoming(self, version: str, limit: int, others: Collection[int] = ()) -> list[int]:
        """At most so many tasks that are served next while the queue follows `version`, in their order: those of its
        predictions that nobody has labelled, of the control set those that nobody has skipped either, and `others` that
        stand in the queue for a reason of their own."""
        sql = (
            "SELECT id FROM published CROSS JOIN task ON id = task_id WHERE version = ? AND text IS NOT NULL "
            f"AND NOT (holdout OR closed) AND (open OR {AMONG} OR (draw != '' AND NOT (skipped OR {ANSWERED}))) "
            "GROUP BY id ORDER BY MIN(score), id LIMIT ?"
        )
        return [row[0] for row in self._db.execute(sql, (version, json.dumps(list(others)), limit))]

    def note_published(self, *predictions: Published) -> None:
        """Remember predictions that were written."""
        rows = [(p.prediction_id, p.task_id, p.version, p.score, p.choice) for p in predictions]
        self._db.executemany("INSERT OR REPLACE INTO published VALUES (?, ?, ?, ?, ?)", rows)
        self._db.executemany("INSERT OR IGNORE INTO offered VALUES (?)", [(p.task_id,) for p in predictions])

    def take_newly_answered(self) -> set[int]:
        """Tasks that were answered in Label Studio's editor since this was asked last: those that could be served then,
        and that nobody had answered or skipped."""
        with self.transaction():
            found = {row[0] for row in self._db.execute("SELECT task_id FROM newly_answered")}
            self._db.execute("DELETE FROM newly_answered")
        return found

    def never_offered(self, task_ids: Collection[int]) -> set[int]:
        """Those of the tasks of which no prediction of ours was ever known."""
        sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT task_id FROM offered)"
        return {row[0] for row in self._db.execute(sql, (json.dumps(list(task_ids)),))}

    def note_withdrawn(self, prediction_id: int) -> None:
        """Remember that a prediction is gone."""
        self._db.execute("DELETE FROM published WHERE prediction_id = ?", (prediction_id,))

    def replace_published(self, predictions: Collection[Published]) -> None:
        """Take over Label Studio's own list."""
        with self.transaction():
            self._db.execute("DELETE FROM published")
            self.note_published(*predictions)


def _columns(example: Example | None) -> tuple[str | None, str | None, str | None]:
    """The texts as `TEXTS` names them."""
    if example is None:
        return None, None, None
    return example.text, example.pair, json.dumps(example.more) if example.more else None


def _numbers(rows: Iterable[Any]) -> Ints:
    """(N, 2), of rows with two numbers each."""
    return np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2)


def _example(task_id: int, text: str, pair: str | None, more: str | None) -> Example:
    return Example(task_id, text, pair, tuple(json.loads(more)) if more else ())


def _digest(example: Example | None) -> str | None:
    return hashlib.sha256(repr(key_of(example)).encode()).hexdigest()[:32] if example else None


def _untouched(
    text: str | None, pair: object, more: object, holdout: int, draw: str, skipped: int, annotations: int, *_: object
) -> bool:
    """Whether a task, as it was known, could be served, and nobody had answered or skipped it."""
    return text is not None and not (holdout or skipped or annotations)


def _vote(row: Sequence[Any], casting: Mapping[int, str] = NO_CASTING) -> Vote:
    task_id, label, ground_truth, given, accepted, account, weight, why, seconds, first = row[:10]
    decides = casting.get(task_id) == account
    return Vote(label, bool(ground_truth), given, bool(accepted), account, weight, why, seconds, decides, first)


def _in_order(values: Values, ids_N: Ints, numbers_N: Ints, limit: int) -> list[Ranked]:
    known_N = values.knows(numbers_N)
    ids_M, values_M = ids_N[known_N], values.of(numbers_N[known_N])["value"]
    order = np.lexsort((ids_M, -values_M))[:limit]
    return list(map(Ranked, ids_M[order].tolist(), values_M[order].tolist()))


def _unusable(path: Path, error: sqlite3.Error) -> PoolError:
    if type(error) is sqlite3.DatabaseError:  # no data base, or one with a hole in it
        for file in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
            file.unlink(missing_ok=True)
        return PoolError(f"The copy of the project in {path} was damaged ({error}); it is read again.")
    return PoolError(_UNUSABLE.format(path, error))


def pool_path(model_dir: Path, project: int) -> Path:
    """Where the copy of a project is."""
    return model_dir / "pools" / f"{project}.sqlite"


def _values_path(path: Path) -> Path:
    return path.with_suffix(".values")


def tokens_path(model_dir: Path, project: int) -> Path:
    """Where the token ids of its texts are."""
    return model_dir / "pools" / f"{project}.tokens"
