"""Nothing of the control set gets into a file of a version: all bytes and arrays are searched for its ids."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.house import CONFIG, PROJECT, RIGHT, House
from helpers.kept_out import found_in
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.control import Control
from nextlabel.learning.heads import EVERY
from nextlabel.loop.heading import HeadMaker
from nextlabel.loop.history import Historian, InForce
from nextlabel.loop.marks import begin
from nextlabel.loop.orders import keep
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import encoded
from nextlabel.values.options import LATEST, ProjectOptions

# Ids that nothing else in a file can be taken for.
LEARNT, OF_HEAD = range(731_000_001, 731_000_025), range(731_000_101, 731_000_101 + EVERY)
CONTROL = range(842_000_001, 842_000_013)
FORM = (
    '<View><Text name="t" value="$text"/><Choices name="topic" toName="t"><Choice value="pos"/><Choice value="neg"/>'
    '</Choices><Choices name="tags" toName="t" choice="multiple"><Choice value="yes"/><Choice value="odd"/>'
    "</Choices></View>"
)
TO_FORM = {
    word: encoded({"topic": (label,), "tags": ("yes",) if word == "yes" else ()}) for word, label in RIGHT.items()
}


def control_row(task: int, by: dict[str, str]) -> TaskRow:
    word = ("yes", "no")[task % 2]
    example, votes = Example(task, f"{word}, {word}, number {task}"), (Vote(by[word], False, ""),)
    return TaskRow(task, example, False, True, False, 1, votes, draw=f"{task:064x}")


@pytest.mark.parametrize(("config", "by"), [(CONFIG, RIGHT), (FORM, TO_FORM)], ids=["one question", "a form"])
def test_no_file_of_any_version_holds_the_id_of_a_control_task(
    tmp_path: Path, tiny: Path, config: str, by: dict[str, str]
) -> None:
    options = ProjectOptions(defaults=LATEST)
    house = House(tmp_path, tiny, head="on", query_strategy="margin")
    house.registry.know(PROJECT)
    house.registry.put_options(PROJECT, options)
    house.configure(config)
    reading = replace(parse_label_config(config, options), control=Control("a seed", 0.1))
    begin(house.pool, reading, asked_before=False)
    house.pool.upsert(control_row(task, by) for task in CONTROL)
    house.label(LEARNT, by)
    house.fit()
    card = house.registry.card(PROJECT, house.active_version)
    keep(house.pool, card.version, house.resident.score(card, house.pool.unscored(card.version), False, features=True))
    house.label(OF_HEAD, by)
    labels = house.pool.labels(reading.question, holdout=False)
    head = HeadMaker(house.registry, house.resident).newest(house.pool, card, reading, labels, 0)
    assert head is not None
    historian = Historian(house.registry, house.board)
    for order, known in ((card.version, len(LEARNT)), (head[0], len(LEARNT) + EVERY)):
        historian.look(house.pool, PROJECT, reading, InForce(order, card, known), anew=True)
    home = house.registry.home(PROJECT)
    learnt = found_in(home, LEARNT)
    assert {"labels.json", "1.npz"} <= learnt, "the search finds what is there"
    assert "history.jsonl" not in learnt
    assert (home / "history.jsonl").read_text().count('"order"') >= 1, "what is said of the set is kept by its draws"
    assert found_in(home, CONTROL) == set()
    house.pool.__exit__()
