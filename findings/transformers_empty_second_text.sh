#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: an empty second text means "none" alone, and "an empty one" in a list.
#
# Guess: tokenizer("a", "") and tokenizer(["a"], [""]) give the same pieces, as one text more or less in a call changes
# nothing elsewhere.
# Behaviour: alone, the empty second text is dropped; in a list it is kept, and the pieces end in a second separator.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
"$home/venv/bin/python" - <<'PY'
import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
words.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
single = tokenizer("a")["input_ids"]
alone = tokenizer("a", "")["input_ids"]
listed = tokenizer(["a"], [""])["input_ids"][0]
print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}")
print("Guess: with an empty second text, a call with one text and a call with a list of one give the same pieces.")
for name, ids in (('"a"', single), ('"a", ""', alone), ('["a"], [""]', listed)):
    print(f"tokenizer({name}): {tokenizer.convert_ids_to_tokens(ids)}")
assert alone == single
assert listed == [*single, tokenizer.sep_token_id]
PY
