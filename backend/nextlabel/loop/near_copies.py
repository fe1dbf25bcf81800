"""Which tasks wait for a near-copy of theirs: one at a time stands in the queue, until a version knows its label.

What a head learns of a label is too little for that: its near-copies would soon come first again.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from nextlabel.errors import NextlabelError
from nextlabel.learning.certificate import CLOCKS
from nextlabel.learning.near_copies import Vocabulary, held_back, vocabulary
from nextlabel.loop.embedding import Embedder
from nextlabel.problems.question import Question
from nextlabel.store.pool import EMBEDDINGS, Pool
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example
from nextlabel.values.queue import Ranked
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

SAMPLE = 20_000  # texts of a project that say which words are common,
MOST_WORDS = 100_000  # and fewer of longer ones: counting these words takes a second
MOVED = 0.1  # a part by which the number of texts changes before that is found out anew
AHEAD = 64  # texts that are embedded with those that are looked at
MOST_AHEAD = 1024  # so far down the order they are looked for
MOST_COMPARED = 1024  # different texts that are looked at, before the best of those that wait are freed; of a longer
# queue as many as it has
MOST_LABELLED = 512  # labelled tasks that the version does not know are looked at; more than that were imported


@dataclass
class Words:
    """What a trainer keeps of each project: its words, and of how many texts they are."""

    known: dict[int, tuple[int, Vocabulary]] = field(default_factory=dict)

    def of(self, pool: Pool, project: int) -> Vocabulary:
        """The words of the project's texts, of a sample of them if they are many."""
        size, known = pool.size(), self.known.get(project)
        if known is None or abs(size - known[0]) > MOVED * known[0]:
            some = pool.sample(SAMPLE)
            too_many = sum(len(example.text.split()) for example in some) // MOST_WORDS
            known = self.known[project] = size, vocabulary(some[:: 1 + too_many])
        return known[1]


def in_queue(pool: Pool, order: str, followed: str, on_screen: int) -> set[int]:
    """Tasks without a label that are published in an order, and those first in the one that the queue follows, which
    people may have on their screens; without what somebody has skipped, so that this does not end in waiting, and
    without the control set, which shall not change the order."""
    published, skipped = pool.published(), set(pool.open_numbers(skipped=True)[0].tolist())
    ours, theirs = pool.waiting(order), pool.waiting(followed)
    seen = sorted((p.score, p.task_id) for p in published if p.prediction_id in theirs and p.task_id not in skipped)
    tasks = {p.task_id for p in published if p.prediction_id in ours} | {task_id for _, task_id in seen[:on_screen]}
    return tasks - skipped - pool.reserved(tasks)


def known_labels(registry: Registry, project: int, active: str | None) -> set[int]:
    """Tasks whose label a version knows: the active one, or the newest, which was refused or left by a person; for
    those labels alone no other is fitted, so that their near-copies would wait for ever."""
    versions = {version for version in (active, registry.newest(project)) if version}
    return {task for version in versions for task in registry.fitted_labels(project, version)}


def not_yet_known(
    pool: Pool, question: Question, labels: Collection[int], registry: Registry, project: int, active: str | None
) -> list[int]:
    """Tasks whose answer no version knows, the latest last: of those to fit on, and of those that were answered with an
    ignored label since the newest version's were read, which no version ever learns."""
    newest = registry.newest(project)
    card = registry.card(project, newest) if newest else None
    read_at = card.read_at or card.created_at if card else ""
    # Answers have Label Studio's time. Both are in UTC, and alike to the second.
    since = (datetime.fromisoformat(read_at) - CLOCKS).isoformat()[:19] if read_at else ""
    passed = {task for task, when in pool.left_out(question).items() if when[:19] > since}
    return pool.last_answered((set(labels) - known_labels(registry, project, active)) | passed)


class Holding:
    """A filter of the queue, for one look at a project.

    Of near-copies the best one is free, unless there is one among the `published` and `unknown` tasks: the first are in
    the queue and without a label, or on somebody's screen; the others are answered, the latest last, and no version
    knows that.
    With tasks that have to be embedded go those that may follow: `best(n)` are the n most informative ones. Where many
    texts are alike, no more than `MOST_COMPARED` are looked at, or as many as the queue is long: then the best of those
    that wait are freed until there are `enough`.
    """

    def __init__(
        self,
        pool: Pool,
        project: int,
        words: Words,
        embedder: Embedder,
        published: Collection[int],
        unknown: Sequence[int],
        best: Callable[[int], Sequence[int]],
        enough: int = 1,
    ):
        self._pool, self._project, self._words, self._embedder, self._best = pool, project, words, embedder, best
        self._enough = enough
        self._before = sorted({*published, *unknown[-MOST_LABELLED:]})

    def __call__(self, ranked: Sequence[Ranked], depth: int, least: int) -> list[Ranked]:
        """Those of the ranked tasks that are free, looked at until `depth` are; the best of the others, too, as far as
        they make up `least`, near-copies before copies."""
        different, copies = self._without_copies([task.task_id for task in ranked])
        most = max(MOST_COMPARED, depth + len(self._before))  # the published ones are among those that are ranked
        ids, unseen = different[:most], set(different[most:])
        examples = {example.id: example for example in self._pool.examples([*self._before, *ids])}
        before = [examples[task_id] for task_id in self._before if task_id in examples]
        candidates = [examples[task_id] for task_id in ids if task_id in examples]
        rows = self._embedded([*before, *candidates])
        words = self._words.of(self._pool, self._project)
        held = held_back(candidates, rows[len(before) :], before, rows[: len(before)], words, depth)
        kept = [*held, *copies]
        least = max(least, self._enough) if unseen else least
        short = max(0, least - (len(ranked) - len(kept) - len(unseen)))
        waiting = {*kept[short:], *unseen}
        return [task for task in ranked if task.task_id not in waiting]

    def _without_copies(self, task_ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """The tasks without copies of what was there before and of better ones; and these copies."""
        key_of = self._pool.copy_keys([*self._before, *task_ids])
        seen = {key_of[task_id] for task_id in self._before if task_id in key_of}
        different, copies, before = list[int](), list[int](), set(self._before)
        for task_id in task_ids:
            key = key_of.get(task_id, str(task_id))
            (copies if key in seen and task_id not in before else different).append(task_id)
            seen.add(key)
        return different, copies

    def _embedded(self, examples: Sequence[Example]) -> Array:
        """Rows of unit length; of pairs, which need none, and where the checkpoint cannot embed, of length 0."""
        ids = [example.id for example in examples if example.pair is None]
        rows: dict[int, Array] = {}
        try:
            name = self._embedder.name
            self._complete(name, ids)
            found_M, rows_MD = self._pool.vectors(EMBEDDINGS, name, ids)
            rows = dict(zip(found_M.tolist(), rows_MD.astype(np.float32), strict=True))
        except NextlabelError as error:  # copies and words are compared all the same
            log.warning("project %d: near-copies are told by their words alone: %s", self._project, error)
        none_D = np.zeros(len(next(iter(rows.values()), ())), dtype=np.float32)
        return np.array([rows.get(example.id, none_D) for example in examples]).reshape(len(examples), len(none_D))

    def _complete(self, name: str, task_ids: Sequence[int]) -> None:
        """See that there are embeddings of these tasks; and of some that may follow them, as the encoder has to be
        loaded and waits for its turn: a queue that is filled while a pool is being scored waits for a slice each time.
        """
        missing = self._pool.without_vector(EMBEDDINGS, name, task_ids)
        if missing:
            asked = set(task_ids)
            following = [task for task in self._best(len(asked) + MOST_AHEAD) if task not in asked]
            new = {example.id: example for example in self._pool.without_vector(EMBEDDINGS, name, following)}
            ahead = [new[task_id] for task_id in following if task_id in new][:AHEAD]
            wanted = {example.id: example for example in (*missing, *ahead) if example.pair is None}
            self._embedder.embed(self._pool, self._project, [wanted[task_id] for task_id in sorted(wanted)])
