#!/usr/bin/env bash
# transformers 5.23.0, BigBird: a short text changes for good how long texts are read.
#
# Guess: inference in eval mode has no memory, so that a text gives the same logits whatever was read before.
# Behaviour: the first text that is too short for block-sparse attention switches the model to full attention, with a
# warning, and it stays so: the same long text gives other logits afterwards.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.2.6
"$home/venv/bin/python" - <<'PY'
import torch
import transformers
from transformers import BigBirdConfig, BigBirdForSequenceClassification

transformers.utils.logging.set_verbosity_error()
torch.manual_seed(0)
config = BigBirdConfig(
    vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
    max_position_embeddings=512, attention_type="block_sparse", block_size=16, num_random_blocks=2,
    initializer_range=0.5,  # as uneven as trained weights are
)
model = BigBirdForSequenceClassification(config).eval()
long = torch.randint(5, 100, (1, 512))
short = torch.randint(5, 100, (1, 16))
with torch.no_grad():
    first, again = model(input_ids=long).logits, model(input_ids=long).logits
    kind = model.bert.attention_type
    model(input_ids=short)
    after = model(input_ids=long).logits
print(f"transformers {transformers.__version__}")
print("Guess: the same long text gives the same logits before and after a short text.")
print(f"Before, twice: equal to the bit: {torch.equal(first, again)}, attention {kind}")
print(f"After a short text: attention {model.bert.attention_type}, largest difference {(after - first).abs().max():.1e}")
assert torch.equal(first, again)
assert (kind, model.bert.attention_type) == ("block_sparse", "original_full")
assert (after - first).abs().max() > 1e-3
PY
