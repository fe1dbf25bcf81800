"""Of questions that are asked in several ways one at a time stands in the queue; with a Label Studio and without."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers import house as houses
from helpers.fits import QUICK
from helpers.waiting import wait_until
from nextlabel.errors import NoModelError
from nextlabel.lab.sandbox import LocalBackend
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.project_options import change
from nextlabel.loop.controller import Controller
from nextlabel.loop.near_copies import Holding, Words, in_queue, not_yet_known
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.settings import Settings
from nextlabel.simulation.datasets.questions import VARIANTS, questions
from nextlabel.store.pool import EMBEDDINGS, Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.queue import Published, Ranked
from nextlabel.versions.registry import Registry

StartBackend = Callable[..., LocalBackend]
ORDER, BEFORE, PROJECT = "nextlabel-2", "nextlabel-1", 7


class Axes:
    """Embeds each text on an axis of its own, and takes notes."""

    name = "axes"

    def __init__(self, modulo: int = 16) -> None:
        self.embedded: list[int] = []
        self._modulo = modulo

    def embed(self, pool: Pool, project: int, examples: Sequence[Example]) -> None:
        self.embedded += [example.id for example in examples]
        rows_ND = np.eye(16, dtype=np.float16)[[example.id % self._modulo for example in examples]]
        pool.put_vectors(EMBEDDINGS, self.name, examples, rows_ND)


TEXTS = {
    1: "where is my invoice",
    2: "hello, where is my invoice please",
    3: "Where is MY invoice",
    4: "who opens the garage",
    5: "hello, who opens the garage please",
    6: "hello, may dogs come in please",
    7: "hello, what is open on sunday please",
}
DIFFERENT = [1, 2, 4, 5, 6, 7]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, PROJECT)) as opened:
        opened.upsert(TaskRow(i, Example(i, text), False, False, False, 0, ()) for i, text in TEXTS.items())
        yield opened


def free(
    pool: Pool, published: Sequence[int] = (), unknown: Sequence[int] = (), least: int = 0, **more: Any
) -> list[int]:
    """What may stand in the queue of all tasks, the best first."""
    embedder: Any = more.get("embedder", Axes())
    best = more.get("best", lambda limit: [])
    holding = Holding(pool, PROJECT, more.get("words", Words()), embedder, published, unknown, best)
    return [task.task_id for task in holding([Ranked(i, 1 - i / 10) for i in TEXTS], depth=9, least=least)]


def holding_of(pool: Pool, embedder: Any, enough: int = 1) -> Holding:
    return Holding(pool, PROJECT, Words(), embedder, [], [], lambda limit: [], enough)


def test_of_near_copies_the_best_one_is_free_and_after_it_was_labelled_none_until_a_version_knows_it(
    pool: Pool,
) -> None:
    assert free(pool) == [1, 4, 6, 7]
    assert free(pool, published=[2, 4]) == [2, 4, 6, 7]
    pool.upsert([TaskRow(1, Example(1, TEXTS[1]), False, True, False, 1, ())])
    assert free(pool, unknown=[1])[1:] == [4, 6, 7], "neither 2 nor 3"


def test_somebody_is_always_served_something(pool: Pool) -> None:
    assert free(pool, least=6) == [1, 2, 4, 5, 6, 7], "of those that are held back the best, and no copy before it"
    assert free(pool, least=99) == list(TEXTS)


def test_a_second_look_embeds_nothing_and_counts_no_words(pool: Pool) -> None:
    embedder, words = Axes(), Words()
    free(pool, embedder=embedder, words=words)
    first = words.known[PROJECT][1]
    free(pool, embedder=embedder, words=words)
    assert embedder.embedded == DIFFERENT
    assert words.known[PROJECT][1] is first
    pool.upsert([TaskRow(i, Example(i, f"and {i}"), False, False, False, 0, ()) for i in (8, 9)])
    free(pool, embedder=embedder, words=words)
    assert words.known[PROJECT][1] is not first


def test_those_that_may_follow_are_embedded_with_them_the_best_first(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextlabel.loop.near_copies.AHEAD", 2)
    pool.upsert([TaskRow(i, Example(i, f"and {i}"), False, False, False, 0, ()) for i in range(8, 13)])
    embedder, asked = Axes(), list[int]()

    def best(limit: int) -> Sequence[int]:
        asked.append(limit)
        return [1, 12, 4, 9, 8]

    free(pool, embedder=embedder, best=best)
    assert embedder.embedded == [*DIFFERENT, 9, 12]
    free(pool, embedder=embedder, best=best)
    assert len(asked) == 1, "nothing is missing"


def test_where_the_checkpoint_cannot_embed_words_are_compared_all_the_same(pool: Pool) -> None:
    class Unable(Axes):
        def embed(self, pool: Pool, project: int, examples: Sequence[Example]) -> None:
            raise NoModelError("no hidden states")

    assert free(pool, embedder=Unable()) == [1, 4, 6, 7]


def test_copies_are_dropped_before_their_texts_are_read_or_embedded(pool: Pool) -> None:
    ids = range(112, 112 + 50)
    pool.upsert(
        TaskRow(i, Example(i, ("One and the same", "one and  the same")[i % 2]), False, False, False, 0, ())
        for i in ids
    )
    embedder = Axes(modulo=16)
    holding = holding_of(pool, embedder)
    ranked = [Ranked(i, 1.0) for i in (*ids, 4)]
    assert [task.task_id for task in holding(ranked, 9, 0)] == [112, 4]
    assert embedder.embedded == [4, 112]
    assert [task.task_id for task in holding(ranked, 9, 3)] == [112, 113, 4], "where the pool has nothing else"


def test_no_more_than_so_many_different_texts_are_looked_at(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.loop.near_copies.MOST_COMPARED", 5)
    ids = range(100, 130)
    pool.upsert(TaskRow(i, Example(i, f"hello {'?' * i}"), False, False, False, 0, ()) for i in ids)
    embedder = Axes(modulo=1)
    holding = holding_of(pool, embedder, enough=3)
    ranked = [Ranked(i, 1.0) for i in ids]
    assert [task.task_id for task in holding(ranked, 3, 0)] == [100, 101, 102], "enough, the best of those that wait"
    assert embedder.embedded == [100, 101, 102, 103, 104]


def test_a_long_queue_is_filled_all_the_same(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.loop.near_copies.MOST_COMPARED", 5)
    ids = range(100, 130)
    pool.upsert(TaskRow(i, Example(i, f"{chr(i)} other"), False, False, False, 0, ()) for i in ids)
    ranked = [Ranked(i, 1.0) for i in ids]
    unpublished = [task.task_id for task in holding_of(pool, Axes(modulo=16))(ranked, 12, 0)]
    assert unpublished[:12] == list(ids)[:12]


@pytest.mark.parametrize("read_at", ["2026-11-30T09:00:00+00:00", ""], ids=["told", "of an earlier release"])
@pytest.mark.parametrize(
    "when",
    ["2026-11-30T09:30:00.5Z", "2026-11-30T08:59:30.5Z", "2026-11-30T08:00:00.5Z"],
    ids=["since", "by a clock that is late", "before"],
)
def test_near_copies_of_what_somebody_was_unsure_of_wait_for_the_next_version(
    pool: Pool, when: str, read_at: str
) -> None:
    unsure = Vote("Unsure", False, when)
    pool.upsert([TaskRow(1, Example(1, TEXTS[1]), False, True, False, 1, (unsure,))])
    made = SimpleNamespace(
        created_at="2026-11-30T09:59:00+00:00" if read_at else "2026-11-30T09:00:00", read_at=read_at
    )
    registry: Any = SimpleNamespace(
        newest=lambda project: BEFORE, card=lambda project, version: made, fitted_labels=lambda project, version: {}
    )
    question = SingleChoice(("open", "closed"), ignored=("Unsure",))
    unknown = not_yet_known(pool, question, [], registry, PROJECT, BEFORE)
    assert unknown == ([1] if when > "2026-11-30T08:59" else []), (
        "an answer that came during the fit is not known to it"
    )


def test_of_answers_that_no_version_knows_the_latest_are_looked_at(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.loop.near_copies.MOST_LABELLED", 1)
    days = {1: "2026-11-30", 4: "2026-11-29"}
    pool.upsert(
        TaskRow(i, Example(i, TEXTS[i]), False, True, False, 1, (Vote("open", False, day),)) for i, day in days.items()
    )
    registry: Any = SimpleNamespace(newest=lambda project: None, fitted_labels=lambda project, version: {})
    unknown = not_yet_known(pool, SingleChoice(("open", "closed")), days, registry, PROJECT, None)
    assert unknown == [4, 1]
    embedder: Any = Axes()
    holding = Holding(pool, PROJECT, Words(), embedder, [], unknown, lambda limit: [])
    left = [Ranked(i, 1.0) for i in (2, 3, 5)]
    assert [task.task_id for task in holding(left, 9, 0)] == [5], "which waits for an older one no more"


def test_of_long_texts_fewer_are_counted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextlabel.loop.near_copies.MOST_WORDS", 12)
    words = {word for text in TEXTS.values() for word in text.casefold().replace(",", "").split()}
    assert Words().of(pool, PROJECT).weights.keys() < words


def test_of_pairs_only_copies_wait_and_none_is_embedded(pool: Pool) -> None:
    texts = {1: "one", 2: "ONE", 3: "one hello"}
    pool.upsert(TaskRow(i, Example(i, text, "two"), False, False, False, 0, ()) for i, text in texts.items())
    embedder = Axes()
    assert free(pool, embedder=embedder) == [1, 3, 4, 6, 7]
    assert embedder.embedded == [4, 5, 6, 7]


def test_what_the_newest_version_knows_is_known_though_it_was_refused_or_left(tmp_path: Path, tiny: Path) -> None:
    house = houses.House(tmp_path, tiny, near_copies="hold")
    house.label(houses.TRAIN, houses.RIGHT)
    before = house.fit()
    row = TaskRow(301, Example(301, "where is my invoice"), False, True, False, 1, (Vote("pos", False, ""),))
    house.pool.upsert([row, TaskRow(302, Example(302, "Where is my invoice"), False, False, False, 0, ())])
    house.label(range(201, 208), houses.RIGHT)
    assert house.fit() != before
    house.registry.promote(houses.PROJECT, before)
    found: Any = SimpleNamespace(
        project=SimpleNamespace(id=houses.PROJECT, model_version=before),
        config=parse_label_config(houses.CONFIG),
        version=before,
    )
    studio: Any = None
    order: Any = SimpleNamespace(name=before, ranked=lambda limit, skipped: [])
    controller = Controller(house.settings, house.registry, house.board, studio, house.jobs)
    _, holding = controller._kept_out(house.pool, found, order)
    assert [task.task_id for task in holding([Ranked(302, 0.5)], 9, 0)] == [302]
    house.registry.discard(houses.PROJECT, house.registry.newest(houses.PROJECT) or "")
    _, holding = controller._kept_out(house.pool, found, order)
    assert holding([Ranked(302, 0.5)], 9, 0) == [], "no version knows 301"
    house.pool.__exit__()


def test_in_the_queue_is_what_is_published_and_what_may_be_on_a_screen_but_nothing_that_was_skipped(pool: Pool) -> None:
    pool.upsert(
        [
            TaskRow(3, Example(3, TEXTS[3]), False, True, False, 1, ()),
            TaskRow(4, Example(4, TEXTS[4]), False, False, True, 0, ()),
        ]
    )
    published = [Published(1, 1, ORDER, 0.5), Published(2, 3, ORDER, 0.1), Published(3, 4, ORDER, 0.2)]
    on_screens = [Published(4, 2, BEFORE, 0.2), Published(5, 6, BEFORE, 0.1), Published(6, 7, BEFORE, 0.3)]
    pool.replace_published([*published, *on_screens])
    assert in_queue(pool, ORDER, BEFORE, 2) == {1, 2, 6}
    assert in_queue(pool, ORDER, ORDER, 2) == {1}


# With a Label Studio

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single">'
    '<Choice value="open"/><Choice value="closed"/></Choices></View>'
)
START, SERVED, WINDOW = 12, 40, 60


def result(number: int) -> list[dict[str, Any]]:
    value = {"choices": ["open" if number % 3 else "closed"]}
    return [{"from_name": "label", "to_name": "text", "type": "choices", "value": value}]


class Asked:
    """A project of a hundred questions in four variants, shuffled."""

    def __init__(self, studio: LabelStudioClient, backend: LocalBackend):
        self.studio, self.backend = studio, backend
        self.id = studio.create_project("questions", CONFIG)
        shuffled = [questions()[i] for i in np.random.default_rng(0).permutation(len(questions()))]
        tasks: list[dict[str, Any]] = [{"data": {"text": e.text, "question": e.id // VARIANTS}} for e in shuffled]
        for number, task in enumerate(tasks[:START]):
            task["annotations"] = [{"result": result(number)}]
        studio.import_tasks(self.id, tasks)
        connect(studio, self.id, backend.url, Credentials())
        self.board, self.registry = StatusBoard(backend.model_dir), Registry(backend.model_dir)
        studio.start_training(self.id)
        self.wait()

    def wait(self, labels: int = START) -> None:
        """Until the queue follows an order, knows so many labels, and is complete."""

        def complete() -> bool:
            status = self.board.queue(self.id)
            known = status.labels == labels and status.state == "published" and bool(status.version)
            return known and self.studio.project(self.id).model_version == status.order

        wait_until(complete, f"the queue with {labels} labels")

    def label(self, count: int) -> list[int]:
        """The questions of the tasks that were served, each seen by the trainer before the next one."""
        asked = []
        for number in range(count):
            task = self.studio.next_task(self.id)
            assert task is not None
            asked.append(int(task["data"]["question"]))
            self.studio.annotate(task["id"], result(number))
            self.wait(START + number + 1)
        return asked

    def queue(self) -> list[int]:
        """Published tasks without a label, in the order in which they are served."""
        followed = self.studio.project(self.id).model_version
        scores = {p.task_id: p.score for p in self.studio.our_predictions(self.id) if p.version == followed}
        return sorted(scores.keys() & self.open_texts().keys(), key=lambda i: (scores[i], i))

    def open_texts(self) -> dict[int, str]:
        pages = self.studio.tasks_after(self.id, 0)
        return {task["id"]: task["data"]["text"] for page in pages for task in page if not task["annotations"]}

    def by_entropy(self) -> list[int]:
        """Open tasks by falling entropy, by plain transformers."""
        directory = self.registry.path(self.id, self.board.queue(self.id).version)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
        entropies = {}
        for task_id, text in self.open_texts().items():
            with torch.no_grad():
                logits_C = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0].double()
            probs_C = torch.softmax(logits_C, dim=0).numpy()
            entropies[task_id] = float(-np.sum(probs_C * np.log(probs_C)))
        return sorted(entropies, key=lambda task_id: (-entropies[task_id], task_id))


@pytest.mark.parametrize("head", ["off", "on"])
def test_of_a_hundred_questions_in_four_variants_the_first_40_served_are_different(
    head: str, studio: LabelStudioClient, start_backend: StartBackend
) -> None:
    # The clock may be slow, too: webhooks tell all that happens here, and a look by it reads all 400 tasks.
    rare = {"fit_every": 1000, "fit_max_wait_s": 3600, "reconcile_s": 10}
    project = Asked(studio, start_backend(**{**QUICK, **rare, "near_copies": "hold", "window": WINDOW, "head": head}))
    assert project.board.queue(project.id).held > 0
    if head == "off":
        queue, order = project.queue(), project.by_entropy()
        assert queue == [task_id for task_id in order if task_id in set(queue)], "in the version's order"
        assert queue[0] == order[0]
    assert len(set(project.label(SERVED))) >= 38


def test_where_near_copies_are_served_the_queue_is_the_versions_order_to_the_digit(
    studio: LabelStudioClient, start_backend: StartBackend
) -> None:
    backend = start_backend(near_copies="serve", window=24, fit_every=1000, fit_max_wait_s=3600)
    project = Asked(studio, backend)
    order = project.by_entropy()
    assert project.queue() == order[:24]
    settings = Settings(_env_file=None)
    change(studio, settings, project.id, {"near_copies": "hold"})
    wait_until(lambda: project.board.queue(project.id).held > 0, "near-copies to be held back")
    project.wait()
    change(studio, settings, project.id, {"near_copies": "serve"})
    wait_until(lambda: project.board.queue(project.id).held == 0, "near-copies to be served")
    project.wait()
    assert project.queue()[:24] == order[:24]
