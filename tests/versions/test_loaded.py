"""Versions in memory: loaded once, the ones used last kept, and safe among threads."""

import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.versions import EXAMPLES, make_card
from helpers.waiting import wait_until
from nextlabel.errors import NoModelError
from nextlabel.learning.strategies import entropy_nats
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.training import fit
from nextlabel.settings import Settings
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example
from nextlabel.versions.loaded import SLICE, LoadedVersions
from nextlabel.versions.registry import Registry

PROJECT = 1


@pytest.fixture(scope="module")
def fitted(tiny: Path) -> Classifier:
    recipe = Recipe(str(tiny), 2, 5e-4, 4, 32, seed=0, device="cpu", precision="fp32")
    return fit(recipe, ("pos", "neg"), EXAMPLES, np.array([0, 1, 1, 0]))


@pytest.fixture(scope="module")
def three(fitted: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MODEL_DIR with the same classifier as three versions. Not to be changed."""
    model_dir = tmp_path_factory.mktemp("three")
    for number in (1, 2, 3):
        Registry(model_dir).save(make_card(number), {}, fitted.save)
    return model_dir


@pytest.fixture
def registry(three: Path, tmp_path: Path) -> Registry:
    """The three versions, to be changed at will; links keep the copy cheap."""
    shutil.copytree(
        three, tmp_path, dirs_exist_ok=True, copy_function=lambda here, there: Path(there).hardlink_to(here)
    )
    return Registry(tmp_path)


def resident_of(registry: Registry, capacity: int = 2, niceness: int = 0) -> LoadedVersions:
    # Another strategy than the cards': a version keeps the strategy that its queue was published with.
    settings = Settings(_env_file=None, device="cpu", precision="fp32", query_strategy="least_confidence")
    return LoadedVersions(settings, registry, capacity, niceness=niceness)


def lose(registry: Registry, *numbers: int) -> None:
    """Take versions from the disk: whoever still answers for them has them in memory."""
    for number in numbers:
        shutil.rmtree(registry.path(PROJECT, make_card(number).version))


def test_it_says_what_the_classifier_says(registry: Registry, fitted: Classifier) -> None:
    scored = resident_of(registry).score(make_card(1), EXAMPLES, exact=True)
    probs_NC = fitted.predict_proba(EXAMPLES)
    assert np.array_equal(scored.probs_NC, probs_NC)
    assert np.allclose(scored.values_N, entropy_nats(probs_NC) / np.log(2))
    assert scored.examples == EXAMPLES


def test_the_versions_strategy_and_seed_decide_the_values(registry: Registry, fitted: Classifier) -> None:
    resident, probs_NC = resident_of(registry), fitted.predict_proba(EXAMPLES)
    margin = resident.score(replace(make_card(1), strategy="margin"), EXAMPLES, exact=True)
    assert np.allclose(margin.values_N, 1 - np.abs(probs_NC[:, 0] - probs_NC[:, 1]))
    random = replace(make_card(1), strategy="random")
    one, same, other = (resident.score(replace(random, seed=s), EXAMPLES, True).values_N for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_long_list_is_scored_in_slices_as_if_it_were_one(registry: Registry) -> None:
    many = [Example(i, EXAMPLES[i % 4].text) for i in range(SLICE + 2)]
    scored = resident_of(registry).score(make_card(1), many, exact=False)
    assert scored.examples == many
    assert scored.values_N.shape == (len(many),)
    assert np.allclose(scored.values_N, scored.values_N[np.arange(len(many)) % 4], atol=1e-5)


def test_a_prediction_is_an_exact_score_and_says_what_was_cut(registry: Registry) -> None:
    long = "day " * 40  # of 32 word pieces that are read
    many = [Example(i, long if i in (1, SLICE) else "good") for i in range(SLICE + 2)]
    resident = resident_of(registry)
    scored, truncated = resident.predict(make_card(1), many)
    assert np.array_equal(scored.probs_NC, resident.score(make_card(1), many, exact=True).probs_NC)
    assert np.flatnonzero(truncated).tolist() == [1, SLICE]
    assert resident.predict(make_card(1), [])[1] == []


def test_nothing_to_score_is_scored_as_nothing(registry: Registry) -> None:
    assert resident_of(registry).score(make_card(1), [], exact=True).probs_NC.shape == (0, 2)


def test_a_version_is_loaded_once(registry: Registry) -> None:
    resident = resident_of(registry)
    before = resident.score(make_card(1), EXAMPLES, exact=True)
    lose(registry, 1)
    assert np.array_equal(resident.score(make_card(1), EXAMPLES, exact=True).values_N, before.values_N)


def test_the_version_used_longest_ago_makes_room(registry: Registry) -> None:
    resident = resident_of(registry, capacity=2)
    for number in (1, 2, 1, 3):
        resident.score(make_card(number), EXAMPLES, exact=True)
    lose(registry, 1, 2, 3)
    resident.score(make_card(1), EXAMPLES, exact=True)
    resident.score(make_card(3), EXAMPLES, exact=True)
    with pytest.raises(NoModelError, match=make_card(2).version):
        resident.score(make_card(2), EXAMPLES, exact=True)


def test_a_version_that_cannot_be_loaded_is_named_and_makes_no_room(registry: Registry) -> None:
    resident = resident_of(registry, capacity=1)
    resident.score(make_card(1), EXAMPLES, exact=True)
    lose(registry, 1, 2)
    with pytest.raises(NoModelError, match=make_card(2).version):
        resident.score(make_card(2), EXAMPLES, exact=True)
    assert len(resident.score(make_card(1), EXAMPLES, exact=True).values_N) == len(EXAMPLES)


def test_a_version_that_comes_back_is_found(registry: Registry, three: Path) -> None:
    resident = resident_of(registry)
    lose(registry, 1)
    with pytest.raises(NoModelError):
        resident.score(make_card(1), EXAMPLES, exact=True)
    version = make_card(1).version
    shutil.copytree(Registry(three).path(PROJECT, version), registry.path(PROJECT, version))
    assert len(resident.score(make_card(1), EXAMPLES, exact=True).values_N) == len(EXAMPLES)


def test_a_kept_classifier_needs_no_disk_and_takes_the_place_of_its_projects_last(
    registry: Registry, fitted: Classifier
) -> None:
    lose(registry, 1, 2, 3)
    resident = resident_of(registry, capacity=2)
    resident.keep(make_card(1), fitted)
    assert np.array_equal(resident.score(make_card(1), EXAMPLES, True).probs_NC, fitted.predict_proba(EXAMPLES))
    resident.keep(make_card(2), fitted)
    with pytest.raises(NoModelError, match=make_card(1).version):
        resident.score(make_card(1), EXAMPLES, exact=True)


def test_many_threads_get_the_answers_that_one_gets(registry: Registry, fitted: Classifier) -> None:
    resident = resident_of(registry, capacity=1)  # versions push each other out all the time
    alone_N = [fitted.predict_proba([example])[0] for example in EXAMPLES]

    def ask(turn: int) -> bool:
        scored = resident.score(make_card(1 + turn % 2), [EXAMPLES[turn % 4]], exact=True)
        return bool(np.allclose(scored.probs_NC[0], alone_N[turn % 4], atol=1e-6))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(24)))


def test_requests_that_arrive_during_a_pass_share_the_next_one(registry: Registry, fitted: Classifier) -> None:
    """The first pass is held up until eight more requests wait, of two versions; one pass for each version is left."""
    sizes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    class Watched(Classifier):
        def predict_proba(self, examples: Sequence[Example], *rest: object) -> Array:
            sizes.append(len(examples))
            begun.set()
            assert go_on.wait(60)
            return super().predict_proba(examples, *rest)  # type: ignore[arg-type]

    resident = resident_of(registry)
    cards = make_card(1), replace(make_card(2), project=2)
    for each in cards:
        resident.keep(each, Watched(fitted.model, fitted.tokenizer, fitted.labels, fitted.device, fitted.precision))
    alone_N = [fitted.predict_proba([example])[0] for example in EXAMPLES]
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(resident.score, make_card(1), [EXAMPLES[0]], True)
        assert begun.wait(60)
        asked = [threads.submit(resident.score, cards[turn % 2], [EXAMPLES[turn // 2]], True) for turn in range(8)]
        wait_until(lambda: len(resident._waiting) == 8, "eight requests to wait")
        go_on.set()
        answers = [answer.result() for answer in asked]
    assert sizes == [1, 4, 4]
    assert np.allclose(first.result().probs_NC[0], alone_N[0], atol=1e-6)
    for turn, answer in enumerate(answers):
        assert answer.examples == [EXAMPLES[turn // 2]]
        assert np.allclose(answer.probs_NC[0], alone_N[turn // 2], atol=1e-6)


def test_all_passes_are_made_by_one_thread_which_lets_others_go_first(registry: Registry, fitted: Classifier) -> None:
    seen: set[tuple[int, int]] = set()

    class Watched(Classifier):
        def predict_proba(self, examples: Sequence[Example], *rest: object) -> Array:
            thread = threading.get_native_id()
            seen.add((thread, os.getpriority(os.PRIO_PROCESS, thread)))
            return super().predict_proba(examples, *rest)  # type: ignore[arg-type]

    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    resident = resident_of(registry, niceness=3)
    resident.keep(make_card(1), Watched(fitted.model, fitted.tokenizer, fitted.labels, fitted.device, fitted.precision))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda turn: resident.score(make_card(1), EXAMPLES, exact=True), range(16)))
    [(thread, niceness)] = seen
    assert thread != threading.get_native_id()
    assert niceness == mine + 3
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


def test_every_request_that_shared_a_failed_pass_hears_why(registry: Registry) -> None:
    resident = resident_of(registry)
    lose(registry, 1)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(resident.score, make_card(1), [example], True) for example in EXAMPLES]
        for answer in asked:
            with pytest.raises(NoModelError, match=make_card(1).version):
                answer.result()
    assert len(resident.score(make_card(2), EXAMPLES, exact=True).values_N) == len(EXAMPLES)
