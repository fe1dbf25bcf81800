"""Three texts and more as word pieces: joined as plain transformers joins them, cut in fair shares."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from nextlabel.errors import NoModelError
from nextlabel.lab.check_architectures import bert, gpt_2, roberta
from nextlabel.model.checkpoints import lengths
from nextlabel.model.classifier import load
from nextlabel.model.joining import join, separator, shares
from nextlabel.values.examples import Example, of_texts

SEVERAL = [
    of_texts(1, ["The fan is loud.", "Broken", "after two days"]),
    of_texts(2, ["a", "b", "c", "d", "e", "f", "g", "h"]),
]
GAPS = [of_texts(7, ["", "b", "c"]), of_texts(8, ["a", "", "c"]), of_texts(9, ["a", "", ""])]
MIXED = [*SEVERAL, *GAPS, Example(3, "one text"), Example(4, "two", "texts"), of_texts(5, ["three", "short", "ones"])]


@given(lengths=st.lists(st.integers(0, 50), min_size=1, max_size=8), room=st.integers(0, 200))
@settings(derandomize=True, deadline=None)
def test_the_longest_texts_are_cut_first_and_all_cut_ones_alike(lengths: list[int], room: int) -> None:
    kept = shares(lengths, room)
    assert sum(kept) == min(room, sum(lengths))
    cut = [some for some, length in zip(kept, lengths, strict=True) if some < length]
    assert all(0 <= some <= length for some, length in zip(kept, lengths, strict=True))
    assert not cut or max(kept) - min(cut) <= 1, "nobody has more than one that was cut, but for what cannot be parted"


@pytest.mark.parametrize("make", [bert, roberta, gpt_2], ids=["BERT", "RoBERTa", "GPT-2"])
@pytest.mark.parametrize("example", [*SEVERAL, *GAPS])
def test_texts_are_joined_with_the_tokenizers_separator(make: Any, example: Example) -> None:
    tokenizer = make()
    [ids], [types] = join(tokenizer, [example], None)
    plain = tokenizer(example.text, separator(tokenizer).join(example.texts[1:]))
    assert ids == plain["input_ids"]
    assert types == plain.get("token_type_ids", [0] * len(ids))


def test_of_texts_that_are_too_long_each_keeps_its_beginning() -> None:
    tokenizer = bert()
    example = of_texts(0, ["the " * 40, "is a", "of " * 30])
    [ids], [types] = join(tokenizer, [example], 20)
    words = [tokenizer.convert_tokens_to_ids(word) for word in ("the", "is", "a", "of")]
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    the, is_, a, of = words
    assert ids == [cls, *[the] * 7, sep, is_, a, sep, *[of] * 7, sep]
    assert types == [0] * 9 + [1] * 11
    assert len(join(tokenizer, [SEVERAL[1]], 6)[0][0]) == 6, "never more than is read, though marks alone are more"


def test_a_version_reads_several_texts_as_plain_transformers_does(tiny: Path) -> None:
    classifier = load(tiny, "cpu", "fp32")
    tokenizer, model = AutoTokenizer.from_pretrained(tiny), AutoModelForSequenceClassification.from_pretrained(tiny)
    for example, probs_C in zip(MIXED, classifier.predict_proba(MIXED), strict=True):
        rest = [tokenizer.sep_token.join(example.texts[1:])] if len(example.texts) > 1 else []
        with torch.inference_mode():
            expected_C = torch.softmax(model(**tokenizer(example.text, *rest, return_tensors="pt")).logits[0], dim=0)
        assert probs_C == pytest.approx(expected_C.numpy(), abs=1e-5)
    long = [of_texts(6, ["a text", "word " * 600, "the end"])]
    assert classifier.truncated([*MIXED, *long]) == [False] * len(MIXED) + [True]
    assert classifier.token_counts(long).tolist() == [classifier.max_length]
    assert lengths(str(tiny), MIXED).tolist() == classifier.token_counts(MIXED).tolist()


def test_a_tokenizer_that_does_not_tell_how_it_joins_is_refused_with_the_remedy() -> None:
    class Odd:
        sep_token = "/"

        def __call__(self, texts: Any, pair: str | None = None, **_: Any) -> dict[str, Any]:
            return {"input_ids": [9, 9] if pair else [[len(text)] for text in texts]}

    with pytest.raises(NoModelError, match=r"Odd does not tell how it joins texts\. Choose one or two of them with"):
        join(Odd(), SEVERAL, None)
