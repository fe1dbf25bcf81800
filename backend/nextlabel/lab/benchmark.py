"""How fast we score, fit and answer, beside the ways others do it, in one run. Measures; knows no Label Studio.

Ways take turns (A, B, C, A, B, C, …), so that whatever else the machine does meets all of them. A ratio is made within
each repetition; its median is what is reported, with the smallest and the largest beside it. What is over soon takes a
turn after each of the others, and its mean counts: a moment's noise would else be a part of it that it is of no other.
"""

import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.functional import linear
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    TrainerCallback,
)

from nextlabel import __version__
from nextlabel.errors import BadRunError
from nextlabel.learning.metrics import evaluate
from nextlabel.learning.rounds import class_numbers
from nextlabel.learning.strategies import entropy_nats, most_informative_first
from nextlabel.model import checkpoints, training
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import TOKEN_BUDGET, TOKEN_BUDGET_GPU, Classifier, Progress, Recipe
from nextlabel.model.devices import describe, machine, pick_device, pick_precision
from nextlabel.model.kernels import has_onednn, packed_linear
from nextlabel.model.tokens import TokenCache
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.records import require_same, write_json
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example

Result = dict[str, Any]  # plain values, as JSON has them
Show = Callable[[str], None]
Fit = Callable[[Recipe, Sequence[str], Sequence[Example], Ints, Progress], Classifier]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NAIVE, EXACT, FAST, AUTOCAST = "naive", "ours_fp32", "ours_fast", "bf16_autocast"
TUTORIAL, OURS, DIFFERENCE = "padded", "ours", "difference"
BATCH = 32  # of the rivals' scoring, and of every fit
TOP = 100  # the most uncertain, which an annotator is shown next
NAIVE_TEXTS = 200  # of a large pool: all would take the naive way an hour
WARM_UP = 64  # examples that each way scores before the clock is looked at
STATUS = Path("/proc/self/status")  # Linux's page about this process

FLOP_COUNT = (
    "2 x multiplications of every linear layer for each real token, of both attention products by the text's real "
    "length, and of pooler and head once a text. Padding counts for nothing. The last layer counts in full, as plain "
    "transformers compute it, although ours spares most of it: the share is of useful work, not of work done."
)
FIT_NOTE = (
    "The rivals are Hugging Face's own Trainer with its defaults, from the same checkpoint, at the same learning rate "
    "and warm-up; it evaluates, logs and saves nothing. All texts are tokenised beforehand; a fit's first step is not "
    "counted. A step's share of the limit takes three forward passes over its real tokens for the work. Peak memory is "
    "a whole process's, with Python and torch in it."
)
QUALITY_NOTE = (
    "Combined is the mean of accuracy and F1, here in hundredths; the difference is ours less the tutorial's. The "
    "tutorial's way is Hugging Face's Trainer, padded and in fp32; the warm-up is ours, for both. Both fits of a seed "
    "begin with the same weights and see the same examples, in other batches. Both are judged in fp32."
)
RANDOM_NOTE = (
    "Its weights were random before the fit: this shows how fast a model of this shape is, not how good. Its entropies "
    "hardly differ, so that rounding disturbs their order more than a trained checkpoint's."
)


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
        return replace(self, precision=_name(pick_precision(self.precision, pick_device(self.device))))


def measure(data: TextSet, plan: BenchmarkPlan, command: str, show: Show = lambda line: None) -> Result:
    """Everything, as JSON has it. Fits on `train`; scores `test`, or `dev` where there is no test part.

    Raises as `training.fit` does, and `BadRunError` for a model whose operations cannot be counted or without the
    rivals' package.
    """
    require_trainer()
    plan = plan.settled()
    # The pipeline would switch the tokenizer's threads off, for us too. Set, it leaves the variable alone.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    learnt, targets_N = _with_targets(data.labels, data.train)
    unseen = [example for example, _ in _unseen(data, plan.examples)]
    show(f"fitting {plan.warm_steps} steps")
    classifier = training.fit(plan.recipe(plan.warm_steps), data.labels, learnt, targets_N)
    scoring = measure_scoring(classifier, unseen, plan.repeats, show)
    predict = measure_predict(classifier, unseen[: plan.singles], plan.repeats, show)
    pool = (
        {"pool": measure_pool(classifier, paired_anew(learnt + unseen, plan.pool), plan.repeats, show)}
        if plan.pool
        else {}
    )
    whole = {"whole": measure_whole_fit(data.labels, plan, learnt, targets_N, show)} if plan.whole_steps else {}
    return {
        "command": command,
        **_about(data, plan),
        "plan": {**asdict(plan), "base_model": Path(plan.base_model).name},
        "scoring": scoring,
        **pool,
        "fit": {**measure_fit(classifier, plan, learnt, targets_N, show), **whole},
        "predict": predict,
    }


def _about(data: TextSet, plan: BenchmarkPlan) -> Result:
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


def _with_targets(labels: Sequence[str], part: Sequence[Labelled]) -> tuple[list[Example], Ints]:
    return [example for example, _ in part], class_numbers(labels, [label for _, label in part])


def _unseen(data: TextSet, most: int | None) -> Sequence[Labelled]:
    unseen = data.test or data.dev
    if most is None or most >= len(unseen):
        return unseen
    chosen = np.random.default_rng(0).choice(len(unseen), size=most, replace=False)
    return [unseen[i] for i in np.sort(chosen)]


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


# Clocks and numbers


def interleave(
    actions: Mapping[str, Callable[[int], float]],
    repeats: int,
    show: Show = lambda line: None,
    after_each: Mapping[str, Callable[[int], float]] = MappingProxyType({}),
) -> dict[str, list[float]]:
    """What each action measured in each repetition, which it is given the number of. They take turns: A, B, A, B, …

    Those of `after_each` take a turn after each of the others: A, X, B, X, A, …; in a repetition, their mean counts.
    """
    measured: dict[str, list[float]] = {name: [] for name in (*actions, *after_each)}
    for repeat in range(repeats):
        turns: dict[str, list[float]] = {name: [] for name in after_each}
        for name, action in actions.items():
            show(f"{name}, {repeat + 1} of {repeats}")
            measured[name].append(action(repeat))
            for short, often in after_each.items():
                turns[short].append(often(repeat))
        for name, values in turns.items():
            measured[name].append(float(np.mean(values)))
    return measured


def spread(values: Sequence[float]) -> Result:
    """Median, smallest and largest of the repetitions, and all of them in their order."""
    numbers = [float(value) for value in values]
    return {"median": float(np.median(numbers)), "min": min(numbers), "max": max(numbers), "values": numbers}


def _ratios(upper: Sequence[float], lower: Sequence[float]) -> Result:
    return spread([a / b for a, b in zip(upper, lower, strict=True)])


def _clock(device: torch.device) -> float:
    """Seconds, once the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def ranks(values_N: Array) -> Array:
    """Ranks from 1 up; equal values share the mean of theirs."""
    _, places_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places_N], dtype=np.float64)


def spearman(a_N: Array, b_N: Array) -> float:
    """Spearman's rank correlation, in [-1, 1]; not a number where all values of one side are equal."""
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (a_N, b_N))
    with np.errstate(invalid="ignore"):
        return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


def top_overlap(a_N: Array, b_N: Array, top: int) -> float:
    """The share, in [0, 1], of the `top` highest of one side that are among the `top` highest of the other."""
    highest_a, highest_b = (set(most_informative_first(values)[:top].tolist()) for values in (a_N, b_N))
    return len(highest_a & highest_b) / len(highest_a)


# Floating point operations, and how many a second the machine can do


@dataclass(frozen=True)
class Shape:
    """What a BERT's operations depend on: its layers, and the widths of its hidden states and of its feed-forward."""

    layers: int
    hidden: int
    intermediate: int
    classes: int


def shape_of(config: Any) -> Shape:
    """Raises `BadRunError` for a model that has no such shape."""
    try:
        return Shape(config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_labels)
    except AttributeError as error:
        raise BadRunError(
            f"The operations of a {config.model_type} cannot be counted ({error}). Give a BERT as --base-model."
        ) from None


def flop(shape: Shape, lengths_N: Ints) -> int:
    """Operations of one forward pass over texts of these lengths in word pieces, as `FLOP_COUNT` says."""
    tokens, squares = int(lengths_N.sum()), int((lengths_N**2).sum())
    linears = 4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate  # a token: q, k, v, output; wide, narrow
    attention = 2 * shape.hidden  # for each two tokens of a text: a score, and a part of the mean
    head = shape.hidden**2 + shape.hidden * shape.classes  # a text: the pooler, and the classes
    return 2 * (shape.layers * (linears * tokens + attention * squares) + head * len(lengths_N))


def limit(shape: Shape, tokens: int, dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of a layer's matrix products for a batch of so many tokens: the fastest library, the best of 5 tries."""
    hidden, wide = shape.hidden, shape.intermediate
    products = ((hidden, 3 * hidden), (hidden, hidden), (hidden, wide), (wide, hidden))
    seconds = sum(_seconds_of_product(tokens, inner, outer, dtype, device) for inner, outer in products)
    return sum(2 * tokens * inner * outer for inner, outer in products) / seconds / 1e9


def _limits(classifier: Classifier) -> dict[str, Callable[[int], float]]:
    """The limit in each precision for batches such as a pool is scored in, as actions for `interleave`."""
    shape = shape_of(classifier.model.config)
    tokens = TOKEN_BUDGET if classifier.device.type == "cpu" else TOKEN_BUDGET_GPU

    def measure_limit(dtype: torch.dtype, repeat: int) -> float:
        return limit(shape, tokens, dtype, classifier.device)

    return {_limit_of(name): partial(measure_limit, dtype) for name, dtype in DTYPES.items()}


def _limit_of(dtype: str) -> str:
    return f"limit {dtype}"


def _seconds_of_product(rows: int, inner: int, outer: int, dtype: torch.dtype, device: torch.device) -> float:
    x = torch.randn(rows, inner, device=device).to(dtype)
    weight = torch.randn(outer, inner, device=device).to(dtype)
    products: list[Callable[[], object]] = [lambda: linear(x, weight)]
    if device.type == "cpu" and has_onednn(dtype):
        # What scoring uses: oneDNN, with weights in its own order. On some processors torch's own way is faster.
        packed = packed_linear([torch.nn.Linear(inner, outer)], dtype)
        products.append(lambda: packed(x))
    launches = 10  # one alone is over before a GPU's clock can be read, or a CPU's caches are warm
    with torch.inference_mode():
        return min(_seconds(product, launches, device) for product in products for _ in range(5))


def _seconds(action: Callable[[], object], times: int, device: torch.device) -> float:
    start = _clock(device)
    for _ in range(times):
        action()
    return (_clock(device) - start) / times


# Scoring


@dataclass(frozen=True)
class Way:
    """One way to score: in words, the type of its matrix products, and class probabilities (N, C) of examples."""

    words: str
    dtype: str
    score: Callable[[Sequence[Example]], Array]


def scoring_ways(classifier: Classifier) -> dict[str, Way]:
    """The rivals and ours, all with the same weights; the first is what the others are compared with."""
    pipe, labels = _pipeline(classifier), classifier.labels
    fast = _name(classifier.precision)
    return {
        NAIVE: Way("transformers pipeline, one text at a time", "fp32", partial(_by_pipeline, pipe, labels, 1)),
        "pipeline": Way(
            f"transformers pipeline, batches of {BATCH}", "fp32", partial(_by_pipeline, pipe, labels, BATCH)
        ),
        "padded": Way(
            f"padded to {classifier.max_length}, batches of {BATCH} (the tutorial's way)",
            "fp32",
            partial(_by_padding, classifier),
        ),
        EXACT: Way("Nextlabel, exact", "fp32", classifier.predict_proba),
        FAST: Way("Nextlabel, fast", fast, partial(classifier.predict_proba, exact=False)),
    }


def _name(precision: torch.dtype) -> str:
    return next(name for name, dtype in DTYPES.items() if dtype == precision)


def _by_pipeline(pipe: Any, labels: Sequence[str], batch_size: int, examples: Sequence[Example]) -> Array:
    """As Label Studio's bert_classifier example calls it, where the batch size is the default, 1."""
    answers = pipe([_as_input(example) for example in examples], batch_size=batch_size, truncation=True)
    return np.array([_in_order(answer, labels) for answer in answers])


def _pipeline(classifier: Classifier) -> Any:
    return transformers.pipeline(
        "text-classification",
        model=classifier.model,
        tokenizer=classifier.tokenizer,
        device=classifier.device,
        top_k=None,
    )


def _as_input(example: Example) -> dict[str, str]:
    return {"text": example.text} | ({} if example.pair is None else {"text_pair": example.pair})


def _in_order(answer: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[float]:
    scores = {row["label"]: float(row["score"]) for row in answer}
    return [scores[label] for label in labels]


def _by_padding(classifier: Classifier, examples: Sequence[Example]) -> Array:
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


def measure_scoring(
    classifier: Classifier, examples: Sequence[Example], repeats: int, show: Show = lambda line: None
) -> Result:
    """Every way scores the same examples, tokenising included; the machine's limit is measured among them."""
    ways = scoring_ways(classifier)
    probs: dict[str, Array] = {}

    def seconds_of(name: str, repeat: int) -> float:
        start = _clock(classifier.device)
        probs[name] = ways[name].score(examples)
        return _clock(classifier.device) - start

    for way in ways.values():
        way.score(examples[:WARM_UP])
    seconds = {name: partial(seconds_of, name) for name in ways}
    ours = {name: seconds.pop(name) for name in (EXACT, FAST)}
    measured = interleave(seconds, repeats, show, after_each={**_limits(classifier), **ours})
    with torch.autocast(classifier.device.type, dtype=torch.bfloat16):
        probs[AUTOCAST] = _by_padding(classifier, examples)  # what rounding does to the order without our doing
    lengths_N = classifier.token_counts(examples)
    return _scoring_result(ways, measured, probs, lengths_N, flop(shape_of(classifier.model.config), lengths_N))


def _scoring_result(
    ways: Mapping[str, Way],
    measured: Mapping[str, Sequence[float]],
    probs: Mapping[str, Array],
    lengths_N: Ints,
    operations: int,
) -> Result:
    of_ways: dict[str, Result] = {
        name: {
            "words": way.words,
            "dtype": way.dtype,
            "seconds": spread(measured[name]),
            "per_second": spread([len(lengths_N) / seconds for seconds in measured[name]]),
            "ratio_to_naive": _ratios(measured[NAIVE], measured[name]),
            "share_of_limit": _ratios([operations / 1e9 / s for s in measured[name]], measured[_limit_of(way.dtype)]),
            "largest_difference": float(np.abs(probs[name] - probs[NAIVE]).max()),
        }
        for name, way in ways.items()
    }
    fast_N, exact_N, autocast_N = (entropy_nats(probs[name]) for name in (FAST, EXACT, AUTOCAST))
    top = max(1, min(TOP, len(lengths_N) // 2))  # all of few examples would be the same whatever the order
    return {
        "ratio_to_naive": of_ways[FAST]["ratio_to_naive"]["median"],
        "share_of_limit": of_ways[FAST]["share_of_limit"]["median"],
        "spearman": spearman(fast_N, exact_N),
        "spearman_of_bf16_autocast": spearman(autocast_N, exact_N),
        "top_100_overlap": top_overlap(fast_N, exact_N, top),
        "top": top,
        "examples": len(lengths_N),
        "tokens_per_example": float(lengths_N.mean()),
        "gflop_per_example": operations / 1e9 / len(lengths_N),
        "entropy_nats": {"min": float(exact_N.min()), "median": float(np.median(exact_N)), "max": float(exact_N.max())},
        "flop_count": FLOP_COUNT,
        "limit_gflops": {name: spread(measured[_limit_of(name)]) for name in DTYPES},
        "ways": of_ways,
    }


# A large pool, whose word pieces are known


def paired_anew(examples: Sequence[Example], count: int) -> list[Example]:
    """`count` examples, each the text of one and the pair of another, numbered from 0."""
    texts_N, pairs_N = np.random.default_rng(0).integers(0, len(examples), size=(2, count))
    return [
        Example(i, examples[a].text, examples[b].pair) for i, (a, b) in enumerate(zip(texts_N, pairs_N, strict=True))
    ]


def measure_pool(
    classifier: Classifier, examples: Sequence[Example], repeats: int, show: Show = lambda line: None
) -> Result:
    """Scoring of a pool as every version after the first does it: its word pieces are on disk. Naively only a part of
    it is scored, tokenising included."""
    few, pipe = examples[:NAIVE_TEXTS], _pipeline(classifier)
    with TemporaryDirectory() as directory:
        cached = Classifier(
            classifier.model,
            classifier.tokenizer,
            classifier.labels,
            classifier.device,
            classifier.precision,
            TokenCache(Path(directory)),
            classifier.padding,
        )
        show(f"tokenising {len(examples)} texts")
        tokenising = _seconds(partial(cached.token_counts, examples), 1, classifier.device)
        cached.predict_proba(examples, exact=False)
        actions: dict[str, Callable[[int], float]] = {
            **_limits(classifier),
            NAIVE: lambda repeat: _seconds(partial(_by_pipeline, pipe, cached.labels, 1, few), 1, cached.device),
            FAST: lambda repeat: _seconds(partial(cached.predict_proba, examples, exact=False), 1, cached.device),
        }
        measured = interleave(actions, repeats, show)
        lengths_N = cached.token_counts(examples)
    operations = flop(shape_of(classifier.model.config), lengths_N) / 1e9
    per_second = {
        name: [count / seconds for seconds in measured[name]]
        for name, count in ((NAIVE, len(few)), (FAST, len(examples)))
    }
    limits = measured[_limit_of(_name(classifier.precision))]
    return {
        "texts": len(examples),
        "tokens_per_text": float(lengths_N.mean()),
        "tokenised_per_second": len(examples) / tokenising,
        "naive_texts": len(few),
        "naive_per_second": spread(per_second[NAIVE]),
        "per_second": spread(per_second[FAST]),
        "ratio_to_naive": _ratios(per_second[FAST], per_second[NAIVE]),
        "share_of_limit": _ratios([operations / seconds for seconds in measured[FAST]], limits),
        "limit_gflops": spread(limits),
    }


# One text, as a person waits for it


def measure_predict(
    classifier: Classifier, examples: Sequence[Example], repeats: int, show: Show = lambda line: None
) -> Result:
    """Milliseconds from one text to its probabilities, tokenising included; the ways take turns on each text."""
    pipe, fast = _pipeline(classifier), _name(classifier.precision)
    ways: dict[str, Callable[[Example], object]] = {
        NAIVE: lambda example: pipe([_as_input(example)], truncation=True),
        EXACT: lambda example: classifier.predict_proba([example]),
        FAST: lambda example: classifier.predict_proba([example], exact=False),  # as /predict does
    }
    words = {
        NAIVE: "transformers pipeline, fp32",
        EXACT: "Nextlabel, exact, fp32",
        FAST: f"Nextlabel, as /predict answers, {fast}",
    }
    _latencies(ways, examples[:5], classifier.device)
    p50: dict[str, list[float]] = {name: [] for name in ways}
    p95: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        show(f"one text at a time, {repeat + 1} of {repeats}")
        for name, milliseconds in _latencies(ways, examples, classifier.device).items():
            p50[name].append(float(np.percentile(milliseconds, 50)))
            p95[name].append(float(np.percentile(milliseconds, 95)))
    of_ways: dict[str, Result] = {
        name: {
            "words": words[name],
            "p50_ms": spread(p50[name]),
            "p95_ms": spread(p95[name]),
            "p50_ratio_to_naive": _ratios(p50[name], p50[NAIVE]),
        }
        for name in ways
    }
    return {
        "p50_ratio_to_naive": of_ways[FAST]["p50_ratio_to_naive"]["median"],
        "examples": len(examples),
        "ways": of_ways,
    }


def _latencies(
    ways: Mapping[str, Callable[[Example], object]], examples: Sequence[Example], device: torch.device
) -> dict[str, list[float]]:
    milliseconds: dict[str, list[float]] = {name: [] for name in ways}
    for example in examples:
        for name, way in ways.items():
            milliseconds[name].append(1000 * _seconds(partial(way, example), 1, device))
    return milliseconds


# Fitting


@dataclass(frozen=True)
class FitWay:
    """One way to fit: in words, the type of its matrix products, and the fit."""

    words: str
    dtype: str
    fit: Fit


def fit_ways(plan: BenchmarkPlan) -> dict[str, FitWay]:
    """The rivals and ours; the first is what the others are compared with."""
    ours = _name(pick_precision(plan.precision, pick_device(plan.device)))
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


def measure_fit(
    classifier: Classifier,
    plan: BenchmarkPlan,
    examples: Sequence[Example],
    targets_N: Ints,
    show: Show = lambda line: None,
) -> Result:
    """Seconds of an optimiser step on batches of `BATCH`. Each repetition draws examples, the same for every way.

    The fitted `classifier` only says which labels there are and what a step's operations are.
    """
    ways, device = fit_ways(plan), classifier.device
    # Whole batches only, and as many as steps: ours sorts by length, and must not be lucky with short ones.
    batches = min(plan.fit_steps, len(examples) // BATCH)
    chosen = [np.random.default_rng(i).permutation(len(examples))[: batches * BATCH] for i in range(plan.repeats)]

    def job(repeat: int) -> tuple[Recipe, Sequence[str], Sequence[Example], Ints]:
        drawn = [examples[i] for i in chosen[repeat]]
        return plan.recipe(plan.fit_steps + 1, repeat), classifier.labels, drawn, targets_N[chosen[repeat]]

    def seconds_of(fit: Fit, repeat: int) -> float:
        return seconds_per_step(fit, *job(repeat), device)

    seconds = {_fit_of(name): partial(seconds_of, way.fit) for name, way in ways.items()}
    ours = {_fit_of(OURS): seconds.pop(_fit_of(OURS))}
    measured = interleave(seconds, plan.repeats, show, after_each={**_limits(classifier), **ours})
    shape, lengths_N = shape_of(classifier.model.config), classifier.token_counts(examples)
    gflop = [3 * flop(shape, lengths_N[chosen_N]) / batches / 1e9 for chosen_N in chosen]
    of_ways = {name: _fit_result(name, way, measured, gflop) for name, way in ways.items()}
    if plan.memory and STATUS.exists():
        for name, way in ways.items():
            show(f"memory of {name}")
            of_ways[name]["memory"] = _in_a_fresh_process(way.fit, *job(0))
    return {
        "ratio_to_tutorial": of_ways[OURS]["ratio_to_tutorial"]["median"],
        "share_of_limit": of_ways[OURS]["share_of_limit"]["median"],
        "batch_size": BATCH,
        "gflop_per_step": spread(gflop),
        "limit_gflops": {name: spread(measured[_limit_of(name)]) for name in DTYPES},
        "note": FIT_NOTE,
        "ways": of_ways,
    }


def measure_whole_fit(
    labels: Sequence[str],
    plan: BenchmarkPlan,
    examples: Sequence[Example],
    targets_N: Ints,
    show: Show = lambda line: None,
) -> Result:
    """Seconds of our fit of `whole_steps` on all examples: until model and data are ready, and all its steps."""
    assert plan.whole_steps is not None
    prepare, steps = [], []
    for repeat in range(plan.repeats):
        show(f"a whole fit, {repeat + 1} of {plan.repeats}")
        start = time.perf_counter()
        ready: list[float] = []

        def progress(done: int, total: int, ready: list[float] = ready) -> None:
            if done == 0:
                ready.append(time.perf_counter())

        fitted = training.fit(plan.recipe(plan.whole_steps, repeat), labels, examples, targets_N, progress)
        steps.append(_clock(fitted.device) - ready[0])
        prepare.append(ready[0] - start)
    return {"steps": plan.whole_steps, "prepare_seconds": spread(prepare), "seconds": spread(steps)}


def _fit_of(way: str) -> str:
    return f"fit {way}"


def _fit_result(name: str, way: FitWay, measured: Mapping[str, Sequence[float]], gflop: Sequence[float]) -> Result:
    seconds = measured[_fit_of(name)]
    return {
        "words": way.words,
        "dtype": way.dtype,
        "seconds_per_step": spread(seconds),
        "ratio_to_tutorial": _ratios(measured[_fit_of(TUTORIAL)], seconds),
        "share_of_limit": _ratios([a / b for a, b in zip(gflop, seconds, strict=True)], measured[_limit_of(way.dtype)]),
    }


def seconds_per_step(
    fit: Fit,
    recipe: Recipe,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets_N: Ints,
    device: torch.device,
) -> float:
    """The mean of all steps but the first, which also makes the optimiser's state; it takes a fit of two or more."""
    ends: list[float] = []

    def progress(done: int, total: int) -> None:
        if done in (1, total):  # a look at a GPU's clock waits for it, which no fit has to do after each step
            ends.append(_clock(device))

    fit(recipe, labels, examples, targets_N, progress)
    return (ends[-1] - ends[0]) / (recipe.steps - 1)


def _in_a_fresh_process(
    fit: Fit, recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], targets_N: Ints
) -> Result:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fitting = pool.submit(peak_memory, fit, recipe, labels, examples, targets_N, torch.get_num_threads())
        return fitting.result()


def peak_memory(
    fit: Fit, recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], targets_N: Ints, threads: int
) -> Result:
    """Most MiB this process ever held, after a fit; on a GPU also the most that torch held there. Linux only."""
    torch.set_num_threads(threads)
    fit(recipe, labels, examples, targets_N, lambda done, total: None)
    # Not getrusage: its maximum includes the parent's memory at the moment this process was made.
    status = STATUS.read_text(encoding="utf-8")
    peak = {"resident_mib": int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[0]) / 1024}
    if pick_device(recipe.device).type == "cuda":
        peak["device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return peak


# How good a fit ends


def measure_quality(
    data: TextSet,
    plan: BenchmarkPlan,
    seeds: int,
    steps: int,
    command: str,
    earlier: Result | None = None,
    keep: Callable[[Result], None] = lambda quality: None,
    show: Show = lambda line: None,
) -> Result:
    """The tutorial's fit and ours on all of `train`, for each seed from 0 on, judged on `dev` and `test`.

    `keep` is given the result so far after every seed; the seeds of an `earlier` one are not fitted again. Raises as
    `training.fit` does, and `BadRunError` without the rivals' package or when `earlier` has another setting.
    """
    require_trainer()
    recipe = plan.settled().recipe(steps)
    shared = ("steps", "batch_size", "learning_rate", "warmup", "max_length", "precision")
    setting = {**_about(data, plan), "recipe": {name: getattr(recipe, name) for name in shared}}
    of_seeds: list[Result] = []
    if earlier is not None:
        require_same(setting, earlier["setting"], "This run", "the quality comparison in --out")
        of_seeds = list(earlier["seeds"])
    for seed in range(len(of_seeds), seeds):
        of_seeds.append({"seed": seed, **_quality_of_seed(data, replace(recipe, seed=seed), show)})
        keep(_quality_result(command, setting, of_seeds))
    return _quality_result(command, setting, of_seeds)


def _quality_of_seed(data: TextSet, recipe: Recipe, show: Show) -> Result:
    """By part (`dev`, and `test` where there is one) and by way, the scores."""
    learnt, targets_N = _with_targets(data.labels, data.train)
    judged = {name: part for name, part in data.parts().items() if part and name != "train"}
    scores: Result = {name: {} for name in judged}
    for way, fit in {TUTORIAL: fit_as_tutorial, OURS: training.fit}.items():
        show(f"quality of {way}, seed {recipe.seed}")
        classifier = fit(recipe, data.labels, learnt, targets_N, lambda done, total: None)
        for name, part in judged.items():
            examples, expected_N = _with_targets(data.labels, part)
            predictions_N = classifier.predict_proba(examples).argmax(axis=1)
            scores[name][way] = evaluate(expected_N, predictions_N, len(data.labels)).as_dict()
    return scores


def _quality_result(command: str, setting: Result, of_seeds: Sequence[Result]) -> Result:
    combined: Result = {}
    for part in [name for name in of_seeds[0] if name != "seed"]:
        theirs, ours = ([of[part][way]["combined"] for of in of_seeds] for way in (TUTORIAL, OURS))
        difference = [b - a for a, b in zip(theirs, ours, strict=True)]
        combined[part] = {TUTORIAL: _mean(theirs), OURS: _mean(ours), DIFFERENCE: _mean(difference)}
    return {"command": command, "setting": setting, "note": QUALITY_NOTE, "combined": combined, "seeds": list(of_seeds)}


def _mean(values: Sequence[float]) -> Result:
    """Mean, standard deviation (of a sample; None for a single value), and the values in their order."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard deviation": deviation, "values": list(values)}


# For people


def write_result(result: Result, out: Path) -> None:
    """`out`, which ends in `.json`, and the same as Markdown beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, result)
    out.with_suffix(".md").write_text(f"# Benchmark\n\n{to_markdown(result)}\n", encoding="utf-8")


def to_markdown(result: Result) -> str:
    """Tables, what they mean, and the commands: of the speed, of the quality, or of both, as the result has them."""
    blocks: list[str] = []
    if "scoring" in result:
        random = [RANDOM_NOTE] if result["plan"]["random_weights"] else []
        pool = [_pool_line(result["pool"])] if "pool" in result else []
        whole = [_whole_line(result["fit"]["whole"])] if "whole" in result["fit"] else []
        tables = (_scoring_table(result), *pool, _predict_table(result), _fit_table(result), *whole)
        blocks += [_about_line(result), *random, *tables, _shell(result["command"])]
    if "quality" in result:
        quality = result["quality"]
        blocks += [_about_line(quality["setting"]), _quality_table(quality), _shell(quality["command"])]
    return "\n\n".join(blocks)


def _about_line(about: Result) -> str:
    return (
        f"{about['machine']}; {about['device']}. {about['base_model']}; {about['data']['source']}. "
        f"{', '.join(f'{name} {version}' for name, version in about['versions'].items())}."
    )


def _shell(command: str) -> str:
    return f"```sh\n{command}\n```"


def _scoring_table(result: Result) -> str:
    scoring = result["scoring"]
    rows = [
        (
            f"{way['words']}, {way['dtype']}",
            f"{way['per_second']['median']:.0f}",
            *_ratio(way["ratio_to_naive"]),
            f"{way['share_of_limit']['median']:.0%}",
        )
        for way in scoring["ways"].values()
    ]
    speeds = ", ".join(f"{of['median']:.0f} in {name}" for name, of in scoring["limit_gflops"].items())
    return (
        f"{_table(('scoring', 'texts a second', 'times naive', 'smallest to largest', 'share of the limit'), rows)}\n\n"
        f"{scoring['examples']} texts that were not learnt from, {scoring['tokens_per_example']:.1f} word pieces and "
        f"{scoring['gflop_per_example']:.2f} GFLOP each. The limit is what matrix products of the model's shapes reach "
        f"on this machine, all of it on each product, in GFLOP/s: {speeds}. The share counts real tokens only. Order "
        f"by entropy, fast against exact: Spearman {scoring['spearman']:.5f} (of plain transformers under bf16 "
        f"autocast: {scoring['spearman_of_bf16_autocast']:.5f}); of the {scoring['top']} most uncertain, "
        f"{scoring['top_100_overlap']:.0%} are the same."
    )


def _pool_line(pool: Result) -> str:
    rate, ratio, share = (pool[name] for name in ("per_second", "ratio_to_naive", "share_of_limit"))
    return (
        f"A pool of {pool['texts']} texts ({pool['tokens_per_text']:.1f} word pieces each) that was tokenised before "
        f"(at {pool['tokenised_per_second']:.0f} a second): Nextlabel scores {rate['median']:.0f} a second "
        f"({rate['min']:.0f} to {rate['max']:.0f}), {ratio['median']:.0f} times as many as the pipeline one at a time "
        f"({ratio['min']:.0f} to {ratio['max']:.0f}; on {pool['naive_texts']} of them), {share['median']:.0%} of the "
        f"limit ({share['min']:.0%} to {share['max']:.0%})."
    )


def _whole_line(whole: Result) -> str:
    seconds, prepare = whole["seconds"], whole["prepare_seconds"]
    return (
        f"Nextlabel's fit of {whole['steps']} steps takes {seconds['median']:.2f} s ({seconds['min']:.2f} to "
        f"{seconds['max']:.2f}), after {prepare['median']:.2f} s to have model and data ready."
    )


def _predict_table(result: Result) -> str:
    predict = result["predict"]
    rows = [
        (
            way["words"],
            f"{way['p50_ms']['median']:.1f} ms",
            f"{way['p95_ms']['median']:.1f} ms",
            *_ratio(way["p50_ratio_to_naive"]),
        )
        for way in predict["ways"].values()
    ]
    return _table(("one text", "p50", "p95", "p50 times naive (less is faster)", "smallest to largest"), rows)


def _fit_table(result: Result) -> str:
    fit = result["fit"]
    rows = [
        (
            f"{way['words']}, {way['dtype']}",
            f"{way['seconds_per_step']['median']:.3g} s",
            *_ratio(way["ratio_to_tutorial"]),
            f"{way['share_of_limit']['median']:.0%}",
            ", ".join(f"{mib:.0f} MiB" for mib in way.get("memory", {}).values()) or "not measured",
        )
        for way in fit["ways"].values()
    ]
    head = (
        f"fit, batches of {fit['batch_size']}",
        "a step",
        "times as fast",
        "smallest to largest",
        "share of the limit",
        "peak memory",
    )
    return f"{_table(head, rows)}\n\n{fit['note']}"


def _quality_table(quality: Result) -> str:
    recipe, parts = quality["setting"]["recipe"], quality["combined"]
    named = {TUTORIAL: "the tutorial's way, fp32", OURS: f"Nextlabel, {recipe['precision']}", DIFFERENCE: "difference"}
    columns = [(f"{part}: {named[name]}", of) for part, ways in parts.items() for name, of in ways.items()]
    seeds = [
        (f"seed {of_seed['seed']}", *(_points(of["values"][i]) for _, of in columns))
        for i, of_seed in enumerate(quality["seeds"])
    ]
    mean, deviation = ((name, *(_points(of[name]) for _, of in columns)) for name in ("mean", "standard deviation"))
    return (
        f"{_table(('combined score', *(head for head, _ in columns)), [*seeds, mean, deviation])}\n\n"
        f"{recipe['steps']} steps of {recipe['batch_size']}, {recipe['warmup']:.0%} of them warm-up to a learning rate "
        f"of {recipe['learning_rate']:g}, on {quality['setting']['data']['learnt_from']} examples. {quality['note']}"
    )


def _points(share: float | None) -> str:
    return "not known" if share is None else f"{100 * share:.2f}"


def _ratio(of: Mapping[str, float]) -> tuple[str, str]:
    return f"{of['median']:.2f}", f"{of['min']:.2f} to {of['max']:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def markers(block: str = "") -> tuple[str, str]:
    """The lines that a benchmark stands between in a README, of which there may be several by name."""
    name = f"benchmark:{block}" if block else "benchmark"
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def check_readme(readme: Path, block: str = "") -> str:
    """The file's text. Raises `BadRunError` when it cannot be read or has not both markers once, in their order."""
    start, end = markers(block)
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRunError(f"{readme} cannot be read ({error.strerror}). Give the file to renew as --readme.") from None
    if text.count(start) != 1 or text.count(end) != 1 or text.index(end) < text.index(start):
        raise BadRunError(f"{readme} has no place for the benchmark. Add the two lines {start} and {end}.")
    return text


def update_readme(readme: Path, result: Result, block: str = "") -> bool:
    """Replace what is between the markers; True when that changed the file. Raises as `check_readme`."""
    text = check_readme(readme, block)
    start, end = markers(block)
    before, after = text.partition(start)[0], text.partition(end)[2]
    new = f"{before}{start}\n{to_markdown(result)}\n{end}{after}"
    readme.write_text(new, encoding="utf-8")
    return new != text
