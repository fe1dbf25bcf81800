"""When the head of a version is fitted again, to what, and which order it gives. With a real model, however small."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.house import CHOICES, CONFIG, POOL, PROJECT, RIGHT, TRAIN, WRONG, House
from nextlabel.errors import NotPossibleError
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.heads import EVERY, Head
from nextlabel.loop.copies import HOLD, learnt_from
from nextlabel.loop.fitting import LOOK_S, next_step
from nextlabel.loop.head_order import HeadOrder, Valued
from nextlabel.loop.heading import HeadMaker, differing
from nextlabel.loop.orders import StartOrder, VersionOrder
from nextlabel.settings import Settings, for_project
from nextlabel.store.pool import EXACT, FEATURES, Pool, pool_path
from nextlabel.store.state import FitState
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import ONE_OF, Cut, Layout, encoded
from nextlabel.values.options import LATEST, NO_OPTIONS, ProjectOptions
from nextlabel.values.queue import Published
from nextlabel.values.versions import Card, head_name, version_of
from nextlabel.versions import heads
from nextlabel.versions.download import zipped
from nextlabel.versions.judging import card_of as card_of_order

READING = parse_label_config(CONFIG)
COPIES = range(601, 601 + 2 * EVERY)


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    """With a version that keeps features."""
    found = House(tmp_path, tiny, head="on", query_strategy="margin")
    found.label(TRAIN, RIGHT)
    found.fit()
    yield found
    found.pool.__exit__()


def card_of(house: House) -> Card:
    return house.registry.card(PROJECT, house.active_version)


def labels_of(house: House) -> dict[int, str]:
    return house.pool.labels(READING.question, holdout=False)


def newest(house: House, others: int = 0) -> tuple[str, Head] | None:
    """As a trainer that was just started finds it."""
    return HeadMaker(house.registry, house.resident).newest(
        house.pool, card_of(house), READING, labels_of(house), others
    )


def order_of(house: House, name: str, head: Head) -> HeadOrder:
    card = card_of(house)
    return HeadOrder(
        house.pool, READING, card, name, head, lambda e: house.resident.predict(card, e, features=True), Valued()
    )


def features_by_hand(house: House, task_ids: list[int]) -> torch.Tensor:
    """What the classifier layer reads, by plain transformers."""
    path = house.registry.path(PROJECT, house.active_version)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    rows = []
    for example in house.pool.examples(task_ids):
        inputs = tokenizer(example.text, truncation=True, max_length=16, return_tensors="pt")
        with torch.no_grad():
            rows.append(model.bert(**inputs).pooler_output[0])
    return torch.stack(rows)


OTHER_ORDER = '<Choice value="neg"/><Choice value="pos"/>'
MORE = CONFIG.replace("</View>", '<Rating name="stars" toName="text"/></View>')


def carried_to(house: House, xml: str, answers: Mapping[int, str]) -> tuple[str, Head] | None:
    """What the order follows once the form is another one."""
    config = parse_label_config(xml, ProjectOptions(defaults=LATEST))
    return HeadMaker(house.registry, house.resident).newest(house.pool, card_of(house), config, answers, 0)


def solved(house: House, head: Head, begin: list[torch.Tensor]) -> torch.Tensor:
    """By an independent program the rows of a head whose question has one answer, around those that it begins with."""
    task_ids = sorted(head.known)
    features_ND = features_by_hand(house, task_ids).double()
    targets_N = torch.tensor([head.labels.index(head.known[task]) for task in task_ids])
    rows = [part.detach().clone().requires_grad_() for part in begin]
    solver = torch.optim.LBFGS(rows, max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        fit = torch.nn.functional.cross_entropy(features_ND @ rows[0].T + rows[1], targets_N, reduction="sum")
        prior = sum(((row - first) ** 2).sum() for row, first in zip(rows, begin, strict=True))
        total: torch.Tensor = fit + head.precision / 2 * prior
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]
    return rows[0].detach()


def fitted_rows(house: House) -> list[torch.Tensor]:
    """Of the version's checkpoint, by plain transformers."""
    path = house.registry.path(PROJECT, house.active_version)
    layer = AutoModelForSequenceClassification.from_pretrained(path).classifier.double()
    return [layer.weight.detach(), layer.bias.detach()]


def test_a_form_that_only_has_another_order_is_answered_at_once_without_a_fit(house: House) -> None:
    found = carried_to(house, CONFIG.replace(CHOICES, OTHER_ORDER), labels_of(house))
    assert found is not None
    name, head = found
    assert (name, head.labels) == (head_name(house.active_version, 1), ("neg", "pos"))
    turned = [part[[1, 0]] for part in fitted_rows(house)]
    np.testing.assert_allclose(head.layer.weights_CD, solved(house, head, turned).numpy(), atol=5e-3)
    house.configure(CONFIG.replace(CHOICES, OTHER_ORDER))
    assert house.look().reason == ""
    again = carried_to(house, CONFIG.replace(CHOICES, OTHER_ORDER), labels_of(house))
    assert again is not None
    assert again[0] == name, "nothing is new"


def test_a_label_that_is_added_is_in_the_order_with_its_first_answer(house: House) -> None:
    more = CONFIG.replace(CHOICES, f'<Choice value="odd"/>{CHOICES}')
    assert carried_to(house, more, labels_of(house)) is None, "nobody has given it: the version's own order will do"
    found = carried_to(house, more, {**labels_of(house), 201: "odd"})
    assert found is not None
    head = found[1]
    assert (head.labels, head.known[201]) == (("odd", "pos", "neg"), "odd")
    begin = [torch.cat([part.mean(dim=0, keepdim=True), part]) for part in fitted_rows(house)]
    np.testing.assert_allclose(head.layer.weights_CD, solved(house, head, begin).numpy(), atol=5e-3)
    house.configure(more)
    assert house.look().reason == "the project's labels changed"


def test_a_question_that_is_added_leaves_the_others_their_order(house: House) -> None:
    answers = {task: encoded({"label": (label,)}) for task, label in labels_of(house).items()}
    found = carried_to(house, MORE, answers)
    assert found is not None
    assert found[1].layout == Layout((Cut("label", ONE_OF, ("pos", "neg")),))
    assert found[1].known == answers
    plain = newest(house)
    assert plain is not None, "the form is as it was again"
    assert (plain[0], plain[1].layout) == (head_name(house.active_version, 2), None)
    np.testing.assert_array_equal(plain[1].layer.weights_CD, found[1].layer.weights_CD)


def test_of_a_form_of_which_a_version_knows_nothing_its_last_order_stands(house: House) -> None:
    other = CONFIG.replace("pos", "good").replace("neg", "bad")
    assert carried_to(house, other, {201: "good"}) is None
    found = carried_to(house, other, {201: "good", 202: "bad"})
    assert found is not None
    assert found[1].labels == ("good", "bad"), "what is at hand tells something"


def test_what_is_taken_away_meanwhile_answers_the_form_of_now(house: House, tmp_path: Path) -> None:
    from nextlabel.loop.leaving import source_of, write_checkpoint
    from nextlabel.versions.model_card import Owner

    more = CONFIG.replace(CHOICES, f'<Choice value="odd"/>{CHOICES}')
    found = carried_to(house, more, {**labels_of(house), 201: "odd"})
    assert found is not None
    source = source_of(house.settings, house.registry, PROJECT, house.active_version, of_audit=False)
    write_checkpoint(house.settings, house.registry, source, tmp_path / "exported", Owner())
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "exported")
    assert model.config.id2label == {0: "odd", 1: "pos", 2: "neg"}
    rows = model.classifier.weight.detach().numpy()
    np.testing.assert_array_equal(rows, found[1].layer.weights_CD.astype(np.float32))
    with pytest.raises(NotPossibleError, match="nextlabel export --project 1"):
        zipped(house.registry, PROJECT, house.active_version)
    order, left = order_of(house, *found), list(POOL)[1:]
    order.make_exact(left)
    logits_NC = model.double().classifier(features_by_hand(house, left).double()).detach()
    ranked = torch.softmax(logits_NC, dim=1).sort(dim=1).values
    expected = dict(zip(left, (1 - ranked[:, -1] + ranked[:, -2]).tolist(), strict=True))
    assert order.values(left) == pytest.approx(expected, abs=1e-5)
    card = card_of_order(house.registry, card_of(house), found[0])
    assert (card.labels, card.layout) == (("odd", "pos", "neg"), None)


def test_a_fit_keeps_what_the_last_layer_reads_of_the_pool_and_of_the_labelled(house: House) -> None:
    card = card_of(house)
    ids_N, features_ND = house.pool.vectors(FEATURES, card.version, [*TRAIN, *POOL])
    assert ids_N.tolist() == [*TRAIN, *POOL]
    assert features_ND.dtype == np.float16
    assert card.features == features_ND.shape[1]
    expected_ND = features_by_hand(house, [*TRAIN, *POOL]).numpy()
    np.testing.assert_allclose(features_ND.astype(np.float32), expected_ND, atol=1e-3)


def test_with_heads_off_none_are_kept(tmp_path: Path, tiny: Path) -> None:
    plain = House(tmp_path, tiny, head="off")
    plain.label(TRAIN, RIGHT)
    plain.fit()
    assert card_of(plain).features == 0
    assert not len(plain.pool.vectors(FEATURES, plain.active_version, [*TRAIN, *POOL])[0])
    plain.pool.__exit__()


def test_a_head_comes_with_a_few_labels_and_knows_them_all(house: House) -> None:
    assert newest(house) is None, "the version knows all labels"
    house.label(range(201, 201 + EVERY - 1), RIGHT)
    assert newest(house) is None, "too few"
    house.label(range(201, 201 + EVERY), RIGHT)
    found = newest(house)
    assert found is not None
    name, head = found
    assert name == head_name(house.active_version, 1)
    assert version_of(name) == house.active_version
    assert head.known == labels_of(house)
    again = newest(house)
    assert again is not None
    assert again[0] == name, "nothing is new"
    house.label(range(201, 201 + EVERY), WRONG)
    changed = newest(house)
    assert changed is not None
    assert changed[0] == head_name(house.active_version, 2)
    assert changed[1].known == labels_of(house)


def test_the_rows_of_a_head_are_those_of_all_labels_by_an_independent_solver(house: House) -> None:
    house.label(range(201, 201 + EVERY), RIGHT)
    found = newest(house)
    assert found is not None
    expected = solved(house, found[1], fitted_rows(house))
    np.testing.assert_allclose(found[1].layer.weights_CD, expected.numpy(), atol=5e-3)


def test_with_more_annotators_a_head_waits_for_more_labels(house: House) -> None:
    house.label(range(201, 201 + EVERY), RIGHT)
    assert newest(house, others=9) is None
    house.label(range(201, 201 + EVERY + 4), RIGHT)
    assert newest(house, others=9) is not None


def test_a_switch_of_version_forgets_no_label_that_the_head_before_knew(house: House) -> None:
    house.label(range(201, 209), RIGHT)
    before = card_of(house)
    house.fit()
    assert house.active_version != before.version
    maker, came_meanwhile = HeadMaker(house.registry, house.resident), EVERY - 2
    house.label(range(209, 209 + came_meanwhile), RIGHT)
    last = maker.newest(house.pool, before, READING, labels_of(house), 0)
    assert last is not None
    card, labels = card_of(house), labels_of(house)
    assert maker.newest(house.pool, card, READING, labels, 0, followed=before.version) is not None
    name, head = maker.newest(house.pool, card, READING, labels, 0, followed=last[0]) or ("", last[1])
    assert name == head_name(card.version, 1)
    assert head.known == last[1].known == labels


def test_labels_without_features_get_them(house: House) -> None:
    imported = range(301, 301 + EVERY)
    house.label(imported, RIGHT)
    assert newest(house) is not None
    assert house.pool.vectors(FEATURES, house.active_version, list(imported))[0].tolist() == list(imported)


def test_the_order_of_a_head_is_that_of_its_own_probabilities(house: House) -> None:
    house.label(range(201, 201 + EVERY), WRONG)
    found = newest(house)
    assert found is not None
    order, left = order_of(house, *found), list(POOL)[EVERY:]
    assert order.make_exact(left)
    assert not order.make_exact(left), "they are exact"
    logits_NC = features_by_hand(house, left).double() @ torch.from_numpy(found[1].layer.weights_CD).T
    assert found[1].layer.bias_C is not None
    probs_NC = torch.softmax(logits_NC + torch.from_numpy(found[1].layer.bias_C), dim=1)
    expected = {task: 1 - float(p.max() - p.min()) for task, p in zip(left, probs_NC, strict=True)}
    ranked = order.ranked(len(left), skipped=False)
    in_order = [expected[task.task_id] for task in ranked]  # some are equal but for rounding
    assert in_order == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-6)
    assert {task.task_id: task.value for task in ranked} == pytest.approx(expected, abs=1e-5)
    assert order.values([*left, 201]) == {task.task_id: task.value for task in ranked}, "201 is labelled"
    value, prediction = order.prediction(left[0]) or (None, {})
    assert value == pytest.approx(expected[left[0]], abs=1e-5)
    assert prediction["model_version"] == found[0]
    said = prediction["result"][0]["meta"]["probabilities"]
    assert list(said.values()) == pytest.approx(probs_NC[0].tolist(), abs=1e-5)
    assert order.prediction(201) is None
    chances = order.chances("neg")
    assert chances is not None
    expected = dict(zip(left, probs_NC[:, found[1].labels.index("neg")].tolist(), strict=True))
    assert dict(zip(chances[0].tolist(), chances[1].tolist(), strict=True)) == pytest.approx(expected, abs=1e-5)
    assert order.chances("gone") is None
    assert order.ranked(3, skipped=False) == ranked[:3]
    assert order.ranked(3, skipped=True) == []


def test_in_bf16_what_is_shown_is_what_the_rows_on_disk_say_of_it(tmp_path: Path, tiny: Path) -> None:
    house = House(tmp_path, tiny, head="on", query_strategy="margin", precision="bf16")
    house.label(TRAIN, RIGHT)
    house.fit()
    house.label(range(201, 201 + EVERY), WRONG)
    name, _ = newest(house) or ("", None)
    saved = heads.named(house.registry.path(PROJECT, house.active_version), name)
    order, shown = order_of(house, name, saved), house.pool.open_ids()[:EVERY]
    assert order.make_exact(shown)
    weights_CD, bias_C = torch.tensor(saved.layer.weights_CD), torch.tensor(saved.layer.bias_C)
    probs_NC = torch.softmax(features_by_hand(house, shown).double() @ weights_CD.T + bias_C, dim=1).numpy()
    for task, probs_C in zip(shown, probs_NC, strict=True):
        _, prediction = order.prediction(task) or (0.0, {})
        said = prediction["result"][0]["meta"]["probabilities"]
        assert list(said.values()) == pytest.approx(probs_C.tolist(), abs=1e-5)
    house.pool.__exit__()


def test_the_chances_of_a_version_are_those_that_it_was_scored_with_but_of_what_somebody_skipped(house: House) -> None:
    card = card_of(house)
    order = VersionOrder(house.pool, READING, card, lambda e: house.resident.predict(card, e, features=True))
    house.pool._db.execute("UPDATE task SET skipped = 1 WHERE id = 230")
    chances = order.chances("pos")
    assert chances is not None
    assert set(chances[0].tolist()) == set(POOL) - {230}
    column = card.labels.index("pos")
    for task, chance in zip(chances[0].tolist(), chances[1].tolist(), strict=True):
        said = house.pool.candidate(card.version, task)
        assert said is not None
        assert said.probs_C[column] == chance
    assert order.chances("gone") is None
    assert StartOrder(house.pool, "start").chances("pos") is None


def test_an_edited_text_leaves_the_order_until_it_has_features(house: House) -> None:
    house.label(range(201, 201 + EVERY), RIGHT)
    found = newest(house)
    assert found is not None
    order = order_of(house, *found)
    assert 230 in order.values(list(POOL))
    text = house.pool.examples([230])[0].text
    house.pool._db.execute("UPDATE task SET text = ?, number = 999 WHERE id = 230", (f"{text}, edited",))
    assert 230 not in order.values(list(POOL))
    assert order.make_exact([230])
    assert 230 in order.values(list(POOL))
    assert house.pool.vectors(EXACT, house.active_version, [230])[0].tolist() == [230]


def test_only_the_newest_heads_are_kept_and_a_damaged_one_is_stood_in_for(house: House) -> None:
    for last in range(1, 6):
        house.label(range(201, 201 + EVERY * last), RIGHT)
        assert newest(house) is not None
    path = house.registry.path(PROJECT, house.active_version)
    assert sorted(file.name for file in (path / "heads").iterdir()) == ["3.npz", "4.npz", "5.npz"]
    (path / "heads" / "5.npz").write_bytes(b"no head")
    found = heads.newest(path)
    assert found is not None
    assert found[0] == head_name(house.active_version, 4)
    assert not house.registry.damage(PROJECT, house.active_version)


def test_the_name_of_a_head_that_was_deleted_is_not_given_again(house: House) -> None:
    house.label(range(201, 201 + EVERY), RIGHT)
    name, _ = newest(house) or ("", None)
    house.pool.note_published(Published(1, 230, name, 0.5), Published(2, 229, "nextlabel-9.7-20260101T000000", 0.5))
    for file in (house.registry.path(PROJECT, house.active_version) / "heads").glob("*.npz"):
        file.unlink()
    found = newest(house)
    assert found is not None
    assert found[0] == head_name(house.active_version, 2)


def test_values_are_those_of_the_head_itself_whatever_its_name(house: House) -> None:
    house.label(range(201, 201 + EVERY), RIGHT)
    name, right = newest(house) or ("", None)
    house.label(range(201, 201 + 2 * EVERY), WRONG)
    _, wrong = newest(house) or ("", None)
    assert right is not None
    assert wrong is not None
    valued, card = Valued(), card_of(house)

    def values(head: Head, known: Valued) -> dict[int, float]:
        order = HeadOrder(house.pool, READING, card, name, head, lambda e: house.resident.predict(card, e), known)
        return order.values(house.pool.open_ids())

    assert values(right, valued) != values(wrong, valued)
    assert values(wrong, valued) == values(wrong, Valued())


def test_a_version_of_labelled_copies_gets_no_head_without_a_new_label(house: House) -> None:
    same = [TaskRow(i, Example(i, "yes, the same"), False, True, False, 1, (Vote("pos", False, ""),)) for i in COPIES]
    house.pool.upsert(same)
    house.fit()

    def newest_of_fitted() -> tuple[str, Head] | None:
        fitted = {example.id: label for example, label in learnt_from(house.pool, READING.question, HOLD).to_fit}
        maker = HeadMaker(house.registry, house.resident)
        return maker.newest(house.pool, card_of(house), READING, fitted, 0)

    assert house.registry.fitted_labels(PROJECT, house.active_version).keys() >= set(COPIES)
    assert newest_of_fitted() is None
    house.label(range(201, 201 + EVERY), RIGHT)
    assert newest_of_fitted() is not None


def test_a_version_of_copies_that_contradict_each_other_gets_no_head_without_a_new_label(house: House) -> None:
    """The first copy of each is in the minority, so that it is fitted on with another label than its own."""
    for group in range(EVERY):
        said = [("neg", 0), ("pos", 1), ("pos", 2)]
        house.pool.upsert(
            TaskRow(
                i, Example(i, f"yes, group {group}"), False, True, False, 1, (Vote(label, False, f"2026-11-30T0{at}"),)
            )
            for label, at in said
            for i in [601 + 3 * group + at]
        )
    house.fit()
    assert house.registry.fitted_labels(PROJECT, house.active_version)[601] == "neg"

    def newest_of_fitted() -> tuple[str, Head] | None:
        fitted = {example.id: label for example, label in learnt_from(house.pool, READING.question, HOLD).to_fit}
        assert fitted[601] == "pos"
        maker = HeadMaker(house.registry, house.resident)
        return maker.newest(house.pool, card_of(house), READING, fitted, 0)

    assert newest_of_fitted() is None
    house.label(range(201, 201 + EVERY), RIGHT)
    assert newest_of_fitted() is not None


def test_a_version_is_exported_with_the_rows_of_its_newest_head(house: House, tmp_path: Path) -> None:
    from nextlabel.loop.leaving import source_of, write_checkpoint
    from nextlabel.versions.model_card import Owner

    house.label(range(201, 201 + EVERY), WRONG)
    found = newest(house)
    assert found is not None
    out = tmp_path / "exported"
    source = source_of(house.settings, house.registry, PROJECT, house.active_version, of_audit=False)
    assert source.name == found[0]
    write_checkpoint(house.settings, house.registry, source, out, Owner())
    layer = AutoModelForSequenceClassification.from_pretrained(out).classifier
    np.testing.assert_array_equal(layer.weight.detach().numpy(), found[1].layer.weights_CD.astype(np.float32))


def test_labels_that_are_in_one_alone_or_others_differ() -> None:
    assert differing({1: "a", 2: "b"}, {1: "a", 2: "b"}) == 0
    assert differing({1: "a", 2: "b", 3: "a"}, {1: "a", 2: "a", 4: "a"}) == 3


# The schedule of fits


@pytest.mark.parametrize(
    ("schedule", "fit_every", "fitted", "step"),
    [
        ("8,16,32,64", 64, 0, 8), ("8,16,32,64", 64, 8, 8), ("8,16,32,64", 64, 20, 12), ("8,16,32,64", 64, 64, 64),
        ("8,16,32,64", 64, 100, 64), ("8,16,32,64", 4, 0, 4), ("8,16,32,64", 20, 32, 20), ("off", 64, 0, 64),
        ("100", 64, 0, 64),
    ],
)  # fmt: skip
def test_fits_come_early_and_then_with_every_so_many_labels(
    schedule: str, fit_every: int, fitted: int, step: int
) -> None:
    settings = Settings(_env_file=None, fit_schedule=schedule, fit_every=fit_every)
    assert next_step(for_project(settings, NO_OPTIONS), fitted) == step


def test_a_fit_is_given_up_once_for_one_that_knows_more_than_twice_the_labels(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, tiny, fit_schedule="8,16", fit_steps=30)
    house.label(range(1, 11), RIGHT)
    real, fits = house.board.put_fit, list[int]()

    def tell(project: int, now: float, **changes: object) -> None:
        """As each fit begins, the labels become three times as many."""
        real(project, now, **changes)
        if (changes.get("stage"), changes.get("done")) == ("fit", 0):
            with Pool(pool_path(tmp_path, PROJECT)) as pool:  # in the thread of the fit
                fits.append(len(pool.labels(READING.question, holdout=False)))
                house.label(range(1, 1 + 3 * fits[-1]), RIGHT, pool=pool)
            house.now += LOOK_S + 1

    monkeypatch.setattr(house.board, "put_fit", tell)
    assert house.fit() == "", "given up"
    assert house.pool.state(FitState).given_up
    assert (house.board.fit(PROJECT).state, house.board.fit(PROJECT).failures) == ("idle", 0)
    assert "was given up" in house.board.fit(PROJECT).message
    assert house.fit() != "", "not twice in a row"
    assert not house.pool.state(FitState).given_up
    assert fits == [10, 30]
    house.pool.__exit__()
