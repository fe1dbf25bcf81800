"""The ways others score and fit, beside ours: with the same weights, from the same checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)

from nextlabel.errors import BadRunError
from nextlabel.lab.benchmark.plan import BATCH, OURS, TUTORIAL, BenchmarkPlan, precision_name
from nextlabel.model import training
from nextlabel.model.classifier import Classifier, Progress, Recipe
from nextlabel.model.devices import pick_device, pick_precision
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example

Fit = Callable[[Recipe, Sequence[str], Sequence[Example], Ints, Progress], Classifier]
NAIVE, EXACT, FAST, AUTOCAST = "naive", "ours_fp32", "ours_fast", "bf16_autocast"


@dataclass(frozen=True)
class Way:
    """One way to score: in words, the type of its matrix products, and class probabilities (N, C) of examples."""

    words: str
    dtype: str
    score: Callable[[Sequence[Example]], Array]


def scoring_ways(classifier: Classifier) -> dict[str, Way]:
    """The rivals and ours, all with the same weights; the first is what the others are compared with."""
    pipe, labels = make_pipeline(classifier), classifier.labels
    fast = precision_name(classifier.precision)
    return {
        NAIVE: Way("transformers pipeline, one text at a time", "fp32", partial(score_by_pipeline, pipe, labels, 1)),
        "pipeline": Way(
            f"transformers pipeline, batches of {BATCH}", "fp32", partial(score_by_pipeline, pipe, labels, BATCH)
        ),
        "padded": Way(
            f"padded to {classifier.max_length}, batches of {BATCH} (the tutorial's way)",
            "fp32",
            partial(score_padded, classifier),
        ),
        EXACT: Way("Nextlabel, exact", "fp32", classifier.predict_proba),
        FAST: Way("Nextlabel, fast", fast, partial(classifier.predict_proba, exact=False)),
    }


def score_by_pipeline(pipe: Any, labels: Sequence[str], batch_size: int, examples: Sequence[Example]) -> Array:
    """As Label Studio's bert_classifier example calls it, where the batch size is the default, 1."""
    answers = pipe([as_input(example) for example in examples], batch_size=batch_size, truncation=True)
    return np.array([_in_order(answer, labels) for answer in answers])


def make_pipeline(classifier: Classifier) -> Any:
    """transformers' own, around the same weights."""
    return transformers.pipeline(
        "text-classification",
        model=classifier.model,
        tokenizer=classifier.tokenizer,
        device=classifier.device,
        top_k=None,
    )


def as_input(example: Example) -> dict[str, str]:
    """As the pipeline takes it."""
    return {"text": example.text} | ({} if example.pair is None else {"text_pair": example.pair})


def _in_order(answer: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[float]:
    scores = {row["label"]: float(row["score"]) for row in answer}
    return [scores[label] for label in labels]


def score_padded(classifier: Classifier, examples: Sequence[Example]) -> Array:
    """The tutorial's way: probabilities (N, C), every text padded to the longest that is read."""
    probs = []
    with torch.inference_mode():
        for start in range(0, len(examples), BATCH):
            texts, pairs = _texts(examples[start : start + BATCH])
            inputs = classifier.tokenizer(
                texts,
                pairs,
                truncation=True,
                padding="max_length",
                max_length=classifier.max_length,
                return_tensors="pt",
            )
            logits = classifier.model(**inputs.to(classifier.device)).logits
            probs.append(torch.softmax(logits.double(), dim=1).cpu().numpy())
    return np.concatenate(probs)


def _texts(examples: Sequence[Example]) -> tuple[list[str], list[str] | None]:
    pairs = [e.pair or "" for e in examples] if any(e.pair is not None for e in examples) else None
    return [e.text for e in examples], pairs


@dataclass(frozen=True)
class FitWay:
    """One way to fit: in words, the type of its matrix products, and the fit."""

    words: str
    dtype: str
    fit: Fit


def fit_ways(plan: BenchmarkPlan) -> dict[str, FitWay]:
    """The rivals and ours; the first is what the others are compared with."""
    ours = precision_name(pick_precision(plan.precision, pick_device(plan.device)))
    dynamic = "Trainer, padded to the longest of the batch"
    return {
        TUTORIAL: FitWay(f"Trainer, padded to {plan.max_length} (the tutorial's way)", "fp32", fit_as_tutorial),
        "dynamic": FitWay(dynamic, "fp32", partial(fit_by_trainer, padding=False)),
        "dynamic_bf16": FitWay(dynamic, "bf16", partial(fit_by_trainer, padding=False, bf16=True)),
        OURS: FitWay("Nextlabel", ours, training.fit),
    }


def require_trainer() -> None:
    """Raises `BadRunError` where transformers' Trainer cannot run."""
    if find_spec("accelerate") is None:
        raise BadRunError("The rivals' Trainer needs the package accelerate. Run pip install accelerate.")


def fit_by_trainer(
    recipe: Recipe,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets_N: Ints,
    progress: Progress,
    padding: str | bool,
    bf16: bool = False,
) -> Classifier:
    """The rivals' fit: transformers' Trainer with its defaults and the recipe's numbers, saving and logging nothing.

    `padding` is the tokenizer's; what it leaves unpadded, the Trainer pads to the longest of the batch. With `bf16`
    under autocast. Its seed, steps and warm-up are the recipe's, and so are the weights that it begins with.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    device = pick_device(recipe.device)
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(recipe.base_model, model_max_length=recipe.max_length)
    model = AutoModelForSequenceClassification.from_pretrained(
        recipe.base_model, num_labels=len(labels), dtype=torch.float32, ignore_mismatched_sizes=True
    )
    encoded = tokenizer(*_texts(examples), truncation=True, padding=padding)
    rows = [{**{key: encoded[key][i] for key in encoded}, "labels": int(targets_N[i])} for i in range(len(examples))]
    with TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            directory,
            max_steps=recipe.steps,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            warmup_steps=int(recipe.steps * recipe.warmup),
            seed=recipe.seed,
            bf16=bf16,
            use_cpu=device.type == "cpu",
            dataloader_pin_memory=device.type == "cuda",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[_EachStep(progress)]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return Classifier(model, tokenizer, labels, device, torch.float32)


fit_as_tutorial: Fit = partial(fit_by_trainer, padding="max_length")


class _EachStep(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells a `Progress` about the Trainer's steps."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer."""
        self._progress(state.global_step, state.max_steps)
