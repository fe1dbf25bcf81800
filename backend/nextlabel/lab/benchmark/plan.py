"""How much is measured, of what, and with which machine and versions."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
)

from nextlabel import __version__
from nextlabel.model import checkpoints
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import describe, machine, pick_device, pick_precision
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.values.arrays import Ints
from nextlabel.values.examples import Example

Result = dict[str, Any]  # plain values, as JSON has them
Show = Callable[[str], None]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TUTORIAL, OURS, DIFFERENCE = "padded", "ours", "difference"
BATCH = 32  # of the rivals' scoring, and of every fit


@dataclass(frozen=True)
class BenchmarkPlan:
    """How much is measured. `examples` caps the texts that are scored (None: all that were not learnt from)."""

    base_model: str
    device: str = "auto"
    precision: str = "auto"  # ours, where an exact answer is not asked for
    repeats: int = 5
    warm_steps: int = 60  # a fit's steps before scoring, so that entropies are spread
    examples: int | None = None
    singles: int = 50  # texts that are answered one by one, in each repetition
    fit_steps: int = 8  # that are measured, in each repetition
    learning_rate: float = 1e-4
    max_length: int = 128  # word pieces: what the tutorial pads to
    pool: int | None = None  # texts of a large pool that is scored as well; None: none
    whole_steps: int | None = None  # of a fit that is measured from its start to its end; None: none
    memory: bool = True
    random_weights: bool = False  # the base model is a `random_checkpoint`

    def quick(self) -> "BenchmarkPlan":
        """The least that still says something: less than three minutes for a small model on two cores."""
        return replace(self, repeats=2, warm_steps=30, examples=256, singles=20, fit_steps=2, memory=False)

    def recipe(self, steps: int, seed: int = 0) -> Recipe:
        """A fit of so many steps."""
        return Recipe(
            self.base_model, steps, self.learning_rate, BATCH, self.max_length, seed, self.device, self.precision
        )

    def settled(self) -> "BenchmarkPlan":
        """With the precision by its name, so that it is picked once: on a busy machine the next pick may differ."""
        return replace(self, precision=precision_name(pick_precision(self.precision, pick_device(self.device))))


def about(data: TextSet, plan: BenchmarkPlan) -> Result:
    """Machine, versions, data and checkpoint, as every result tells them."""
    return {
        "machine": machine(),
        "device": describe(plan.device),
        "versions": {
            "nextlabel": __version__,
            "python": platform.python_version(),
            **classifiers.package_versions(),
        },
        "data": {"source": data.source, "fingerprint": data.fingerprint, "learnt_from": len(data.train)},
        "base_model": checkpoints.identity(plan.base_model),
    }


def with_targets(labels: Sequence[str], part: Sequence[Labelled]) -> tuple[list[Example], Ints]:
    """Examples, and the number (N,) of the class of each."""
    return [example for example, _ in part], SingleChoice(tuple(labels)).class_numbers([label for _, label in part])


def random_checkpoint(base_model: str, sizes: Sequence[int], directory: Path) -> Path:
    """A BERT with random weights and the tokenizer of `base_model`, saved in a directory named by its sizes.

    `sizes`: layers, and the widths of hidden states and feed-forward, and attention heads. Raises as `training.fit`.
    """
    layers, hidden, intermediate, heads = sizes
    tokenizer = classifiers.load_base(BenchmarkPlan(base_model, "cpu").recipe(1)).tokenizer
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_attention_heads=heads,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    path = directory / f"random-{layers}x{hidden}x{intermediate}x{heads}"
    BertForSequenceClassification(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def precision_name(precision: torch.dtype) -> str:
    """As `DTYPES` names it."""
    return next(name for name, dtype in DTYPES.items() if dtype == precision)
