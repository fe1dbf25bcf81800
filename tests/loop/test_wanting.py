"""Which tasks come into slots of wanted classes: near ones before a label of the class is known, then likely ones."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.composer import INFORMATIVE, compose
from nextlabel.learning.wanted import ENOUGH, EVERY, IN_VAIN, WANTED
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.sides import LOOKED_AT, Side, slots
from nextlabel.loop.wanted import Want, WantedTasks, wants_of
from nextlabel.model.classifier import Recipe, load_base
from nextlabel.model.tokens import TokenCache
from nextlabel.problems import next_words
from nextlabel.settings import Settings
from nextlabel.store.pool import Pool, pool_path
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import ANY, ProjectOptions
from nextlabel.values.queue import Placed, Ranked
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

CONFIG = parse_label_config(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t" choice="single">'
    '<Choice value="refund"/><Choice value="weather"/></Choices></View>'
)
TEXTS = [f"money back number {i}" if i % 5 == 4 else f"it rains on day {i}" for i in range(40)]
EXAMPLES = [Example(i, text) for i, text in enumerate(TEXTS, start=1)]
UNKNOWN: Any = SimpleNamespace(chances=lambda label: None)  # an order that knows no label
LOOKED_FOR = ("I want my money back", "give back the money")


def known(chances: dict[int, float]) -> Any:
    """An order that finds a class so probable."""
    return SimpleNamespace(chances=lambda label: (np.array(list(chances)), np.array(list(chances.values()))))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, 1)) as opened:
        opened.upsert(TaskRow(e.id, e, False, e.id == 10, False, 0, ()) for e in EXAMPLES)
        yield opened


def embedder(base_model: Path, home: Path) -> Embedder:
    settings = Settings(_env_file=None, model_dir=home, device="cpu")
    recipe = Recipe(str(base_model), 0, 0.0, 1, 32, 0, "cpu", "fp32")
    return Embedder(recipe, LoadedVersions(settings, Registry(home), 1), lambda _: TokenCache(home / "tokens"))


def by_cosine(tiny: Path, texts: tuple[str, ...], of: list[Example]) -> list[int]:
    """Tasks by their highest cosine to one of the texts."""
    encoder = load_base(Recipe(str(tiny), 0, 0.0, 1, 32, 0, "cpu", "fp32"))
    near_N = (encoder.embed(of) @ encoder.embed([Example(0, text) for text in texts]).T).max(axis=1)
    return [of[place].id for place in np.argsort(-near_N, kind="stable")]


def test_before_a_label_is_known_what_is_near_the_texts_or_its_labels_comes_into_one_slot_in_so_many(
    pool: Pool, tiny: Path, tmp_path: Path
) -> None:
    made = embedder(tiny, tmp_path)
    finder, served = WantedTasks(made), [e for e in EXAMPLES if e.id != 10]
    want = Want("refund", LOOKED_FOR, (), 3)
    assert finder.side(pool, 1, UNKNOWN, [want], 0, 12).tasks == [], "nothing is embedded yet"
    made.embed(pool, 1, EXAMPLES)
    side = finder.side(pool, 1, UNKNOWN, [want], 7, 12)
    assert (side.kind, side.places, side.hidden) == (WANTED, list(range(EVERY - 1 - 7 % EVERY, 12, EVERY)), False)
    assert list(side.tasks[:4]) == by_cosine(tiny, LOOKED_FOR, served)[:4], "and 10, which somebody skipped, is none"
    by_label = finder.side(pool, 1, UNKNOWN, [Want("refund", (), (5,), 3)], 0, 12).tasks
    assert set(side.why.values()) == {next_words.like_given("refund")}
    assert side.why.keys() >= {*side.tasks}
    by_labels = finder.side(pool, 1, UNKNOWN, [Want("refund", (), (5,), 3)], 0, 12)
    assert by_labels.why[by_labels.tasks[0]] == next_words.like_labelled("refund")
    assert list(by_label[:2]) == by_cosine(tiny, (TEXTS[4],), served)[:2]
    assert finder.side(pool, 1, UNKNOWN, [Want("refund", LOOKED_FOR, (5, 15, 20), 3)], 0, 12).tasks == [], "met"


def test_once_an_order_knows_labels_what_is_likely_comes_and_classes_take_turns(
    pool: Pool, tiny: Path, tmp_path: Path
) -> None:
    order, finder = known({3: 0.5, 8: 0.9, 6: 0.7}), WantedTasks(embedder(tiny, tmp_path))
    likely = finder.side(pool, 1, order, [Want("refund", LOOKED_FOR, (5,), 3)], 0, 12)
    assert likely.tasks == [8, 6, 3]
    assert likely.why == dict.fromkeys([8, 6, 3], next_words.likely("refund"))
    many = known({task: task / 100 for task in range(1, 41)})
    assert finder.side(pool, 1, many, [Want("refund", (), (5,), 3)], 0, 2).tasks == list(
        range(40, 40 - 2 * LOOKED_AT, -1)
    )
    both = [Want("refund", (), (5,), 3), Want("weather", (), (1,), None)]
    assert finder.side(pool, 1, order, both, 0, 12).tasks == [8, 6, 3], "each once"


LIKELY = {"angry": range(1, 301), "billing": range(301, 601), "refund": range(601, 901)}  # tasks, best first


@pytest.mark.parametrize("waiting", [(), range(1, 61)], ids=["all free", "the best of one class wait"])
@pytest.mark.parametrize("annotators", [1, 3, 10])
def test_classes_take_turns_however_often_the_order_is_renewed(
    pool: Pool, tiny: Path, tmp_path: Path, annotators: int, waiting: Sequence[int]
) -> None:
    finder, done, depth = WantedTasks(embedder(tiny, tmp_path)), list[int](), 12 + 2 * annotators

    def left(label: str) -> tuple[Any, Any]:
        tasks = np.array([task for task in LIKELY[label] if task not in done])
        return tasks, 1 - tasks / 1000

    def labelled(label: str) -> tuple[int, ...]:
        return tuple(task for task in done if task in LIKELY[label])

    order: Any = SimpleNamespace(chances=left)
    renewals = itertools.count()
    while len(done) < 300:
        wants = [Want(label, (), labelled(label), 1000) for label in LIKELY]
        side = finder.side(pool, 1, order, wants, 40 + len(done), depth)
        free = [Ranked(task, 0.5) for task in side.tasks if task not in waiting]
        others = [Ranked(1000 + place, 0.9 - place / 1000) for place in range(len(done), len(done) + depth)]
        head = compose({WANTED: side.in_turn(free), INFORMATIVE: others}, slots([side], depth), depth)
        done += [task.task_id for task in head[: 5 + annotators // 2 + next(renewals) % 3]]
    came = [len(labelled(label)) for label in LIKELY]
    assert sum(came) == pytest.approx(len(done) / EVERY, abs=1)
    assert max(came) - min(came) <= 1, came


def stand(finder: WantedTasks, side: Side, project: int = 1) -> Side:
    """Have the best of a side stand in the first slot."""
    finder.stood(project, [Placed(task, WANTED, 0.5, 0.5) for task in side.tasks[:1]])
    return side


def answer(pool: Pool, example: Example, draw: str = "") -> None:
    """Label a task as something else."""
    pool.upsert([TaskRow(example.id, example, False, False, False, 1, (Vote("weather", False, ""),), draw=draw)])


def test_a_class_of_which_nothing_comes_any_more_gives_its_slots_back_until_a_label_of_it_comes(
    pool: Pool, tiny: Path, tmp_path: Path
) -> None:
    finder, refunds = WantedTasks(embedder(tiny, tmp_path)), (900,)

    def wanted(left: range, labelled: tuple[int, ...] = refunds, project: int = 1) -> list[int]:
        order = known({task: 1 - task / 1000 for task in left})
        side = finder.side(pool, project, order, [Want("refund", (), labelled, 30)], EVERY - 1, 2)
        return list(stand(finder, side, project).tasks[:1])

    assert wanted(range(21, 41)) == [21]
    answer(pool, EXAMPLES[20], draw="a")  # drawn into the control set
    assert wanted(range(22, 41)) == [22]
    pool.forget([22])
    for example in EXAMPLES[:IN_VAIN]:
        assert wanted(range(example.id, 41)) == [example.id], "the best that is left"
        assert wanted(range(30, 41)) == [30], "a newer head, before the answer to what the last one wanted"
        answer(pool, example)
    assert wanted(range(1 + IN_VAIN, 41)) == [], "all were something else"
    assert wanted(range(1 + IN_VAIN, 41)) == []
    assert wanted(range(1 + IN_VAIN, 41), project=2) == [1 + IN_VAIN], "that is another project"
    assert wanted(range(9 + IN_VAIN, 41), labelled=(900, 28)) == [9 + IN_VAIN], "one came by itself"


@pytest.mark.parametrize("copies", [3, 200])
def test_copies_of_its_labels_neither_take_the_slots_of_a_class_nor_keep_it_from_resting(
    copies: int, pool: Pool, tiny: Path, tmp_path: Path
) -> None:
    finder, pointless = WantedTasks(embedder(tiny, tmp_path)), range(1000, 1000 + copies)
    for example in EXAMPLES[:IN_VAIN]:
        order = known({**{task: 1 - task / 1000 for task in range(example.id, 41)}, **dict.fromkeys(pointless, 1.0)})
        side = finder.side(pool, 1, order, [Want("refund", (), (900,), 30)], EVERY - 1, 2, pointless)
        assert stand(finder, side).tasks[0] == example.id
        answer(pool, example)
        answer(pool, EXAMPLES[-example.id])  # that was likely, too, and stood elsewhere
    assert finder.side(pool, 1, order, [Want("refund", (), (900,), 30)], EVERY - 1, 2, pointless).tasks == []


@pytest.mark.parametrize(("label", "end"), [("refund", IN_VAIN), (ANY, ENOUGH)])
def test_what_is_near_ends_where_the_pool_has_no_such_class(
    label: str, end: int, pool: Pool, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder, want = WantedTasks(embedder(tiny, tmp_path)), Want(label, LOOKED_FOR, (), None)
    monkeypatch.setattr(finder, "_near", lambda pool, want: [int(task) for task in pool.open_numbers(skipped=False)[0]])
    given = 0
    while tasks := stand(finder, finder.side(pool, 1, UNKNOWN, [want], EVERY - 1, 2)).tasks:
        answer(pool, EXAMPLES[tasks[0] - 1])
        given += 1
    assert given == end


def test_without_a_checkpoint_nothing_is_near(
    pool: Pool, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedder(tiny, tmp_path).embed(pool, 1, EXAMPLES)
    finder = WantedTasks(embedder(tmp_path / "none", tmp_path))
    assert finder.side(pool, 1, UNKNOWN, [Want("refund", LOOKED_FOR, (), 3)], 0, 12).tasks == []
    assert "nothing is known to be near what is looked for" in caplog.text


def test_a_want_is_of_a_label_of_the_config_or_of_none_and_counts_what_is_labelled() -> None:
    options = ProjectOptions(
        look_for={"": ("about money",), "refund": LOOKED_FOR, "gone": ("a",)}, class_targets={"weather": 2}
    )
    wants = wants_of(options, CONFIG, {1: "weather", 5: "refund", 6: "weather"})
    assert wants == [
        Want("", ("about money",), (), None),
        Want("refund", LOOKED_FOR, (5,), ENOUGH),
        Want("weather", (), (1, 6), 2),
    ]
    assert [want.met for want in wants] == [False, False, True]
    assert wants[1].progress() == {"labels": 1, "target": ENOUGH}
