"""Architectures of all kinds: each is read as plain transformers reads it, whatever it does with padding and bf16."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from nextlabel.errors import BadSettingError, NoModelError
from nextlabel.lab.check_architectures import ARCHITECTURES, LABELS, Architecture, check, learnt, mixed, plainly
from nextlabel.model import classifier as classifiers
from nextlabel.model.base_check import check_base
from nextlabel.model.classifier import Recipe, load, load_base
from nextlabel.model.device_tokens import Side
from nextlabel.model.probing import padding_side, why_not
from nextlabel.model.training import fit
from nextlabel.values.examples import Example

BY_NAME = {one.name: one for one in ARCHITECTURES}
Make = Callable[[str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes the tiny checkpoint of an architecture, by name."""

    def made(name: str) -> Path:
        BY_NAME[name].make(tmp_path / "made")
        return tmp_path / "made"

    return made


def recipe(directory: Path, precision: str = "fp32", steps: int = 2, length: int = 48) -> Recipe:
    return Recipe(str(directory), steps, 1e-3, 8, length, seed=0, device="cpu", precision=precision)


def targets() -> Any:
    return np.arange(len(learnt())) % 2


@pytest.mark.parametrize(
    ("name", "precision", "remark"),
    [
        ("DeBERTa v1", "fp32", "cannot compute in bf16: value cannot be converted"),
        ("XLNet", "bf16", "padding on the left"),
        ("Funnel", "bf16", "no padding"),
        ("FNet", "fp32", "no padding"),
        ("GPT-2", "bf16", "no padding token"),
        ("GPT-2, padded on the left", "bf16", "wrong for its positions, and ignored"),
        ("BART", "bf16", "encoder"),
    ],
)
def test_it_fits_and_says_what_plain_transformers_says(name: str, precision: str, remark: str) -> None:
    row = check(BY_NAME[name], "bf16", 2)
    assert row.right, row
    assert row.precision == precision
    assert remark in row.remark


def test_a_table_in_which_something_is_wrong_says_so() -> None:
    row = check(BY_NAME["BERT"], "fp32", 1)
    assert row.right
    assert not type(row)(row.name, row.kind, "fp32", 2e-5, True, True).right
    assert not type(row)(row.name, row.kind, "fp32", 0.0, False, True).right


def test_what_cannot_compute_in_bf16_is_fitted_and_served_in_fp32_and_says_why(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = make("DeBERTa v1")
    with caplog.at_level(logging.WARNING, "backend"):
        fitted = fit(recipe(directory, "bf16"), LABELS, learnt(), targets())
    assert (fitted.precision, load_base(recipe(directory, "bf16")).precision) == (torch.float32, torch.float32)
    assert "DebertaForSequenceClassification cannot compute in bf16: value cannot be conv" in caplog.text
    assert "It is fitted and served in fp32" in caplog.text
    fitted.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved", "cpu", "bf16")
    assert loaded.precision == torch.float32
    assert np.array_equal(loaded.predict_proba(mixed(), exact=False), fitted.predict_proba(mixed()))
    in_fp32 = fit(recipe(directory, "fp32"), LABELS, learnt(), targets())
    assert np.array_equal(in_fp32.predict_proba(mixed()), fitted.predict_proba(mixed())), "trying drew no numbers"


def test_the_usual_models_are_not_tried(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "_suit", None)
    assert fit(recipe(tiny, "bf16"), LABELS, learnt(), targets()).precision == torch.bfloat16


def test_a_bare_text_is_read_even_where_the_tokenizer_makes_nothing_of_it(make: Make) -> None:
    fitted = fit(recipe(make("GPT-2")), LABELS, learnt(), targets())
    nothing = Example(0, "")
    together_NC, alone_NC = fitted.predict_proba([*mixed(), nothing]), fitted.predict_proba([nothing])
    assert np.isfinite(together_NC).all()
    assert np.allclose(together_NC[-1], alone_NC[0], atol=1e-6)


def test_bigbird_says_the_same_of_a_long_text_before_and_after_a_short_one(tmp_path: Path) -> None:
    bird = Architecture("", "BigBird", BY_NAME["BigBird"].tokenizer, BY_NAME["BigBird"].sizes | {"block_size": 2})
    bird.make(tmp_path / "made")
    fitted = fit(recipe(tmp_path / "made", steps=1), LABELS, learnt(), targets())
    fitted.save(tmp_path / "saved")
    long = mixed()[-1:]
    expected_NC = np.vstack(list(plainly(tmp_path / "saved", long)))
    before_NC = fitted.predict_proba(long)
    fitted.predict_proba([Example(0, "Yes.")])
    assert np.array_equal(fitted.predict_proba(long), before_NC)
    assert np.allclose(before_NC, expected_NC, atol=1e-5)


@pytest.mark.parametrize(("name", "limit"), [("GPT-2", 80), ("Nyströmformer", 80), ("BART", 80), ("RoFormer", 80)])
def test_more_than_a_model_has_positions_for_is_refused_before_it_fits(name: str, limit: int, make: Make) -> None:
    directory = make(name)
    with pytest.raises(BadSettingError, match=rf"maximum length 81 is more than .* can read: {limit} at most"):
        fit(recipe(directory, length=81), LABELS, learnt(), targets())
    assert check_base(recipe(directory, length=limit)).precision == "fp32"


def test_a_model_that_cannot_read_a_short_text_is_refused_in_a_sentence(make: Make) -> None:
    with pytest.raises(
        NoModelError, match=r"NystromformerFor.* cannot compute with a short text: shape .*Take another"
    ):
        fit(recipe(make("Nyströmformer with landmarks")), LABELS, learnt(), targets())


def test_a_tokenizer_without_any_token_to_pad_with_is_refused_in_a_sentence(make: Make) -> None:
    directory = make("GPT-2")
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        (directory / file).unlink(missing_ok=True)
    (directory / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 80}'
    )
    with pytest.raises(NoModelError, match=r"has no padding token, and none .* Give it one \(tokenizer.pad_token\)"):
        fit(recipe(directory), LABELS, learnt(), targets())


def test_a_padding_token_that_the_model_does_not_know_gives_way_to_one_that_it_knows(make: Make) -> None:
    directory = make("Llama")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"pad_token_id": -1}))
    fitted = fit(recipe(directory), LABELS, learnt(), targets())
    assert fitted.padding is Side.RIGHT
    assert fitted.tokenizer.pad_token_id == fitted.model.config.pad_token_id == fitted.tokenizer.eos_token_id


def test_a_model_without_hidden_states_refuses_to_embed_in_a_sentence(make: Make) -> None:
    classifier = load_base(recipe(make("RoBERTa")))
    classifier.model.roberta.forward = lambda **inputs: None
    with pytest.raises(NoModelError, match=r"RobertaFor.* gives no hidden states.*does not begin with 'diverse_'"):
        classifier.embed(mixed())


# Trying


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ((), Side.RIGHT),
        ((Side.RIGHT,), Side.LEFT),
        ((Side.LEFT,), Side.RIGHT),
        ((Side.RIGHT, Side.LEFT), Side.NOWHERE),
    ],
)
@pytest.mark.parametrize("refuses", [False, True])
def test_padding_goes_where_it_changes_nothing(wrong: tuple[Side, ...], expected: Side, refuses: bool) -> None:
    def logits(rows: Any, length: int, side: Side) -> torch.Tensor:
        if side in wrong and refuses:
            raise ValueError("no padding, please")
        return torch.tensor([[row + (0.001 * length if side in wrong else 0.0), 1.0] for row in rows])

    assert padding_side(logits, [2, 3, 5], 8) is expected


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (torch.ones(2), ""),
        (torch.tensor([1.0, float("nan")]), "the results are not numbers"),
        (NotImplementedError("not for BFloat16\nat line 3"), "not for BFloat16"),
        (TypeError(), "TypeError"),
    ],
    ids=str,
)
def test_why_something_cannot_be_computed_is_said_in_one_line(result: Any, words: str) -> None:
    def compute() -> torch.Tensor:
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    assert why_not(compute) == words


def test_want_of_memory_is_no_reason_to_take_another_precision() -> None:
    def compute() -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        why_not(compute)
