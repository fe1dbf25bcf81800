"""The layer that makes the logits: found in every architecture, heard in the scoring pass, written back, exported."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from nextlabel.errors import NoModelError
from nextlabel.lab.check_architectures import ARCHITECTURES, LABELS, learnt, mixed, plainly
from nextlabel.learning.heads import probabilities, refitted
from nextlabel.model import last_layer
from nextlabel.model.classifier import Classifier, Recipe, load
from nextlabel.model.training import fit
from nextlabel.values.linear import Linear

BY_NAME = {one.name: one for one in ARCHITECTURES}
# One for each way: written out, a head of two layers, no bias, logits of every word piece, no mask, an encoder of two.
NAMES = ("BERT", "RoBERTa", "DistilBERT", "XLNet", "GPT-2", "Llama", "FNet", "BART")


def fitted(directory: Path, name: str = "BERT", precision: str = "fp32") -> Classifier:
    BY_NAME[name].make(directory)
    recipe = Recipe(str(directory), 2, 1e-3, 8, 48, seed=0, device="cpu", precision=precision)
    return fit(recipe, LABELS, learnt(), np.arange(len(learnt())) % 2)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two in this thread, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NAMES)
def test_a_head_written_back_is_what_plain_transformers_computes(name: str, tmp_path: Path) -> None:
    classifier = fitted(tmp_path / "base", name)
    probs_NC, features_ND = classifier.predict_with_features(mixed())
    before = classifier.last_layer
    assert np.array_equal(probs_NC, classifier.predict_proba(mixed()))
    assert np.allclose(probabilities(before, features_ND), probs_NC, atol=1e-5)

    head = refitted(before, features_ND, np.arange(len(mixed())) % 2, precision=0.1)
    head_NC = probabilities(head, features_ND)
    assert np.abs(head_NC - probs_NC).max() > 1e-3
    classifier.last_layer = head
    classifier.save(tmp_path / "exported")
    assert np.allclose(np.vstack(list(plainly(tmp_path / "exported", mixed()))), head_NC, atol=1e-5)
    assert np.allclose(classifier.predict_proba(mixed()), head_NC, atol=1e-5)
    loaded = load(tmp_path / "exported", "cpu", "fp32").last_layer
    assert np.array_equal(loaded.weights_CD, head.weights_CD)
    assert (loaded.bias_C is None) == (head.bias_C is None)


@pytest.mark.parametrize("name", ["BERT", "RoBERTa"])
def test_the_fast_pass_gives_features_in_half_precision(name: str, tmp_path: Path) -> None:
    classifier = fitted(tmp_path / "base", name, "bf16")
    exact_NC, exact_ND = classifier.predict_with_features(mixed())
    fast_NC, fast_ND = classifier.predict_with_features(mixed(), exact=False)
    assert (str(exact_ND.dtype), str(fast_ND.dtype)) == ("float32", "float16")
    assert np.array_equal(fast_NC, classifier.predict_proba(mixed(), exact=False))
    assert np.abs(fast_ND - exact_ND).max() < 0.1 * np.abs(exact_ND).max()
    assert np.allclose(probabilities(classifier.last_layer, fast_ND), exact_NC, atol=0.05)


def test_it_is_the_pooled_output_that_berts_classifier_reads(tmp_path: Path) -> None:
    classifier, example = fitted(tmp_path / "base"), mixed()[:1]
    tokens = classifier.tokenise(example)
    ids = torch.tensor(np.asarray(tokens.ids_M)[None].astype(np.int64))
    types = torch.tensor(np.asarray(tokens.types_M)[None].astype(np.int64))
    with torch.no_grad():
        pooled_1D = classifier.model.bert(input_ids=ids, token_type_ids=types).pooler_output
    assert np.allclose(classifier.predict_with_features(example)[1], pooled_1D.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["BERT", "GPT-2"])
def test_each_text_has_its_own_features_however_batches_are_computed(
    name: str, tmp_path: Path, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = fitted(tmp_path / "base", name)
    alone_ND = np.vstack([classifier.predict_with_features([example])[1] for example in learnt()])
    monkeypatch.setattr("nextlabel.model.classifier.TOKEN_BUDGET", 64)
    told = [0]
    side_by_side_ND = classifier.predict_with_features(learnt(), True, lambda done, total: told.append(done))[1]
    assert told[-1] == len(learnt())
    assert np.allclose(side_by_side_ND, alone_ND, atol=1e-5)


def test_of_no_text_there_are_no_features(tmp_path: Path) -> None:
    probs_NC, features_ND = fitted(tmp_path / "base").predict_with_features([])
    assert (probs_NC.shape, features_ND.shape) == ((0, 2), (0, 32))


def test_nothing_listens_once_the_pass_is_over(tmp_path: Path) -> None:
    classifier = fitted(tmp_path / "base")
    classifier.predict_with_features(mixed())
    assert not any(module._forward_hooks for module in classifier.model.modules())


def test_a_model_whose_logits_no_linear_layer_makes_is_refused_in_words(tmp_path: Path) -> None:
    classifier = fitted(tmp_path / "base", "RoBERTa")
    head = classifier.model.classifier
    head.out_proj = torch.nn.Sequential(head.out_proj, torch.nn.Tanh())
    with pytest.raises(
        NoModelError, match=r"RobertaFor.* has no linear layer whose output is its logits.*order by the version itself"
    ):
        classifier.predict_with_features(mixed())
    assert not any(module._forward_hooks for module in classifier.model.modules())
    assert np.isfinite(classifier.predict_proba(mixed())).all()


def test_what_is_written_must_have_the_layers_width() -> None:
    layer = torch.nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match="size"):
        last_layer.write(layer, Linear(np.zeros((2, 4)), None))


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_takes_as_many_rows_as_are_written(bias: bool) -> None:
    layer = torch.nn.Linear(3, 2, bias=bias)
    rows = Linear(np.eye(4)[:, :3], np.ones(4) if bias else None)
    last_layer.write(layer, rows)
    inputs_ND = np.ones((1, 3), dtype=np.float32)
    np.testing.assert_array_equal(layer(torch.from_numpy(inputs_ND)).detach().numpy(), rows(inputs_ND))
    assert layer.out_features == 4
