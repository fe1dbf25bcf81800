"""How fast classifiers score: a pool, a large pool, and one text that a person waits for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from nextlabel.lab.benchmark.clock import clock, interleave, ratios, spearman, spread, top_overlap
from nextlabel.lab.benchmark.limits import FLOP_COUNT, flop, limit_actions, limit_of, seconds_each, shape_of
from nextlabel.lab.benchmark.plan import DTYPES, Result, Show, precision_name
from nextlabel.lab.benchmark.rivals import (
    AUTOCAST,
    EXACT,
    FAST,
    NAIVE,
    Way,
    as_input,
    make_pipeline,
    score_by_pipeline,
    score_padded,
    scoring_ways,
)
from nextlabel.learning.strategies import entropy_nats
from nextlabel.model.classifier import Classifier
from nextlabel.model.tokens import TokenCache
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example

TOP = 100  # the most uncertain, which an annotator is shown next
NAIVE_TEXTS = 200  # of a large pool: all would take the naive way an hour
WARM_UP = 64  # examples that each way scores before the clock is looked at


def measure_scoring(
    classifier: Classifier, examples: Sequence[Example], repeats: int, show: Show = lambda line: None
) -> Result:
    """Every way scores the same examples, tokenising included; the machine's limit is measured among them."""
    ways = scoring_ways(classifier)
    probs: dict[str, Array] = {}

    def seconds_of(name: str, repeat: int) -> float:
        start = clock(classifier.device)
        probs[name] = ways[name].score(examples)
        return clock(classifier.device) - start

    for way in ways.values():
        way.score(examples[:WARM_UP])
    seconds = {name: partial(seconds_of, name) for name in ways}
    ours = {name: seconds.pop(name) for name in (EXACT, FAST)}
    measured = interleave(seconds, repeats, show, after_each={**limit_actions(classifier), **ours})
    with torch.autocast(classifier.device.type, dtype=torch.bfloat16):
        probs[AUTOCAST] = score_padded(classifier, examples)  # what rounding does to the order without our doing
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
            "ratio_to_naive": ratios(measured[NAIVE], measured[name]),
            "share_of_limit": ratios([operations / 1e9 / s for s in measured[name]], measured[limit_of(way.dtype)]),
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
        "limit_gflops": {name: spread(measured[limit_of(name)]) for name in DTYPES},
        "ways": of_ways,
    }


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
    few, pipe = examples[:NAIVE_TEXTS], make_pipeline(classifier)
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
        tokenising = seconds_each(partial(cached.token_counts, examples), 1, classifier.device)
        cached.predict_proba(examples, exact=False)
        actions: dict[str, Callable[[int], float]] = {
            **limit_actions(classifier),
            NAIVE: lambda repeat: seconds_each(
                partial(score_by_pipeline, pipe, cached.labels, 1, few), 1, cached.device
            ),
            FAST: lambda repeat: seconds_each(partial(cached.predict_proba, examples, exact=False), 1, cached.device),
        }
        measured = interleave(actions, repeats, show)
        lengths_N = cached.token_counts(examples)
    operations = flop(shape_of(classifier.model.config), lengths_N) / 1e9
    per_second = {
        name: [count / seconds for seconds in measured[name]]
        for name, count in ((NAIVE, len(few)), (FAST, len(examples)))
    }
    limits = measured[limit_of(precision_name(classifier.precision))]
    return {
        "texts": len(examples),
        "tokens_per_text": float(lengths_N.mean()),
        "tokenised_per_second": len(examples) / tokenising,
        "naive_texts": len(few),
        "naive_per_second": spread(per_second[NAIVE]),
        "per_second": spread(per_second[FAST]),
        "ratio_to_naive": ratios(per_second[FAST], per_second[NAIVE]),
        "share_of_limit": ratios([operations / seconds for seconds in measured[FAST]], limits),
        "limit_gflops": spread(limits),
    }


def measure_predict(
    classifier: Classifier, examples: Sequence[Example], repeats: int, show: Show = lambda line: None
) -> Result:
    """Milliseconds from one text to its probabilities, tokenising included; the ways take turns on each text."""
    pipe, fast = make_pipeline(classifier), precision_name(classifier.precision)
    ways: dict[str, Callable[[Example], object]] = {
        NAIVE: lambda example: pipe([as_input(example)], truncation=True),
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
            "p50_ratio_to_naive": ratios(p50[name], p50[NAIVE]),
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
            milliseconds[name].append(1000 * seconds_each(partial(way, example), 1, device))
    return milliseconds
