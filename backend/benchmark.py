"""How fast we score, fit and answer, beside the ways others do it, in one run. Measures; knows no Label Studio.

Ways take turns (A, B, C, A, B, C, …), so that whatever else the machine does meets all of them. A ratio is made within
each repetition; its median is what is reported, with the smallest and the largest beside it.
"""

import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy, linear
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

from backend import __version__
from backend import classifier as classifiers
from backend.acquisition import Array, entropy_nats, most_informative_first
from backend.batching import Ints
from backend.classifier import MAX_GRADIENT_NORM, TOKEN_BUDGET, TOKEN_BUDGET_GPU, Classifier, Progress, Recipe
from backend.devices import describe, pick_device, pick_precision
from backend.errors import BadRunError
from backend.examples import Example
from backend.experiment import machine
from backend.textsets import Labelled, TextSet

Result = dict[str, Any]  # plain values, as JSON has them
Show = Callable[[str], None]
Fit = Callable[[Recipe, Sequence[str], Sequence[Example], Ints, Progress], object]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NAIVE, EXACT, FAST = "naive", "ours_fp32", "ours_fast"
TUTORIAL, OURS = "padded", "ours"
BATCH = 32  # of the rivals' scoring, and of every fit
TOP = 100  # the most uncertain, which an annotator is shown next
WARM_UP = 64  # examples that each way scores before the clock is looked at
STATUS = Path("/proc/self/status")  # Linux's page about this process
START, END = "<!-- benchmark -->", "<!-- /benchmark -->"

FLOP_COUNT = (
    "2 x multiplications of every linear layer for each real token, of both attention products by the text's real "
    "length, and of pooler and head once a text. Padding counts for nothing. The last layer counts in full, as plain "
    "transformers compute it, although ours spares most of it: the share is of useful work, not of work done."
)
FIT_NOTE = (
    "Rivals are a plain loop that takes the steps of Hugging Face's Trainer (AdamW, fp32, shuffled batches, gradients "
    "clipped at 1, linear decay) without its bookkeeping, not the Trainer itself. All texts are tokenised beforehand; "
    "a fit's first step is not counted. Peak memory is a whole process's, with Python and torch in it."
)


@dataclass(frozen=True)
class Plan:
    """How much is measured. `examples` caps the texts that are scored (None: all that were not learnt from)."""

    base_model: str
    device: str = "auto"
    repeats: int = 5
    warm_steps: int = 60  # a fit's steps before scoring, so that entropies are spread
    examples: int | None = None
    singles: int = 50  # texts that are answered one by one, in each repetition
    fit_steps: int = 8  # that are measured, in each repetition
    learning_rate: float = 1e-4
    max_length: int = 128  # word pieces: what the tutorial pads to
    memory: bool = True

    def quick(self) -> "Plan":
        """The least that still says something: less than three minutes for a small model on two cores."""
        return replace(self, repeats=3, warm_steps=30, examples=256, singles=20, fit_steps=3, memory=False)

    def recipe(self, steps: int, seed: int = 0) -> Recipe:
        """A fit of so many steps."""
        return Recipe(self.base_model, steps, self.learning_rate, BATCH, self.max_length, seed, self.device)


def measure(data: TextSet, plan: Plan, command: str, show: Show = lambda line: None) -> Result:
    """Everything, as JSON has it. Fits on `train`; scores `test`, or `dev` where there is no test part.

    Raises as `classifier.fit` does, and `BadRunError` for a model whose operations cannot be counted.
    """
    # The pipeline would switch the tokenizer's threads off, for us too. Set, it leaves the variable alone.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    learnt, targets_N = _with_targets(data)
    unseen = [example for example, _ in _unseen(data, plan.examples)]
    show(f"fitting {plan.warm_steps} steps")
    classifier = classifiers.fit(plan.recipe(plan.warm_steps), data.labels, learnt, targets_N)
    scoring = measure_scoring(classifier, unseen, plan.repeats, show)
    predict = measure_predict(classifier, unseen[: plan.singles], plan.repeats, show)
    return {
        **_about(data, plan, command),
        "scoring": scoring,
        "fit": measure_fit(plan, data.labels, learnt, targets_N, show),
        "predict": predict,
    }


def _about(data: TextSet, plan: Plan, command: str) -> Result:
    return {
        "command": command,
        "machine": machine(),
        "device": describe(plan.device),
        "versions": {
            "nextlabel": __version__,
            "python": platform.python_version(),
            **classifiers.package_versions(),
        },
        "data": {"source": data.source, "fingerprint": data.fingerprint, "learnt_from": len(data.train)},
        "base_model": classifiers.identity(plan.base_model),
        "plan": {**asdict(plan), "base_model": Path(plan.base_model).name},
    }


def _with_targets(data: TextSet) -> tuple[list[Example], Ints]:
    number = {label: i for i, label in enumerate(data.labels)}
    return [example for example, _ in data.train], np.array([number[label] for _, label in data.train])


def _unseen(data: TextSet, most: int | None) -> Sequence[Labelled]:
    unseen = data.test or data.dev
    if most is None or most >= len(unseen):
        return unseen
    chosen = np.random.default_rng(0).choice(len(unseen), size=most, replace=False)
    return [unseen[i] for i in np.sort(chosen)]


# Clocks and numbers


def interleave(
    actions: Mapping[str, Callable[[int], float]], repeats: int, show: Show = lambda line: None
) -> dict[str, list[float]]:
    """What each action measured in each repetition, which it is given the number of. They take turns: A, B, A, B, …"""
    measured: dict[str, list[float]] = {name: [] for name in actions}
    for repeat in range(repeats):
        for name, action in actions.items():
            show(f"{name}, {repeat + 1} of {repeats}")
            measured[name].append(action(repeat))
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


def _seconds_of_product(rows: int, inner: int, outer: int, dtype: torch.dtype, device: torch.device) -> float:
    x = torch.randn(rows, inner, device=device).to(dtype)
    weight = torch.randn(outer, inner, device=device).to(dtype)
    products = [lambda: linear(x, weight)]
    if device.type == "cpu" and dtype == torch.float32 and torch._C._has_mkldnn:
        # torch hands fp32 to MKL; oneDNN, which we use, is faster on some processors. The limit is the better one.
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], ""))
    launches = 10 if device.type == "cuda" else 1  # a single one is over before a GPU's clock can be read
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
    ways, shape = scoring_ways(classifier), shape_of(classifier.model.config)
    probs: dict[str, Array] = {}

    def limit_of(dtype: torch.dtype, repeat: int) -> float:
        tokens = TOKEN_BUDGET if classifier.device.type == "cpu" else TOKEN_BUDGET_GPU
        return limit(shape, tokens, dtype, classifier.device)

    def seconds_of(name: str, repeat: int) -> float:
        start = _clock(classifier.device)
        probs[name] = ways[name].score(examples)
        return _clock(classifier.device) - start

    for way in ways.values():
        way.score(examples[:WARM_UP])
    limits = {f"limit {name}": partial(limit_of, dtype) for name, dtype in DTYPES.items()}
    measured = interleave({**limits, **{name: partial(seconds_of, name) for name in ways}}, repeats, show)
    texts, pairs = _texts(examples)
    encoded = classifier.tokenizer(texts, pairs, truncation=True, max_length=classifier.max_length)
    lengths_N = np.array([len(ids) for ids in encoded["input_ids"]])
    return _scoring_result(ways, measured, probs, lengths_N, flop(shape, lengths_N))


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
            "share_of_limit": _ratios([operations / 1e9 / s for s in measured[name]], measured[f"limit {way.dtype}"]),
            "largest_difference": float(np.abs(probs[name] - probs[NAIVE]).max()),
        }
        for name, way in ways.items()
    }
    fast_N, exact_N = entropy_nats(probs[FAST]), entropy_nats(probs[EXACT])
    top = max(1, min(TOP, len(lengths_N) // 2))  # all of few examples would be the same whatever the order
    return {
        "ratio_to_naive": of_ways[FAST]["ratio_to_naive"]["median"],
        "share_of_limit": of_ways[FAST]["share_of_limit"]["median"],
        "spearman": spearman(fast_N, exact_N),
        "top_100_overlap": top_overlap(fast_N, exact_N, top),
        "top": top,
        "examples": len(lengths_N),
        "tokens_per_example": float(lengths_N.mean()),
        "gflop_per_example": operations / 1e9 / len(lengths_N),
        "entropy_nats": {"min": float(exact_N.min()), "median": float(np.median(exact_N)), "max": float(exact_N.max())},
        "flop_count": FLOP_COUNT,
        "limit_gflops": {name: spread(measured[f"limit {name}"]) for name in DTYPES},
        "ways": of_ways,
    }


# One text, as a person waits for it


def measure_predict(
    classifier: Classifier, examples: Sequence[Example], repeats: int, show: Show = lambda line: None
) -> Result:
    """Milliseconds from one text to its probabilities, tokenising included; the ways take turns on each text."""
    pipe = _pipeline(classifier)
    ways: dict[str, Callable[[Example], object]] = {
        "naive": lambda example: pipe([_as_input(example)], truncation=True),
        "ours": lambda example: classifier.predict_proba([example]),  # as /predict does
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
            "words": words,
            "p50_ms": spread(p50[name]),
            "p95_ms": spread(p95[name]),
            "p50_ratio_to_naive": _ratios(p50[name], p50["naive"]),
        }
        for name, words in (("naive", "transformers pipeline"), ("ours", "Nextlabel, exact"))
    }
    return {
        "p50_ratio_to_naive": of_ways["ours"]["p50_ratio_to_naive"]["median"],
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


def plain_fit(
    recipe: Recipe,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets_N: Ints,
    progress: Progress,
    padding: str,
) -> None:
    """The rivals' fit: what Hugging Face's Trainer does with its defaults, `padding` to "max_length" or "longest"."""
    device = pick_device(recipe.device)
    torch.manual_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(recipe.base_model)
    model = AutoModelForSequenceClassification.from_pretrained(
        recipe.base_model, num_labels=len(labels), dtype=torch.float32, ignore_mismatched_sizes=True
    )
    model = model.to(device).train()
    texts, pairs = _texts(examples)
    encoded = tokenizer(texts, pairs, truncation=True, max_length=recipe.max_length)
    targets = torch.as_tensor(targets_N, device=device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(optimiser, 0, recipe.steps)
    batches = shuffled_batches(len(examples), recipe.batch_size, recipe.steps, np.random.default_rng(recipe.seed))
    for step, batch in enumerate(batches, start=1):
        rows = {key: [encoded[key][i] for i in batch] for key in encoded}
        inputs = tokenizer.pad(rows, padding=padding, max_length=recipe.max_length, return_tensors="pt").to(device)
        torch.autograd.backward(cross_entropy(model(**inputs).logits, targets[batch]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        progress(step, recipe.steps)


def shuffled_batches(count: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[Ints]:
    """`steps` batches of positions, every epoch in a new random order; an epoch's last batch may be smaller."""
    made = 0
    while made < steps:
        order = rng.permutation(count)
        for start in range(0, count, size)[: steps - made]:
            yield order[start : start + size]
            made += 1


FITS: Mapping[str, Fit] = {
    TUTORIAL: partial(plain_fit, padding="max_length"),
    "dynamic": partial(plain_fit, padding="longest"),
    OURS: classifiers.fit,
}


def measure_fit(
    plan: Plan,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets_N: Ints,
    show: Show = lambda line: None,
) -> Result:
    """Seconds of an optimiser step on batches of `BATCH`. Each repetition draws examples, the same for every way."""

    def drawn(repeat: int) -> tuple[Recipe, Sequence[str], Sequence[Example], Ints]:
        # Whole batches only, and as many as steps: ours sorts by length, and must not be lucky with short ones.
        count = min(plan.fit_steps, len(examples) // BATCH) * BATCH
        chosen = np.random.default_rng(repeat).permutation(len(examples))[:count]
        return plan.recipe(plan.fit_steps + 1, repeat), labels, [examples[i] for i in chosen], targets_N[chosen]

    device = pick_device(plan.device)
    actions = {
        name: lambda repeat, fit=fit: seconds_per_step(fit, *drawn(repeat), device) for name, fit in FITS.items()
    }
    measured = interleave({f"fit {name}": action for name, action in actions.items()}, plan.repeats, show)
    seconds = {name: measured[f"fit {name}"] for name in FITS}
    words = {
        TUTORIAL: f"padded to {plan.max_length}, fp32 (the tutorial's way)",
        "dynamic": "padded to the longest of the batch, fp32",
        OURS: f"Nextlabel, {_name(pick_precision('auto', device))}",
    }
    of_ways: dict[str, Result] = {
        name: {
            "words": words[name],
            "seconds_per_step": spread(seconds[name]),
            "ratio_to_tutorial": _ratios(seconds[TUTORIAL], seconds[name]),
        }
        for name in FITS
    }
    if plan.memory and STATUS.exists():
        for name in FITS:
            show(f"memory of {name}")
            of_ways[name]["memory"] = _in_a_fresh_process(name, *drawn(0))
    ratio = of_ways[OURS]["ratio_to_tutorial"]["median"]
    return {"ratio_to_tutorial": ratio, "batch_size": BATCH, "note": FIT_NOTE, "ways": of_ways}


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
    name: str, recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], targets_N: Ints
) -> Result:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fitting = pool.submit(peak_memory, name, recipe, labels, examples, targets_N, torch.get_num_threads())
        return fitting.result()


def peak_memory(
    name: str, recipe: Recipe, labels: Sequence[str], examples: Sequence[Example], targets_N: Ints, threads: int
) -> Result:
    """Most MiB this process ever held, after a fit; on a GPU also the most that torch held there. Linux only."""
    torch.set_num_threads(threads)
    FITS[name](recipe, labels, examples, targets_N, lambda done, total: None)
    # Not getrusage: its maximum includes the parent's memory at the moment this process was made.
    status = STATUS.read_text(encoding="utf-8")
    peak = {"resident_mib": int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[0]) / 1024}
    if pick_device(recipe.device).type == "cuda":
        peak["device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return peak


# For people


def write_result(result: Result, out: Path) -> None:
    """`out`, which ends in `.json`, and the same as Markdown beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(f"# Benchmark\n\n{to_markdown(result)}\n", encoding="utf-8")


def to_markdown(result: Result) -> str:
    """Tables, what they mean, and the command."""
    about = (
        f"{result['machine']}; {result['device']}. {result['base_model']}; {result['data']['source']}. "
        f"{', '.join(f'{name} {version}' for name, version in result['versions'].items())}."
    )
    blocks = (about, _scoring_table(result), _predict_table(result), _fit_table(result))
    return "\n\n".join([*blocks, f"```sh\n{result['command']}\n```"])


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
        f"on this machine, in GFLOP/s: {speeds}. The share counts real tokens only. Order by entropy, fast against "
        f"exact: Spearman {scoring['spearman']:.5f}; of the {scoring['top']} most uncertain, "
        f"{scoring['top_100_overlap']:.0%} are the same."
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
            way["words"],
            f"{way['seconds_per_step']['median']:.3g} s",
            *_ratio(way["ratio_to_tutorial"]),
            ", ".join(f"{mib:.0f} MiB" for mib in way.get("memory", {}).values()) or "not measured",
        )
        for way in fit["ways"].values()
    ]
    head = (f"fit, batches of {fit['batch_size']}", "a step", "times as fast", "smallest to largest", "peak memory")
    return f"{_table(head, rows)}\n\n{fit['note']}"


def _ratio(of: Mapping[str, float]) -> tuple[str, str]:
    return f"{of['median']:.2f}", f"{of['min']:.2f} to {of['max']:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def check_readme(readme: Path) -> str:
    """The file's text. Raises `BadRunError` when it cannot be read or has not both markers once, in their order."""
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRunError(f"{readme} cannot be read ({error.strerror}). Give the file to renew as --readme.") from None
    if text.count(START) != 1 or text.count(END) != 1 or text.index(END) < text.index(START):
        raise BadRunError(f"{readme} has no place for the benchmark. Add the two lines {START} and {END}.")
    return text


def update_readme(readme: Path, result: Result) -> bool:
    """Replace what is between the markers; True when that changed the file. Raises as `check_readme`."""
    text = check_readme(readme)
    before, after = text.partition(START)[0], text.partition(END)[2]
    new = f"{before}{START}\n{to_markdown(result)}\n{END}{after}"
    readme.write_text(new, encoding="utf-8")
    return new != text
