"""Checks on an NVIDIA GPU what tests on a CPU cannot see: recorded steps, memory that runs out, threads side by side.

Needs nothing of Label Studio.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch
from torch.nn.functional import dropout
from transformers import (
    AutoTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from nextlabel.errors import BadSettingError, NoMemoryError
from nextlabel.lab.benchmark.clock import spearman, top_overlap
from nextlabel.lab.demo import small_checkpoint
from nextlabel.learning.heads import probabilities
from nextlabel.learning.strategies import entropy_nats
from nextlabel.model.classifier import Classifier, Recipe, load, package_versions
from nextlabel.model.cuda_graphs import Replayed, Work
from nextlabel.model.training import fit
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import of_pairs

GPU = torch.device("cuda")
MIB = 2**20
PAIRS = of_pairs(own_pairs())
LEARNT, UNSEEN = [e for e, _ in PAIRS.train], [e for e, _ in PAIRS.test or PAIRS.dev]
TARGETS_N = np.array([PAIRS.labels.index(label) for _, label in PAIRS.train])


def check_all(base_model: str | None, show: Callable[[str], None]) -> tuple[str, int]:
    """Every check: the page as Markdown, and how many do not hold. `show` is given each row as it comes."""
    if not torch.cuda.is_available():
        raise BadSettingError("There is no GPU that torch can use on this machine. Run this where there is one.")
    model = base_model or str(small_checkpoint())
    recipe = Recipe(model, 120, 1e-4, 32, 128, seed=0, device="cuda", precision="bf16")
    rows, failed = [], 0
    for check in CHECKS:
        start = time.perf_counter()
        try:
            found = check(recipe)
        except Exception as error:
            logging.exception(check.__name__)
            found, failed = f"**does not hold**: {type(error).__name__} {error}", failed + 1
        rows.append(f"| {check.__doc__} | {found} | {time.perf_counter() - start:.1f} |")
        show(rows[-1])
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    about = f"{torch.cuda.get_device_name()}; {versions}. {len(CHECKS) - failed} of {len(CHECKS)} hold."
    head = ["# Checks on a GPU", "", about, "", "| check | found | seconds |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows]), failed


def require(condition: bool, words: str) -> None:
    """Raises `AssertionError` with the words; as `assert`, but never switched off."""
    if not condition:
        raise AssertionError(words)


def fitted(recipe: Recipe) -> Classifier:
    """As the trainer fits."""
    return fit(recipe, PAIRS.labels, LEARNT, TARGETS_N)


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many graphs were recorded."""
    count, record = [0], Replayed._record

    def counting(self: Replayed, rows: torch.Tensor, length: int) -> None:
        before = len(self._recorded)
        record(self, rows, length)
        count[0] += len(self._recorded) - before

    with patch.object(Replayed, "_record", counting):
        yield count


@contextmanager
def limited(mib: float) -> Iterator[None]:
    """Let torch have so much of the GPU's memory and no more."""
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction(mib * MIB / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        gc.collect()
        torch.cuda.empty_cache()


def weights_of(classifier: Classifier) -> torch.Tensor:
    """All of them in a row, on the CPU."""
    return torch.cat([weight.detach().flatten().cpu() for weight in classifier.model.parameters()])


def exact_on_both(recipe: Recipe) -> str:
    """A version gives the same probabilities on the GPU as on the CPU, in fp32, after it was saved and loaded"""
    with TemporaryDirectory() as directory:
        fitted(replace(recipe, steps=20)).save(Path(directory))
        on_gpu, on_cpu = (load(Path(directory), device, "fp32").predict_proba(UNSEEN) for device in ("cuda", "cpu"))
    difference = float(np.abs(on_gpu - on_cpu).max())
    require(difference < 1e-4, f"{difference:.1e} apart")
    return f"{difference:.1e} apart at most, {len(UNSEEN)} pairs"


def features_beside_logits(recipe: Recipe) -> str:
    """What the last layer reads in the fast pass gives, by the fitted head, what the pass gives"""
    classifier = fitted(recipe)
    probs_NC, features_ND = classifier.predict_with_features(UNSEEN, exact=False)
    difference = float(np.abs(probabilities(classifier.last_layer, features_ND) - probs_NC).max())
    require(difference < 5e-3, f"{difference:.1e} apart")
    return f"{difference:.1e} apart at most, in half precision"


def fast_order(recipe: Recipe) -> str:
    """The fast precision ranks unseen pairs as fp32 does"""
    classifier = fitted(recipe)
    exact_N, fast_N = (entropy_nats(classifier.predict_proba(UNSEEN, exact)) for exact in (True, False))
    rank, same = spearman(fast_N, exact_N), top_overlap(fast_N, exact_N, min(100, len(UNSEEN) // 2))
    require(rank > 0.999 and same >= 0.95, f"Spearman {rank:.5f}, overlap {same:.2f}")
    return f"Spearman {rank:.5f}; of the most uncertain, {same:.0%} are the same"


def steps_are_recorded(recipe: Recipe) -> str:
    """Recorded steps lead to the same weights as launched ones (fp32, no dropout, 40 steps)"""
    with TemporaryDirectory() as directory:
        still = without_dropout(recipe, Path(directory))
        start = weights_of(fitted(replace(still, steps=1, learning_rate=1e-12)))
        with counted() as count:
            recorded = weights_of(fitted(still))
        with patch("nextlabel.model.classifier.Replayed", plainly):
            launched = weights_of(fitted(still))
    require(count[0] > 0, "nothing was recorded")
    apart = float((recorded - launched).norm() / (launched - start).norm())
    require(apart < 0.02, f"{apart:.1e} of the way apart")
    return f"{count[0]} graphs; {apart:.1e} of the way apart"


def without_dropout(recipe: Recipe, directory: Path) -> Recipe:
    """A recipe of 40 steps in fp32 from the same checkpoint with its dropout rates at 0."""
    classifier = fitted(replace(recipe, steps=1, learning_rate=1e-12))
    config = classifier.model.config
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    classifier.save(directory)
    return replace(recipe, base_model=str(directory), steps=40, precision="fp32")


def plainly(work: Work, device: torch.device) -> Work:
    """In the place of `Replayed`."""
    return work


def dropout_is_drawn_anew(recipe: Recipe) -> str:
    """Each replay draws its own dropout"""
    out = torch.zeros(10_000, device=GPU)

    def draw(rows: torch.Tensor, length: int) -> None:
        out.copy_(dropout(rows.float(), 0.5))

    replayed, drawn = Replayed(draw, GPU), []
    for _ in range(5):
        replayed(torch.ones(10_000, device=GPU), 1)
        drawn.append(out.clone())
    same = max(float((a == b).float().mean()) for i, a in enumerate(drawn) for b in drawn[:i])
    require(len(replayed._recorded) == 1 and same < 0.55, f"{same:.0%} are the same in two of five")
    return f"at most {same:.0%} of elements are the same in any two of five"


def repeatable(recipe: Recipe) -> str:
    """The same seed gives nearly the same classifier (to the bit on a CPU)"""
    first, second = (fitted(recipe) for _ in range(2))
    bits = "to the bit" if torch.equal(weights_of(first), weights_of(second)) else "not to the bit"
    apart = float(np.abs(first.predict_proba(UNSEEN) - second.predict_proba(UNSEEN)).max())
    return f"{bits}; probabilities of unseen pairs {apart:.1e} apart at most"


def other_models(recipe: Recipe) -> str:
    """RoBERTa and DistilBERT, which transformers computes, are recorded too"""
    said = []
    tokenizer = AutoTokenizer.from_pretrained(recipe.base_model)
    size, pad = len(tokenizer), tokenizer.pad_token_id
    models = {
        "RoBERTa": RobertaForSequenceClassification(
            RobertaConfig(
                vocab_size=size,
                hidden_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=256,
                max_position_embeddings=140,
                type_vocab_size=2,
                pad_token_id=pad,
            )
        ),
        "DistilBERT": DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=size, n_layers=2, n_heads=4, dim=128, hidden_dim=256, pad_token_id=pad)
        ),
    }
    for name, model in models.items():
        with TemporaryDirectory() as directory, counted() as count:
            model.save_pretrained(directory)
            tokenizer.save_pretrained(directory)
            classifier = fitted(replace(recipe, base_model=directory, steps=30, max_length=64))
            probs = [classifier.predict_proba(UNSEEN, exact) for exact in (True, False)]
        require(
            bool(np.isfinite(probs[0]).all()) and float(np.abs(probs[0] - probs[1]).max()) < 0.05, f"{name} went wrong"
        )
        said.append(f"{name}: {count[0]} graphs")
    require(all(not words.endswith(" 0 graphs") for words in said), "; ".join(said))
    return "; ".join(said)


def no_memory_to_record(recipe: Recipe) -> str:
    """Where memory does not suffice to record a step it is launched, and the next fit is recorded as ever"""
    drawn = []

    def greedy(rows: torch.Tensor, length: int) -> None:
        torch.empty(2**46 if torch.cuda.is_current_stream_capturing() else 1, device=GPU)
        drawn.append(dropout(rows.float(), 0.5))

    replayed = Replayed(greedy, GPU)
    with warnings_of("backend") as lines:
        for _ in range(4):
            replayed(torch.ones(10_000, device=GPU), 1)
    require(len(drawn) == 4 and len(replayed._recorded) == 0, f"{len(drawn)} of 4, {len(replayed._recorded)} graphs")
    require(len(lines) == 1, f"said {lines}")
    with counted() as count:
        fitted(replace(recipe, steps=30))
    require(count[0] > 0, "the next fit was not recorded")
    return f"{len(drawn)} of 4 done; then {count[0]} graphs"


def fits_in_pieces(recipe: Recipe) -> str:
    """A fit that the GPU's memory does not hold is computed in pieces"""
    large = replace(recipe, steps=12, batch_size=256)
    torch.cuda.reset_peak_memory_stats()
    fitted(large)
    peak = torch.cuda.max_memory_allocated() / MIB
    with limited(peak / 2), warnings_of("backend") as lines:
        probs_NC = fitted(large).predict_proba(UNSEEN)
    require(bool(np.isfinite(probs_NC).all()), "its weights are not numbers")
    require(any("pieces" in line for line in lines), f"nothing was cut: {lines}")
    return f"{peak:.0f} MiB wanted, {peak / 2:.0f} given; {lines[-1]}"


def scores_in_halves(recipe: Recipe) -> str:
    """A batch to score that the GPU's memory does not hold is computed in halves, with the same result"""
    classifier = fitted(replace(recipe, steps=2))
    many = LEARNT * 8
    expected_NC = classifier.predict_proba(many)
    weights = torch.cuda.memory_allocated() / MIB
    with limited(weights + 200), warnings_of("backend") as lines:
        found_NC = classifier.predict_proba(many)
    difference = float(np.abs(found_NC - expected_NC).max())
    require(any("halves" in line for line in lines), f"nothing was cut: {lines}")
    require(difference < 1e-5, f"{difference:.1e} apart")
    return f"{len(many)} pairs with 200 MiB beside the weights; {len(lines)} cuts; {difference:.1e} apart"


def says_so_without_memory(recipe: Recipe) -> str:
    """Where not even one example fits, an error says so, and the next fit is as good as ever"""
    try:
        with limited(torch.cuda.memory_allocated() / MIB + 60):
            fitted(replace(recipe, steps=2))
    except NoMemoryError as error:
        said = str(error)
    else:
        raise AssertionError("60 MiB sufficed")
    fitted(replace(recipe, steps=2))
    return said.partition(" (")[0]


def side_by_side(recipe: Recipe) -> str:
    """Another thread scores while steps are recorded and replayed"""
    other = fitted(replace(recipe, steps=20))
    expected_NC = other.predict_proba(UNSEEN)
    stop, found, furthest = threading.Event(), [0], [0.0]

    def score() -> None:
        while not stop.is_set():
            furthest[0] = max(furthest[0], float(np.abs(other.predict_proba(UNSEEN) - expected_NC).max()))
            found[0] += 1

    thread = threading.Thread(target=score)
    thread.start()
    try:
        with counted() as count:
            probs_NC = fitted(recipe).predict_proba(UNSEEN)
    finally:
        stop.set()
        thread.join()
    require(count[0] > 0 and found[0] > 2, f"{count[0]} graphs, {found[0]} passes")
    require(furthest[0] < 1e-5 and bool(np.isfinite(probs_NC).all()), f"scores {furthest[0]:.1e} apart")
    return f"{count[0]} graphs recorded beside {found[0]} passes, whose scores stay ({furthest[0]:.1e})"


def memory_comes_back(recipe: Recipe) -> str:
    """A fit leaves nothing behind but its classifier"""
    held = []
    for _ in range(4):
        classifier = fitted(replace(recipe, steps=20))
        del classifier
        gc.collect()
        torch.cuda.empty_cache()
        held.append(torch.cuda.memory_reserved() / MIB)
    require(held[-1] <= held[1] + 2, f"{held} MiB")
    return f"after 4 fits {held[-1]:.0f} MiB are reserved, after 2 {held[1]:.0f}"


@contextmanager
def warnings_of(name: str) -> Iterator[list[str]]:
    """What a package warns of in its log."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


CHECKS = (
    exact_on_both,
    features_beside_logits,
    fast_order,
    steps_are_recorded,
    dropout_is_drawn_anew,
    repeatable,
    other_models,
    no_memory_to_record,
    fits_in_pieces,
    scores_in_halves,
    says_so_without_memory,
    side_by_side,
    memory_comes_back,
)
