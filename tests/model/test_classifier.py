"""A classifier: fitted the same way twice, saved for plain transformers, indifferent to batches, honest about files."""

import gc
import math
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, RobertaConfig
from transformers import RobertaForSequenceClassification as Roberta

from helpers.paths import ROOT
from nextlabel.errors import BadSettingError, NoMemoryError, NoModelError
from nextlabel.learning.strategies import entropy_nats
from nextlabel.model.checkpoints import identity
from nextlabel.model.classifier import Classifier, Recipe, load, load_base, package_versions
from nextlabel.model.tokens import TokenCache, Tokens
from nextlabel.model.training import _Step, fit
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example
from nextlabel.values.layout import ANY_OF, ORDERED, Cut, Layout, encoded

LABELS = ("paraphrase", "different 🙂")
MAX_LENGTH = 64
PAIRS = [Example(pair.row, pair.sentence1, pair.sentence2) for pair in own_pairs().train[:112]]
TEXTS = [replace(example, pair=None) for example in PAIRS]
TARGETS_N = np.array([int(pair.label != "paraphrase") for pair in own_pairs().train[:12]])


@pytest.fixture(scope="module")
def recipe(minilm: Path) -> Recipe:
    return Recipe(str(minilm), 3, 5e-4, 6, MAX_LENGTH, seed=0, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def fitted(recipe: Recipe) -> Classifier:
    """Fitted on twelve pairs. Not to be changed."""
    return fit(recipe, LABELS, PAIRS[:12], TARGETS_N)


@pytest.fixture(scope="module")
def saved(fitted: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the fitted classifier. Not to be changed."""
    directory = tmp_path_factory.mktemp("saved")
    fitted.save(directory)
    return directory


# Fitting


def test_the_same_arguments_give_the_same_probabilities(recipe: Recipe, fitted: Classifier) -> None:
    again = fit(recipe, LABELS, PAIRS[:12], TARGETS_N)
    assert np.array_equal(again.predict_proba(PAIRS[:8]), fitted.predict_proba(PAIRS[:8]))


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 1e-4}, {"steps": 2}], ids=str)
def test_another_recipe_gives_another_classifier(change: dict[str, Any], recipe: Recipe, fitted: Classifier) -> None:
    other = fit(replace(recipe, **change), LABELS, PAIRS[:12], TARGETS_N)
    assert not np.allclose(other.predict_proba(PAIRS[:8]), fitted.predict_proba(PAIRS[:8]), atol=1e-4)


def test_the_seed_decides_the_new_head_too(recipe: Recipe) -> None:
    unmoved = replace(recipe, steps=1, learning_rate=1e-12)
    first, second = (fit(replace(unmoved, seed=s), LABELS, PAIRS[:2], TARGETS_N[:2]) for s in (1, 2))
    assert not np.allclose(first.predict_proba(PAIRS[:8]), second.predict_proba(PAIRS[:8]), atol=1e-4)


def test_a_fit_learns_its_examples_and_tells_its_progress(recipe: Recipe) -> None:
    told: list[tuple[int, int]] = []
    texts = [Example(i, text) for i, text in enumerate(["good", "bad", "very good", "very bad"])]
    classifier = fit(
        replace(recipe, steps=8),
        ("+", "-"),
        texts,
        np.array([0, 1, 0, 1]),
        lambda done, total: told.append((done, total)),
    )
    assert told == [(step, 8) for step in range(9)]
    assert classifier.predict_proba(texts).argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert not classifier.model.training, "dropout would make its answers differ"


def test_a_fit_ends_early_once_it_has_converged_each_time_after_the_same_step(recipe: Recipe) -> None:
    texts = [Example(i, text) for i, text in enumerate(["good", "bad", "very good", "very bad"])]
    long = replace(recipe, steps=400, stop_loss=0.2)
    told: list[list[tuple[int, int]]] = [[], []]

    def fitted_once(run: int) -> Classifier:
        return fit(long, ("+", "-"), texts, np.array([0, 1, 0, 1]), lambda done, total: told[run].append((done, total)))

    first, second = fitted_once(0), fitted_once(1)
    steps = told[0][-1][0]
    assert 8 < steps < 200
    assert told[0] == told[1]
    assert told[0][-1] == (steps, steps)
    assert told[0][1] == (1, 400)
    assert np.array_equal(first.predict_proba(texts), second.predict_proba(texts))
    assert first.predict_proba(texts).argmax(axis=1).tolist() == [0, 1, 0, 1]


def test_no_fit_ends_before_it_has_seen_its_texts_five_times(recipe: Recipe) -> None:
    told: list[int] = []
    soon = replace(recipe, steps=100, batch_size=1, stop_loss=100.0)
    fit(soon, LABELS, PAIRS[:8], TARGETS_N[:8], lambda done, total: told.append(done))
    assert told[-1] == 40 + 8  # five epochs, and a fifth of that to come down


def test_labels_that_count_less_end_no_fit_before_it_has_learnt_them(recipe: Recipe) -> None:
    told: list[int] = []
    unmoved = replace(recipe, steps=24, learning_rate=1e-12, stop_loss=0.4)
    lighter_N = np.full(8, 0.1)
    fit(unmoved, LABELS, PAIRS[:8], TARGETS_N[:8], lambda done, total: told.append(done), weights_N=lighter_N)
    assert told[-1] == 24, "the mean loss of its texts is as high as at first"


def test_a_fit_leaves_nothing_of_its_optimiser_in_memory(recipe: Recipe) -> None:
    gc.collect()
    gc.disable()  # else it might come to the rescue
    try:
        classifier = fit(recipe, LABELS, PAIRS[:12], TARGETS_N)
        left = [found for found in gc.get_objects() if type(found) is torch.optim.AdamW]
    finally:
        gc.enable()
    assert classifier.labels == LABELS
    assert left == [], "it holds twice as much as the weights"


def test_three_classes_are_learned_and_named(recipe: Recipe) -> None:
    labels = ("pos", "neg", "mixed")
    texts = [Example(i, text) for i, text in enumerate(["good", "bad", "so-so"])]
    classifier = fit(replace(recipe, steps=8), labels, texts, np.arange(3))
    probs_NC = classifier.predict_proba(texts)
    assert probs_NC.shape == (3, 3)
    assert classifier.labels == labels
    assert probs_NC.argmax(axis=1).tolist() == [0, 1, 2]


def test_a_fit_in_bf16_is_close_to_one_in_fp32_and_keeps_fp32_weights(recipe: Recipe, fitted: Classifier) -> None:
    mixed = fit(replace(recipe, precision="bf16"), LABELS, PAIRS[:12], TARGETS_N)
    assert {weight.dtype for weight in mixed.model.parameters()} == {torch.float32}
    difference_N = np.abs(mixed.predict_proba(PAIRS) - fitted.predict_proba(PAIRS)).max(axis=1)
    assert 0 < difference_N.max() < 0.2


def test_a_length_beyond_the_models_positions_is_refused(recipe: Recipe) -> None:
    with pytest.raises(BadSettingError, match=r"The maximum length 513 is more than .* can read: 512 at most"):
        fit(replace(recipe, max_length=513), LABELS, PAIRS[:2], TARGETS_N[:2])


def small_roberta(directory: Path, tokenizer: Any) -> Path:
    """A checkpoint whose first position is 2, as in every RoBERTa: of its 34 positions it can use 32."""
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        pad_token_id=1,
    )
    Roberta(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.mark.parametrize(
    "max_length",
    [
        32,
        33,
    ],
)
def test_a_roberta_reads_two_pieces_less_than_it_has_positions(
    max_length: int, recipe: Recipe, fitted: Classifier, tmp_path: Path
) -> None:
    small = replace(recipe, base_model=str(small_roberta(tmp_path, fitted.tokenizer)), max_length=max_length, steps=1)
    long = [Example(0, "word " * 100), Example(1, "short")]
    if max_length > 32:
        with pytest.raises(BadSettingError, match="can read: 32 at most"):
            fit(small, LABELS, long, np.array([0, 1]))
    else:
        assert fit(small, LABELS, long, np.array([0, 1])).predict_proba(long).shape == (2, 2)


def test_a_base_checkpoint_that_was_fitted_on_other_labels_gets_a_new_head(recipe: Recipe, saved: Path) -> None:
    three = fit(replace(recipe, base_model=str(saved), steps=1), ("a", "b", "c"), PAIRS[:3], np.arange(3))
    assert three.predict_proba(PAIRS[:2]).shape == (2, 3)
    assert three.model.config.id2label == {0: "a", 1: "b", 2: "c"}


# Predicting


def test_probabilities_are_probabilities(fitted: Classifier) -> None:
    probs_NC = fitted.predict_proba(PAIRS[:20])
    assert probs_NC.shape == (20, 2)
    assert probs_NC.dtype == np.float64
    assert np.allclose(probs_NC.sum(axis=1), 1, atol=1e-12)
    assert probs_NC.min() > 0
    assert fitted.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("examples", [PAIRS, TEXTS], ids=["pairs", "texts"])
def test_an_examples_probabilities_do_not_depend_on_its_company(examples: list[Example], fitted: Classifier) -> None:
    together_NC = fitted.predict_proba(examples[:40])
    assert len({tuple(row) for row in together_NC.round(5)}) > 20, "the examples differ"
    reversed_NC = fitted.predict_proba(examples[:40][::-1])[::-1]
    alone_NC = np.vstack([fitted.predict_proba([example]) for example in examples[:10]])
    with_a_long_one_NC = fitted.predict_proba([Example(0, "long " * 60, "pair"), *examples[:10]])[1:]
    assert np.allclose(reversed_NC, together_NC, atol=1e-6)
    assert np.allclose(alone_NC, together_NC[:10], atol=1e-6)
    if examples is PAIRS:
        assert np.allclose(with_a_long_one_NC, together_NC[:10], atol=1e-6)


def test_the_second_text_counts(fitted: Classifier) -> None:
    one, other = fitted.predict_proba([PAIRS[0], replace(PAIRS[0], pair="Something else altogether.")])
    swapped, single = fitted.predict_proba([Example(0, PAIRS[0].pair or "", PAIRS[0].text), TEXTS[0]])
    assert min(np.abs(one - other).max(), np.abs(one - swapped).max(), np.abs(one - single).max()) > 1e-4


def test_what_is_longer_than_the_limit_is_cut(fitted: Classifier) -> None:
    words = " ".join(["word"] * 100)
    long, longer = fitted.predict_proba([Example(0, words), Example(1, words + " and a very different end" * 50)])
    assert np.allclose(long, longer, atol=1e-6)
    cut = fitted.predict_proba([Example(0, " ".join(["word"] * (MAX_LENGTH - 2)))])[0]  # [CLS] and [SEP] count
    assert np.allclose(long, cut, atol=1e-6)
    shorter = fitted.predict_proba([Example(0, " ".join(["word"] * (MAX_LENGTH - 3)))])[0]
    assert not np.allclose(long, shorter, atol=1e-6)


def test_of_a_pair_the_longer_text_is_cut(fitted: Classifier) -> None:
    words = " ".join(["word"] * 100)
    known, other = fitted.predict_proba([Example(0, words, "a short end"), Example(0, words, "another end")])
    assert not np.allclose(known, other, atol=1e-5), "the short text is read to its end"


MIXED = [example if i % 3 else replace(example, pair=None) for i, example in enumerate(PAIRS[:24])]
MIXED += [Example(900, "Not empty", ""), Example(901, "Not empty"), Example(902, "", "Not empty")]


def test_texts_and_pairs_beside_each_other_are_each_read_as_themselves(saved: Path) -> None:
    classifier = load(saved, "cpu", "fp32")
    tokenizer, model = AutoTokenizer.from_pretrained(saved), AutoModelForSequenceClassification.from_pretrained(saved)
    expected = []
    for example, probs_C, counted in zip(
        MIXED, classifier.predict_proba(MIXED), classifier.token_counts(MIXED), strict=True
    ):
        texts = (example.text,) if example.pair is None else (example.text, example.pair)
        inputs = tokenizer(*texts, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            expected.append(torch.softmax(model(**inputs).logits[0], dim=0).numpy())
        assert counted == inputs["input_ids"].shape[1]
        assert probs_C == pytest.approx(expected[-1], abs=1e-5)
    assert len({tuple(row.round(5)) for row in expected}) > 20, "they differ"


@pytest.mark.parametrize(("examples", "calls"), [(PAIRS, 1), (TEXTS, 1), (MIXED, 2)], ids=["pairs", "texts", "mixed"])
def test_only_a_mixture_is_tokenised_in_two_parts(
    examples: list[Example], calls: int, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, asked = load(saved, "cpu", "fp32"), list[int]()
    alike = classifier._tokenise_alike

    def noted(some: Sequence[Example], cut: bool) -> Any:
        asked.append(len(some))
        return alike(some, cut)

    monkeypatch.setattr(classifier, "_tokenise_alike", noted)
    together = classifier.encode(examples)
    assert len(asked) == calls
    for i, example in enumerate(examples):
        alone, row = classifier.encode([example]), together[np.array([i])]
        assert (alone.ids_M.tolist(), alone.types_M.tolist()) == (row.ids_M.tolist(), row.types_M.tolist())


def test_a_mixture_is_learnt_and_cut_and_marked_as_truncated(recipe: Recipe) -> None:
    long = "word " * 100
    examples = [Example(0, "good"), Example(1, "bad", "very"), Example(2, long), Example(3, long, "end")]
    classifier = fit(recipe, LABELS, examples, np.array([0, 1, 0, 1]))
    assert classifier.truncated(examples) == [False, False, True, True]
    assert classifier.token_counts(examples).tolist() == [3, 5, MAX_LENGTH, MAX_LENGTH]
    assert classifier.embed(examples).shape == (4, 384)


def ranks(values_N: Array) -> Array:
    return values_N.argsort().argsort().astype(np.float64)


def test_the_fast_precision_ranks_like_the_exact_one(saved: Path) -> None:
    classifier = load(saved, "cpu", "bf16")
    exact_NC, fast_NC = classifier.predict_proba(PAIRS), classifier.predict_proba(PAIRS, exact=False)
    assert 0 < np.abs(exact_NC - fast_NC).max() < 0.02
    spearman = np.corrcoef(ranks(entropy_nats(exact_NC)), ranks(entropy_nats(fast_NC)))[0, 1]
    assert spearman > 0.99


def test_exact_means_fp32_whatever_the_precision(saved: Path, fitted: Classifier) -> None:
    assert np.array_equal(load(saved, "cpu", "bf16").predict_proba(PAIRS[:8]), fitted.predict_proba(PAIRS[:8]))
    only_fp32 = load(saved, "cpu", "fp32")
    assert np.array_equal(only_fp32.predict_proba(PAIRS[:8], exact=False), fitted.predict_proba(PAIRS[:8]))


def test_dropout_passes_differ_repeat_with_the_seed_and_leave_the_classifier_as_it_was(fitted: Classifier) -> None:
    before = fitted.predict_proba(PAIRS[:6])
    state = torch.random.get_rng_state()
    probs_NKC = fitted.sample_proba(PAIRS[:6], passes=4, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert probs_NKC.shape == (6, 4, 2)
    assert np.allclose(probs_NKC.sum(axis=2), 1)
    assert len(np.unique(probs_NKC[:, :, 0], axis=1)[0]) == 4  # every pass drops other units
    assert np.array_equal(probs_NKC, fitted.sample_proba(PAIRS[:6], passes=4, seed=3))
    assert not np.array_equal(probs_NKC, fitted.sample_proba(PAIRS[:6], passes=4, seed=4))
    assert np.array_equal(before, fitted.predict_proba(PAIRS[:6]))


def test_embeddings_are_the_mean_hidden_state_of_each_example_alone(saved: Path, fitted: Classifier) -> None:
    vectors_ND = fitted.embed(PAIRS[:4])
    assert vectors_ND.shape == (4, 384)
    assert np.allclose(np.linalg.norm(vectors_ND, axis=1), 1)
    tokenizer, model = AutoTokenizer.from_pretrained(saved), AutoModelForSequenceClassification.from_pretrained(saved)
    for example, vector_D in zip(PAIRS[:4], vectors_ND, strict=True):
        with torch.no_grad():
            inputs = tokenizer(example.text, example.pair, return_tensors="pt")
            hidden_TD = model.eval().bert(**inputs).last_hidden_state[0]
        expected_D = torch.nn.functional.normalize(hidden_TD.mean(dim=0), dim=0).numpy()
        assert np.allclose(vector_D, expected_D, atol=1e-5)
    assert fitted.embed([]).shape == (0, 384)


def test_the_base_checkpoint_embeds_like_things_alike(recipe: Recipe) -> None:
    cat, kitten, bank = load_base(recipe).embed(
        [
            Example(i, text)
            for i, text in enumerate(["A cat sleeps.", "A kitten is asleep.", "The bank raised its rates."])
        ]
    )
    assert cat @ kitten > 0.5 > cat @ bank


def test_a_checkpoint_is_the_same_wherever_it_lies_and_another_with_other_weights(saved: Path, tmp_path: Path) -> None:
    here, there = shutil.copytree(saved, tmp_path / "a" / "x"), shutil.copytree(saved, tmp_path / "b" / "x")
    assert identity(str(here)) == identity(str(there))
    with (there / "model.safetensors").open("ab") as file:
        file.write(b"1")
    assert identity(str(here)) != identity(str(there))
    assert identity("google-bert/bert-base-cased") == "google-bert/bert-base-cased"


def test_with_a_cache_nothing_is_tokenised_twice_and_nothing_else_changes(
    recipe: Recipe, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    tokenise = Classifier.tokenise

    def counting(self: Classifier, some: Sequence[Example]) -> Tokens:
        asked.extend(example.id for example in some)
        return tokenise(self, some)

    cache, examples = TokenCache(tmp_path), [*PAIRS[:12], Example(9999, "one text", None)]
    without_NC = load(saved, "cpu", "fp32").predict_proba(examples)
    fitted_without = fit(recipe, LABELS, PAIRS[:12], TARGETS_N).predict_proba(examples)
    monkeypatch.setattr(Classifier, "tokenise", counting)
    with_cache = load(saved, "cpu", "fp32", cache)
    for _ in range(2):
        assert np.array_equal(with_cache.predict_proba(examples), without_NC)
    assert sorted(asked) == sorted(example.id for example in examples)
    again = fit(recipe, LABELS, PAIRS[:12], TARGETS_N, cache=cache)
    assert np.array_equal(again.predict_proba(examples), fitted_without)
    assert len(asked) == len(examples), "the version has its base model's tokenizer"


def test_another_length_has_tokens_of_its_own(saved: Path, tmp_path: Path) -> None:
    cache = TokenCache(tmp_path)
    long, short = (load(saved, "cpu", "fp32", cache) for _ in range(2))
    short.tokenizer.model_max_length = 8
    many = [replace(example, id=i) for i, example in enumerate(PAIRS * 3)]
    longest = [int(classifier.encode(many).lengths_N.max()) for classifier in (long, short)]
    assert 8 < longest[0] <= MAX_LENGTH
    assert longest[1] == 8
    assert len(list(tmp_path.iterdir())) == 1, "the files of the first are gone"


@pytest.mark.parametrize("exact", [True, False])
def test_a_model_that_is_not_written_out_scores_in_both_precisions(exact: bool, minilm: Path, tmp_path: Path) -> None:
    directory = small_roberta(tmp_path, AutoTokenizer.from_pretrained(minilm))
    fast, exactly = (load(directory, "cpu", precision) for precision in ("bf16", "fp32"))
    for classifier in (fast, exactly):
        classifier.tokenizer.model_max_length = 32
    probs_NC = fast.predict_proba(PAIRS, exact=exact)
    expected_NC = exactly.predict_proba(PAIRS)
    assert np.allclose(probs_NC, expected_NC, atol=0 if exact else 0.02)
    assert exact or not np.array_equal(probs_NC, expected_NC)
    assert {weight.dtype for weight in fast.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("written_out", [True, False])
def test_a_version_that_is_dropped_is_gone_at_once(
    written_out: bool, saved: Path, minilm: Path, tmp_path: Path
) -> None:
    directory = saved if written_out else small_roberta(tmp_path, AutoTokenizer.from_pretrained(minilm))
    classifier = load(directory, "cpu", "bf16")
    classifier.tokenizer.model_max_length = 32
    for exact in (True, False):
        classifier.predict_proba(PAIRS[:2], exact=exact)
    weight = weakref.ref(next(classifier.model.parameters()))
    gc.disable()  # else it might come to the rescue
    try:
        del classifier
        assert weight() is None
    finally:
        gc.enable()


def test_progress_ends_at_the_number_of_examples(fitted: Classifier) -> None:
    told: list[tuple[int, int]] = []
    fitted.predict_proba(PAIRS, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (len(PAIRS), len(PAIRS))


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two in this thread, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thread of each batch; batches are small."""
    monkeypatch.setattr("nextlabel.model.classifier.TOKEN_BUDGET", 128)
    in_pieces, threads = Classifier._in_pieces, list[int]()

    def noted(*arguments: Any) -> torch.Tensor:
        threads.append(threading.get_ident())
        return in_pieces(*arguments)

    monkeypatch.setattr(Classifier, "_in_pieces", noted)
    return threads


@pytest.mark.parametrize("exact", [True, False])
def test_batches_side_by_side_say_what_batches_in_turn_say(
    exact: bool, saved: Path, two_threads: None, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, told = load(saved, "cpu", "bf16"), [0]
    side_by_side_NC = classifier.predict_proba(PAIRS, exact, lambda done, total: told.append(done))
    assert threading.get_ident() not in seen
    assert told == sorted(set(told))
    assert told[-1] == len(PAIRS)
    monkeypatch.setattr("nextlabel.model.parallel.LEAST", len(PAIRS))
    seen.clear()
    in_turn_NC = classifier.predict_proba(PAIRS, exact)
    assert set(seen) == {threading.get_ident()}
    assert np.abs(side_by_side_NC - in_turn_NC).max() < (1e-6 if exact else 1e-2)


def test_no_batch_goes_on_after_progress_raised(fitted: Classifier, two_threads: None, seen: list[int]) -> None:
    fitted.predict_proba(PAIRS)
    batches = len(seen)
    seen.clear()

    def stop(done: int, total: int) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop") as caught:  # holds the frames, as a future does
        fitted.predict_proba(PAIRS, progress=stop)
    begun = len(seen)
    time.sleep(0.2)
    assert begun == len(seen) < batches
    assert caught.value.args == ("stop",)


# On disk


@pytest.mark.parametrize(
    "examples", [PAIRS[:6], TEXTS[:6], [Example(0, "long " * 500)]], ids=["pairs", "texts", "long"]
)
def test_plain_transformers_loads_it_and_agrees(examples: list[Example], saved: Path, fitted: Classifier) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(saved)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id == {label: i for i, label in enumerate(LABELS)}
    assert tokenizer.model_max_length == MAX_LENGTH
    probs_NC = fitted.predict_proba(examples)
    for example, probs_C in zip(examples, probs_NC, strict=True):
        inputs = tokenizer(example.text, example.pair, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            expected_C = torch.softmax(model(**inputs).logits[0], dim=0)
        assert probs_C == pytest.approx(expected_C.numpy(), abs=1e-5)


def test_a_loaded_version_is_the_saved_one(saved: Path, fitted: Classifier) -> None:
    loaded = load(saved, "cpu", "fp32")
    assert (loaded.labels, loaded.max_length) == (LABELS, MAX_LENGTH)
    assert np.array_equal(loaded.predict_proba(PAIRS[:8]), fitted.predict_proba(PAIRS[:8]))
    assert (saved / "model.safetensors").stat().st_size == pytest.approx(4 * 22.7e6, rel=0.01), "fp32, and only once"


def test_a_directory_that_is_not_there_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoModelError, match=r"There is no directory '.*/nowhere'. Name one with a checkpoint"):
        load(tmp_path / "nowhere", "cpu", "fp32")


def test_a_directory_without_a_checkpoint_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoModelError, match=f"'{tmp_path}' cannot be loaded.*BASE_MODEL or --base-model"):
        load(tmp_path, "cpu", "fp32")


@pytest.mark.parametrize(
    ("file", "share"),
    [
        ("model.safetensors", 0.5),
        ("model.safetensors", 0.001),
        ("model.safetensors", 0.0),
        ("model.safetensors", None),
        ("config.json", 0.5),
        ("config.json", None),
        ("tokenizer.json", 0.5),
        ("tokenizer.json", 0.0),
        ("tokenizer.json", None),
        ("tokenizer_config.json", 0.5),
    ],
)
def test_a_damaged_version_is_named_not_guessed(file: str, share: float | None, saved: Path, tmp_path: Path) -> None:
    directory = tmp_path / "damaged"
    shutil.copytree(saved, directory)
    content = (directory / file).read_bytes()
    if share is None:
        (directory / file).unlink()
    else:
        (directory / file).write_bytes(content[: int(share * len(content))])
    with pytest.raises(NoModelError, match=str(directory)):
        load(directory, "cpu", "fp32")


@pytest.mark.usefixtures("patience")
def test_a_hub_name_without_the_hub_is_refused_quickly_with_a_remedy(tmp_path: Path) -> None:
    code = """
from nextlabel.model.classifier import load
from nextlabel.errors import NoModelError
from pathlib import Path
import time
start = time.monotonic()
try:
    load(Path("google-bert/bert-base-cased"), "cpu", "fp32")
except NoModelError as error:
    print(f"{time.monotonic() - start:.1f}", str(error))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    seconds, words = run.stdout.split(" ", 1)
    assert float(seconds) < 5
    assert "'google-bert/bert-base-cased' cannot be loaded" in words
    assert "Name a directory with a checkpoint" in words
    assert "BASE_MODEL or --base-model" in words


def test_a_card_can_name_the_libraries() -> None:
    assert package_versions()["torch"] == torch.__version__
    assert set(package_versions()) == {"torch", "transformers", "numpy"}


# Out of memory


class SmallMemory(torch.nn.Module):
    """A model on a device that holds only so many word pieces at a time, padding aside.

    `seen`: rows of each forward that fitted.
    """

    def __init__(self, model: torch.nn.Module, pieces: int, complaint: Exception):
        super().__init__()
        self.model, self.pieces, self.complaint = model, pieces, complaint
        self.seen: list[int] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **rest: torch.Tensor) -> Any:
        if (input_ids.numel() if attention_mask is None else int(attention_mask.sum())) > self.pieces:
            raise self.complaint
        self.seen.append(len(input_ids))
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **rest)


CUDA_IS_FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def real_complaint() -> RuntimeError:
    """What torch says here when the CPU's memory does not suffice."""
    with pytest.raises(RuntimeError) as full:
        torch.empty(2**50)
    return full.value


def gradients(
    classifier: Classifier,
    room: int,
    examples: Sequence[Example],
    complaint: Exception = CUDA_IS_FULL,
    pieces: int = 1,
    weights_N: Array | None = None,
) -> tuple[dict[str, torch.Tensor], int, list[int]]:
    """The gradients of a batch where memory has this room, into how many pieces it was cut, and the rows of each."""
    inner = classifier.model
    model = SmallMemory(inner, room, complaint)
    small = Classifier(model, classifier.tokenizer, classifier.labels, classifier.device, torch.float32)  # no dropout
    inner.zero_grad(set_to_none=True)
    found: dict[str, torch.Tensor] = {}

    class Reader(torch.optim.SGD):
        """Keeps the gradients that it is given, and changes nothing."""

        def step(self, closure: Any = None) -> Any:
            found.update(
                {name: weight.grad.clone() for name, weight in inner.named_parameters() if weight.grad is not None}
            )

    texts = small.placed(small.encode(examples))
    step = _Step(small, texts, TARGETS_N[: len(examples)], Reader(inner.parameters()), pieces, weights_N)
    step(texts.batches([np.arange(len(examples))])[0])
    return found, step.pieces, model.seen


# The long ones come last: the first pieces fit and leave gradients before memory runs out.
UNEVEN = [Example(i, "short " * (i + 1)) for i in range(4)] + [Example(i, "long " * 40) for i in range(4, 8)]


@pytest.mark.parametrize(
    ("room", "pieces", "rows"),
    [
        (10_000, 1, [8]),
        (42 * 4, 2, [4, 4]),
        (42 * 2, 4, [4, 2, 2, 2, 2]),
        (42, 8, [4, 2, 2, *[1] * 8]),
    ],
)
def test_a_batch_that_is_too_large_is_computed_in_pieces_with_the_same_gradients(
    room: int, pieces: int, rows: list[int], fitted: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    expected, whole, _ = gradients(fitted, 1_000_000, UNEVEN)
    assert whole == 1
    found, cut, seen = gradients(fitted, room, UNEVEN)
    assert (cut, seen) == (pieces, rows)
    assert found.keys() == expected.keys()
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in expected.values()))
    difference = math.sqrt(sum(float(((found[name] - expected[name]) ** 2).sum()) for name in expected))
    assert norm > 0.1
    assert difference < 1e-5 * norm
    assert caplog.text.count("out of memory") == int(math.log2(pieces))


def test_examples_count_by_their_weights_in_whatever_pieces(fitted: Classifier) -> None:
    """What is not to count at all is as good as absent, but for the mean over the batch and the length of a step."""
    half_N = np.array([1.0, 1, 1, 1, 0, 0, 0, 0])

    def direction(room: int, examples: Sequence[Example], weights_N: Array | None = None) -> torch.Tensor:
        found, _, _ = gradients(fitted, room, examples, weights_N=weights_N)
        return torch.nn.functional.normalize(torch.cat([gradient.flatten() for gradient in found.values()]), dim=0)

    first = direction(1_000_000, UNEVEN[:4])
    assert torch.allclose(direction(1_000_000, UNEVEN, half_N), first, atol=1e-5)
    assert torch.allclose(direction(42 * 4, UNEVEN, half_N), first, atol=1e-5), "in two pieces"
    assert torch.equal(direction(1_000_000, UNEVEN, np.ones(8)), direction(1_000_000, UNEVEN))
    assert not torch.allclose(direction(1_000_000, UNEVEN), first, atol=1e-2)


def test_the_next_batch_starts_with_as_many_pieces(fitted: Classifier) -> None:
    _, pieces, seen = gradients(fitted, 10_000, UNEVEN, pieces=4)
    assert (pieces, seen) == (4, [2, 2, 2, 2])
    _, pieces, seen = gradients(fitted, 10_000, UNEVEN[:3], pieces=8)
    assert (pieces, seen) == (8, [1, 1, 1]), "a small last batch is cut no further than into single examples"


def test_a_single_example_that_does_not_fit_is_an_error(fitted: Classifier) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        gradients(fitted, 10, UNEVEN)


@pytest.mark.parametrize("complaint", [RuntimeError("size mismatch"), ValueError("no such thing")], ids=str)
def test_another_error_is_not_taken_for_want_of_memory(complaint: Exception, fitted: Classifier) -> None:
    with pytest.raises(type(complaint), match=str(complaint)):
        gradients(fitted, 42 * 4, UNEVEN, complaint)


def test_want_of_cpu_memory_is_known_too(fitted: Classifier) -> None:
    _, pieces, _ = gradients(fitted, 42 * 4, UNEVEN, real_complaint())
    assert pieces == 2


def scored(classifier: Classifier, room: int, examples: Sequence[Example]) -> tuple[Array, list[int]]:
    """What is predicted where memory has this room, and the rows of each pass that fitted."""
    model = SmallMemory(classifier.model, room, CUDA_IS_FULL)
    small = Classifier(model, classifier.tokenizer, classifier.labels, classifier.device, torch.float32)
    return small.predict_proba(examples), model.seen


def test_texts_that_do_not_fit_together_are_scored_in_halves_with_the_same_result(fitted: Classifier) -> None:
    expected_NC, whole = scored(fitted, 1_000_000, UNEVEN)
    assert whole == [8]
    found_NC, rows = scored(fitted, 42 * 2, UNEVEN)
    assert rows == [2, 2, 4], "the short ones fit"
    np.testing.assert_allclose(found_NC, expected_NC, atol=1e-6)


def test_want_of_memory_for_a_single_text_is_said_with_a_remedy(fitted: Classifier) -> None:
    with pytest.raises(
        NoMemoryError, match=r"The memory of cpu does not suffice \(CUDA out of memory.*lower MAX_LENGTH"
    ):
        scored(fitted, 10, UNEVEN)


def test_a_checkpoint_of_a_form_is_a_base_for_one_question(tiny: Path, tmp_path: Path) -> None:
    layout = Layout((Cut("tags", ANY_OF, ("x", "y")), Cut("stars", ORDERED, ("1", "2", "3"))))
    targets = layout.targets([encoded({"tags": ("x",), "stars": ("2",)}), encoded({"tags": ()})])
    texts = [Example(0, "good"), Example(1, "bad")]
    recipe = Recipe(str(tiny), 2, 1e-4, 2, 16, seed=0, device="cpu")
    fit(recipe, layout.labels, texts, targets, layout=layout).save(tmp_path / "form")
    loaded = load(tmp_path / "form", "cpu")
    assert loaded.layout == layout
    np.testing.assert_allclose(loaded.predict_proba(texts)[:, 2:].sum(axis=1), 1)
    fitted = fit(replace(recipe, base_model=str(tmp_path / "form")), ("a", "b"), texts, np.array([0, 1]))
    fitted.save(tmp_path / "single")
    again = load(tmp_path / "single", "cpu")
    assert again.layout is None
    np.testing.assert_allclose(again.predict_proba(texts).sum(axis=1), 1)
