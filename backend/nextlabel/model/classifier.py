"""A BERT-like text classifier: fit, predict, save, load. Imports torch and transformers; knows no Label Studio."""

import copy
import hashlib
import inspect
import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy
from transformers import get_linear_schedule_with_warmup

from nextlabel.errors import NoMemoryError, NoModelError
from nextlabel.model.batching import fitting_batches, scoring_batches
from nextlabel.model.checkpoints import (
    OwnDraws,
    checked_length,
    from_pretrained,
    identity,
    too_long,
    unknown_shares,
)
from nextlabel.model.cuda_graphs import Replayed, Work
from nextlabel.model.device_tokens import Batch, DeviceTokens, Side
from nextlabel.model.devices import pick_device, pick_precision
from nextlabel.model.encoder import BertForward, fast_forward
from nextlabel.model.kernels import Packed
from nextlabel.model.parallel import side_by_side
from nextlabel.model.probing import (
    REFUSALS,
    TEXTS,
    is_out_of_memory,
    padding_side,
    through_all_layers,
    wants_fewer,
    why_not,
)
from nextlabel.model.tokens import (
    TokenCache,
    Tokens,
    joined,
    of_lists,
)
from nextlabel.model.word_table import rows_in_use
from nextlabel.processes import trim_heap
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example

__all__ = ["BaseCheck", "Classifier", "Progress", "Recipe", "check_base", "fit", "load", "load_base"]
__all__ += ["identity", "package_versions", "unknown_shares"]  # of checkpoints, for those who ask here

log = logging.getLogger(__name__)
torch.backends.cuda.enable_cudnn_sdp(False)  # it makes a plan for each shape that it meets, in a tenth of a second

TOKEN_BUDGET = 1536  # padded tokens a scoring batch on a CPU: larger ones fall out of its caches
TOKEN_BUDGET_GPU = 65536
# Lengths are rounded up to a multiple, so that few differ: for each shape oneDNN first makes kernels, in milliseconds,
# and on a GPU a fit's steps are recorded.
LENGTH_STEP, LENGTH_STEP_GPU = 8, 16
# Models whose forward pass asks the GPU nothing. With any other, a recording would fail, and leave torch's generator of
# random numbers in a state in which no later fit can run. They are padded on the right and compute in bf16, too; of any
# other that is found out by trying.
RECORDABLE = tuple(f"{name}ForSequenceClassification" for name in ("Bert", "Roberta", "XLMRoberta", "DistilBert"))
TOKENISED = 4096  # texts at a time
MORE = 3  # word pieces of padding that even the longest text is tried with
MAX_GRADIENT_NORM = 1.0

Progress = Callable[[int, int], None]
Forward = Callable[..., torch.Tensor]  # from a padded batch to logits (N, C)


@dataclass(frozen=True)
class Recipe:
    """How a version is fitted. `device` and `precision` as in the settings; `warmup` is a share of the steps."""

    base_model: str
    steps: int
    learning_rate: float
    batch_size: int
    max_length: int
    seed: int
    device: str = "auto"
    precision: str = "auto"
    warmup: float = 0.1  # tames the variance between seeds (Mosbach et al. 2021)


class Classifier:
    """Weights, tokenizer and labels, resident on one device. `predict_proba` changes nothing and may be called often.

    `labels` name the classes 0 … C-1. `precision` is used where `exact=False` allows it. With a `cache` no text is
    tokenised twice; examples with equal ids must then be equal. `padding` says where the model wants it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        labels: Sequence[str],
        device: torch.device,
        precision: torch.dtype,
        cache: TokenCache | None = None,
        padding: Side = Side.RIGHT,
    ):
        self.labels = tuple(labels)
        self.device = device
        self.precision = precision
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.cache = cache
        self.padding = padding
        self.why_fp32 = ""  # where another precision was asked for, and the model cannot compute in it
        taken = inspect.signature(model.forward).parameters.values()
        self._arguments = {argument.name for argument in taken}
        self._takes_any = any(argument.kind is argument.VAR_KEYWORD for argument in taken)
        self._ready: dict[bool, Forward] = {}  # of weights that change no more, by whether it is fast

    @property
    def max_length(self) -> int:
        """Word pieces that are read; what is longer is cut at the end of the longer text."""
        return int(self.tokenizer.model_max_length)

    def predict_proba(self, examples: Sequence[Example], exact: bool = True, progress: Progress | None = None) -> Array:
        """Class probabilities, float64 of shape (N, C), rows summing to 1, in the order of `examples`.

        With `exact` in fp32, the same to about 1e-6 as a plain transformers forward; without, in the hardware's fast
        precision, whose ranking of entropies agrees to a Spearman correlation above 0.999.
        """
        if not examples:
            return np.zeros((0, len(self.labels)))
        tokens = self._encode(examples)
        step = 1 if exact else self._length_step  # mostly few are scored exactly, and a single one waits for no padding
        batches = self._batches(self._rounded(tokens.lengths_N, step))
        logits, done = [], 0
        with torch.inference_mode(), _memory_of(self.device):
            forward, texts = self._forward(fast=not exact), self._placed(tokens)
            work = partial(self._in_pieces, forward, texts, step)
            with closing(self._each(work, texts.batches(batches))) as each:  # no batch goes on if progress raises
                for some in each:
                    logits.append(some)
                    done += len(some)
                    if progress is not None:
                        progress(done, len(examples))
            # Only here a GPU is waited for.
            probs_NC = torch.softmax(torch.cat(logits).cpu().double(), dim=1).numpy()
        return np.asarray(probs_NC[np.argsort(np.concatenate(batches))])

    def _each(
        self, work: Callable[[Batch], torch.Tensor], batches: Sequence[Batch]
    ) -> Generator[torch.Tensor, None, None]:
        """`work` on each batch, in order."""
        beside = self.device.type == "cpu" and not self.model.training  # dropout is drawn in one order
        yield from side_by_side(work, batches) if beside else map(work, batches)

    @torch.inference_mode()  # of a thread, not of a process
    def _in_pieces(self, forward: Forward, texts: DeviceTokens, step: int, batch: Batch) -> torch.Tensor:
        """Logits of a batch, in halves where it does not go through as a whole; padded to a multiple of `step`, if to
        anything."""
        try:
            if isinstance(forward, BertForward) and forward.packs:
                ids, types, positions, starts = texts.packed(batch)
                return forward.packed(ids, types, positions, Packed(starts, batch.longest))
            length = int(self._rounded(batch.longest, step))
            return forward(**self._inputs(texts, batch.rows_R, length, masked=batch.shortest < length)).float()
        except (RuntimeError, ValueError) as error:
            why = wants_fewer(error)
            if not why or len(batch) == 1:
                raise
        self._give_back_memory()  # outside the except block: the exception's traceback keeps the activations alive
        log.warning("%s: computing %d texts in halves", why, len(batch))
        return torch.cat([self._in_pieces(forward, texts, step, half) for half in batch.halves()])

    def _give_back_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def token_counts(self, examples: Sequence[Example]) -> Ints:
        """How many word pieces of each example are read."""
        return self._encode(examples).lengths_N

    def truncated(self, examples: Sequence[Example]) -> list[bool]:
        """Of which examples only the first `max_length` word pieces are read."""
        lengths_N = self._tokenise(examples, truncation=False).lengths_N if examples else np.zeros(0)
        return [bool(length > self.max_length) for length in lengths_N]

    def sample_proba(self, examples: Sequence[Example], passes: int, seed: int) -> Array:
        """Class probabilities of K stochastic passes with dropout on, float64 of shape (N, K, C), in fast precision.

        Monte-Carlo dropout (Gal & Ghahramani 2016). The same seed and examples give the same draws; those of one
        example depend on what it is batched with.
        """
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            self.model.train()
            try:
                probs = [self.predict_proba(examples, exact=False) for _ in range(passes)]
            finally:
                self.model.eval()
        return np.stack(probs, axis=1)

    def embed(self, examples: Sequence[Example]) -> Array:
        """The mean of each example's last hidden states, scaled to length 1: float64 of shape (N, D).

        As sentence encoders pool (Reimers & Gurevych 2019); in the fast precision. Of a model with a decoder, those of
        its encoder. Raises `NoModelError` for a model without any.
        """
        if not examples:
            return np.zeros((0, self.model.config.hidden_size))
        tokens = self._encode(examples)
        batches, means = self._batches(tokens.lengths_N), []
        with torch.inference_mode(), self._fast(True):
            texts = self._placed(tokens)
            for batch in texts.batches(batches):
                mean_ND = self._mean_state(self._inputs(texts, batch.rows_R, batch.longest))
                means.append(torch.nn.functional.normalize(mean_ND, dim=1).cpu().double())
        return np.asarray(torch.cat(means).numpy()[np.argsort(np.concatenate(batches))])

    def _mean_state(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Of each text; a mask leaves out padding."""
        hidden_NTD, mask_NT = self._hidden(inputs), inputs.get("attention_mask")
        if self.padding is Side.NOWHERE or mask_NT is None:  # the states may be fewer than the word pieces
            return hidden_NTD.mean(dim=1)
        real_NT1 = mask_NT.unsqueeze(2)
        return (hidden_NTD * real_NT1).sum(dim=1) / real_NT1.sum(dim=1)

    def _hidden(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The last hidden states of a batch, fp32 of shape (N, T, D)."""
        has_decoder = getattr(self.model.config, "is_encoder_decoder", False)
        body = self.model.get_encoder() if has_decoder else self.model.base_model
        try:
            return body(**inputs).last_hidden_state.float()  # type: ignore[no-any-return]
        except REFUSALS as error:
            if is_out_of_memory(error):
                raise
            raise NoModelError(
                f"{type(self.model).__name__} gives no hidden states to tell how texts resemble each other ({error}). "
                "Take a strategy that does not begin with 'diverse_', or another BASE_MODEL."
            ) from error

    def save(self, directory: Path) -> None:
        """Write weights (safetensors, fp32) and tokenizer so that plain transformers `from_pretrained` loads them."""
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)

    def _batches(self, lengths_N: Ints) -> list[Ints]:
        return list(scoring_batches(lengths_N, self._budget(), padded=self.padding is not Side.NOWHERE))

    def _budget(self) -> int:
        return TOKEN_BUDGET if self.device.type == "cpu" else TOKEN_BUDGET_GPU

    @property
    def _length_step(self) -> int:
        if self.padding is Side.NOWHERE:
            return 1
        if self.device.type == "cuda":
            return LENGTH_STEP_GPU
        # In fp32 kernels cost less to make, and so the fast pass is the exact one to the bit.
        return 1 if self.precision == torch.float32 else LENGTH_STEP

    def _rounded(self, length: Any, step: int) -> Any:
        """A number of word pieces, or several, rounded up to a multiple of `step`, but no further than is read."""
        return np.minimum(-(-length // step) * step, np.maximum(length, self.max_length))

    def _encode(self, examples: Sequence[Example]) -> Tokens:
        if self.cache is None or not self._fingerprint:
            return self._tokenise(examples)
        return self.cache.tokens(self._fingerprint, examples, self._tokenise)

    def _tokenise(self, examples: Sequence[Example], truncation: bool = True) -> Tokens:
        # Not all at once: the tokenizer's own records of a text are a hundred times what is kept of it.
        starts = range(0, max(1, len(examples)), TOKENISED)
        return joined([self._tokenise_some(examples[start : start + TOKENISED], truncation) for start in starts])

    def _tokenise_some(self, examples: Sequence[Example], truncation: bool) -> Tokens:
        """Each as itself: a single text beside pairs is no pair with an empty half.

        An empty second half is none, as it is for transformers' tokenizers with one text at a time; with several at a
        time they would end it with a mark of its own.
        """
        paired_N = np.array([bool(example.pair) for example in examples], dtype=bool)
        if not paired_N.any() or paired_N.all():
            return self._tokenise_alike(examples, truncation)
        kinds = [np.flatnonzero(~paired_N), np.flatnonzero(paired_N)]
        parts = [self._tokenise_alike([examples[i] for i in kind], truncation) for kind in kinds]
        return joined(parts)[np.argsort(np.concatenate(kinds))]

    def _tokenise_alike(self, examples: Sequence[Example], truncation: bool) -> Tokens:
        """Of pairs alone or of single texts alone."""
        texts = [e.text for e in examples]
        pairs = [e.pair for e in examples] if examples and examples[0].pair else None
        limit = {"truncation": True, "max_length": self.max_length} if truncation else {"truncation": False}
        encoded = self.tokenizer(texts, pairs, return_attention_mask=False, **limit)
        ids, types = encoded["input_ids"], encoded.get("token_type_ids")
        if not all(
            ids
        ):  # there are tokenizers that make nothing of a text, and models that cannot compute with nothing
            ids = [row or [self.tokenizer.pad_token_id] for row in ids]
            types = types and [row or [0] for row in types]
        return of_lists(ids, types)

    @cached_property
    def _fingerprint(self) -> str:
        """Of all that tokens depend on beside the text; empty where it cannot be told."""
        engine = getattr(self.tokenizer, "backend_tokenizer", None)
        if engine is None:
            return ""
        rules = json.loads(engine.to_str())
        del rules["truncation"], rules["padding"]  # what the last call asked for
        return hashlib.sha256(f"{self.max_length} {json.dumps(rules)}".encode()).hexdigest()[:16]

    def _placed(self, tokens: Tokens) -> DeviceTokens:
        return DeviceTokens(tokens.ids_M, tokens.types_M, tokens.starts_N, tokens.lengths_N, self.device)

    def _inputs(
        self, texts: DeviceTokens, rows_R: torch.Tensor, length: int, masked: bool = True
    ) -> dict[str, torch.Tensor]:
        """A batch as the model's arguments. A mask may be spared where nothing is padded."""
        ids, mask, types = texts.padded(rows_R, length, self.tokenizer.pad_token_id, self.padding)
        inputs = {"input_ids": ids}
        if masked and self._takes("attention_mask"):
            inputs["attention_mask"] = mask
        if "token_type_ids" in self.tokenizer.model_input_names and self._takes("token_type_ids"):
            inputs["token_type_ids"] = types
        return inputs

    def _takes(self, argument: str) -> bool:
        return self._takes_any or argument in self._arguments

    def _forward(self, fast: bool) -> Forward:
        """From a padded batch to logits, with the mode as it is now. While training, to be made anew after a step."""
        if self.model.training:
            return self._made_forward(fast)
        if fast not in self._ready:
            self._ready[fast] = self._made_forward(fast)
        return self._ready[fast]

    def _made_forward(self, fast: bool) -> Forward:
        written_out = fast_forward(self.model, self.precision if fast else torch.float32)
        if written_out is not None:
            return written_out
        if self.model.training:
            return partial(self._mixed_logits, fast)
        if not fast or self.precision == torch.float32:
            return partial(_logits, self.model)
        return partial(_logits, copy.deepcopy(self.model).to(self.precision))  # no conversions on the way

    def _mixed_logits(self, mixed: bool, **inputs: torch.Tensor) -> torch.Tensor:
        with self._fast(mixed):
            return _logits(self.model, **inputs)

    def _fast(self, wanted: bool) -> Any:
        if not wanted or self.precision == torch.float32:
            return nullcontext()
        # Each weight is read once a pass: there is nothing to keep, and what is kept cannot be recorded.
        return torch.autocast(self.device.type, dtype=self.precision, cache_enabled=False)


def _logits(model: Any, **inputs: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(**inputs).logits
    return logits


def load(directory: Path, device: str = "auto", precision: str = "auto", cache: TokenCache | None = None) -> Classifier:
    """A saved version. Raises `NoModelError` when the directory does not hold one."""
    on = pick_device(device)
    model, tokenizer = from_pretrained(str(directory))
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    return _made(model, tokenizer, labels, on, precision, cache)


def load_base(recipe: Recipe) -> Classifier:
    """The base checkpoint as it comes, to `embed` with: its head has learnt nothing. Raises as `fit` does."""
    device = pick_device(recipe.device)
    model, tokenizer = from_pretrained(recipe.base_model)
    tokenizer.model_max_length = checked_length(recipe.max_length, model, recipe.base_model)
    return _made(model, tokenizer, (), device, recipe.precision)


def _made(
    model: Any,
    tokenizer: Any,
    labels: Sequence[str],
    device: torch.device,
    precision: str,
    cache: TokenCache | None = None,
) -> Classifier:
    """A classifier whose padding and precision suit its model."""
    with _memory_of(device):
        classifier = Classifier(model, tokenizer, labels, device, pick_precision(precision, device), cache)
        if type(model).__name__ not in RECORDABLE:
            _suit(classifier)
    return classifier


def _suit(classifier: Classifier) -> None:
    """Try where the model, which is in `eval` mode, wants padding, and whether it computes in the precision."""
    kind = type(classifier.model).__name__
    tokens = classifier._tokenise([Example(i, text) for i, text in enumerate(TEXTS)])
    texts = classifier._placed(tokens)
    try:
        classifier.padding = _padding_of(classifier, texts, tokens.lengths_N)
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        raise _cannot_compute(kind, "a short text", error) from error
    if classifier.precision == torch.float32:
        return
    why = why_not(partial(_in_fast_precision, classifier, texts, tokens.lengths_N))
    if why:
        classifier.why_fp32 = f"{kind} cannot compute in {_name(classifier.precision)}: {why}"
        classifier.precision = torch.float32
        log.warning("%s. It is fitted and served in fp32", classifier.why_fp32)


@torch.no_grad()  # not inference mode: what a model keeps from here on must serve a fit
def _padding_of(classifier: Classifier, texts: DeviceTokens, lengths_N: Ints) -> Side:
    def inputs(rows: Sequence[int], length: int, side: Side) -> dict[str, torch.Tensor]:
        classifier.padding = side
        return classifier._inputs(texts, torch.tensor(rows, device=classifier.device), length)

    def logits(rows: Sequence[int], length: int, side: Side) -> torch.Tensor:
        return _logits(classifier.model, **inputs(rows, length, side)).float()

    lengths = lengths_N.tolist()
    if _pools(classifier, inputs([0], lengths[0], Side.NOWHERE)):
        return Side.NOWHERE  # several word pieces share a hidden state, and no mask tells which ones are padding's
    return padding_side(logits, lengths, min(max(lengths) + MORE, classifier.max_length))


def _pools(classifier: Classifier, inputs: dict[str, torch.Tensor]) -> bool:
    """Whether a text has another number of hidden states than of word pieces."""
    try:
        return classifier._hidden(inputs).shape[1] != inputs["input_ids"].shape[1]
    except NoModelError:
        return False  # `embed` will say it, should it be wanted


def _in_fast_precision(classifier: Classifier, texts: DeviceTokens, lengths_N: Ints) -> torch.Tensor:
    """Some of what a fit and a pass over a pool compute, in their ways to compute it."""
    if classifier.padding is Side.NOWHERE:
        rows, length = texts.of_equal_length(torch.arange(len(lengths_N), device=classifier.device))[0]
    else:
        rows, length = torch.arange(len(lengths_N), device=classifier.device), int(lengths_N.max())
    inputs = classifier._inputs(texts, rows, length)
    logits_NC = classifier._mixed_logits(True, **inputs).float()
    gradient = through_all_layers(classifier.model, logits_NC.logsumexp(dim=1).sum())
    with torch.no_grad():
        served_NC = classifier._made_forward(fast=True)(**inputs).float()
    return torch.cat([some.detach().float().flatten() for some in (logits_NC, gradient, served_NC)])


def _name(precision: torch.dtype) -> str:
    return "fp32" if precision == torch.float32 else "bf16"


@dataclass(frozen=True)
class BaseCheck:
    """What a base checkpoint turned out to be. `architecture`: its model's class; `parameters`: how many, with a
    head for two labels; `why_fp32`: empty where fits compute in bf16; `seconds`: what the check took."""

    base_model: str
    architecture: str
    device: str
    precision: str
    why_fp32: str
    parameters: int
    seconds: float


def check_base(recipe: Recipe) -> BaseCheck:
    """Whether fits with this recipe can begin: loads model and tokenizer, reads a text of `max_length` word pieces,
    goes once forwards and backwards in the precision that fits will use, and keeps nothing.

    Raises `NoModelError`, `BadSettingError` and `NoMemoryError` as `fit` does. A fit may run in another thread: it is
    not disturbed, for nothing is drawn from torch's own generator.
    """
    found = _looked_at(recipe)
    trim_heap()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found


def _looked_at(recipe: Recipe) -> BaseCheck:
    start = time.perf_counter()
    device = pick_device(recipe.device)
    with OwnDraws():
        model, tokenizer = from_pretrained(recipe.base_model, num_labels=2, ignore_mismatched_sizes=True)
    tokenizer.model_max_length = checked_length(recipe.max_length, model, recipe.base_model)
    classifier = _made(model, tokenizer, ("0", "1"), device, recipe.precision)
    with _memory_of(device):
        _read_a_long_text(classifier, recipe)
        _try_to_fit(classifier)
    return BaseCheck(
        base_model=recipe.base_model,
        architecture=type(model).__name__,
        device=str(device),
        precision=_name(classifier.precision),
        why_fp32=_why_fp32(classifier, recipe),
        parameters=model.num_parameters(),
        seconds=time.perf_counter() - start,
    )


def _read_a_long_text(classifier: Classifier, recipe: Recipe) -> None:
    try:
        classifier.predict_proba([Example(0, "word " * recipe.max_length)])
    except IndexError as error:  # a table of positions that is not known by its name
        raise too_long(recipe.max_length, recipe.base_model, f"it fails with '{error}'") from error
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        raise _cannot_compute(type(classifier.model).__name__, f"{recipe.max_length} word pieces", error) from error


def _try_to_fit(classifier: Classifier) -> None:
    tokens = classifier._tokenise([Example(0, TEXTS[0])])
    work = partial(_in_fast_precision, classifier, classifier._placed(tokens), tokens.lengths_N)
    why = why_not(work)
    if why:
        raise _cannot_compute(type(classifier.model).__name__, "a text to fit on", why)


def _cannot_compute(kind: str, what: str, why: object) -> NoModelError:
    return NoModelError(f"{kind} cannot compute with {what}: {why}. Take another BASE_MODEL.")


def _why_fp32(classifier: Classifier, recipe: Recipe) -> str:
    if classifier.precision != torch.float32:
        return ""
    asked = recipe.precision == "fp32"
    return classifier.why_fp32 or ("PRECISION asks for it" if asked else f"bf16 is not faster on {classifier.device}")


def fit(
    recipe: Recipe,
    labels: Sequence[str],
    examples: Sequence[Example],
    targets_N: Ints,
    progress: Progress | None = None,
    cache: TokenCache | None = None,
) -> Classifier:
    """Fine-tune the base checkpoint: AdamW, linear decay with warm-up, fp32 weights, mixed precision where it pays.

    The same arguments give the same classifier on the same device and number of threads. A batch that does not fit
    into memory is computed in smaller pieces with the same sum of gradients. `progress` is first told 0, when model and
    data are ready. Raises `NoModelError`, `BadSettingError`, and `NoMemoryError` when one example alone does not fit.
    """
    device = pick_device(recipe.device)
    torch.manual_seed(recipe.seed)
    model, tokenizer = from_pretrained(
        recipe.base_model,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        ignore_mismatched_sizes=True,  # a checkpoint that was fitted on other labels gets a new head
    )
    tokenizer.model_max_length = checked_length(recipe.max_length, model, recipe.base_model)
    classifier = _made(model, tokenizer, labels, device, recipe.precision, cache)
    with _memory_of(device):
        _optimise(classifier, recipe, examples, targets_N, progress or (lambda done, total: None))
    model.eval()
    return classifier


def _optimise(
    classifier: Classifier, recipe: Recipe, examples: Sequence[Example], targets_N: Ints, progress: Progress
) -> None:
    model = classifier.model.train()
    tokens = classifier._encode(examples)
    rng = np.random.default_rng(recipe.seed)
    batches = list(fitting_batches(tokens.lengths_N, recipe.batch_size, recipe.steps, rng))
    on_gpu = classifier.device.type == "cuda"
    # A recorded step reads its rate on the GPU.
    rate = torch.tensor(recipe.learning_rate, device=classifier.device) if on_gpu else recipe.learning_rate
    padding = {classifier.tokenizer.pad_token_id, model.config.pad_token_id}  # some models pad further on their own
    with rows_in_use(model, np.append(tokens.ids_M, sorted(padding))):
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0, fused=True, capturable=on_gpu)
        schedule = get_linear_schedule_with_warmup(optimiser, int(recipe.steps * recipe.warmup), recipe.steps)
        texts = classifier._placed(tokens)
        step = _Step(classifier, texts, targets_N, optimiser)
        progress(0, recipe.steps)
        for done, batch in enumerate(texts.batches(batches), start=1):
            step(batch)
            schedule.step()
            progress(done, recipe.steps)
        step.forget_recordings()


class _Step:
    """A step of an optimiser on some examples, in as many `pieces` as memory needs; replayed on a GPU."""

    def __init__(self, classifier: Classifier, texts: DeviceTokens, targets_N: Ints, optimiser: Any, pieces: int = 1):
        self.pieces = pieces
        self._classifier, self._texts, self._optimiser = classifier, texts, optimiser
        self._targets = torch.as_tensor(targets_N, device=classifier.device)
        replays = classifier.device.type == "cuda" and type(classifier.model).__name__ in RECORDABLE
        self._replayed: Work | None = Replayed(self._once, classifier.device) if replays else None

    def __call__(self, batch: Batch) -> None:
        """Take the step."""
        length = int(self._classifier._rounded(batch.longest, self._classifier._length_step))
        while True:
            try:
                return (self._replayed or self._once)(batch.rows_R, length)
            except (RuntimeError, ValueError) as error:
                why = wants_fewer(error)
                if not why or self.pieces >= len(batch):
                    raise
            # Outside the except block: while the exception lives, its traceback keeps the activations alive.
            self._optimiser.zero_grad()
            self.forget_recordings()  # they have memory of their own, and are of larger pieces
            self._classifier._give_back_memory()
            self.pieces *= 2
            log.warning("%s: computing each batch in %d pieces; the effective batch stays", why, self.pieces)

    def forget_recordings(self) -> None:
        """They and the step hold each other, and with it the optimiser's sums, until Python looks for such rings."""
        self._replayed = None

    def _once(self, rows_R: torch.Tensor, length: int) -> None:
        for piece, of_length in self._in_pieces(rows_R, length):
            logits = self._classifier._forward(fast=True)(**self._classifier._inputs(self._texts, piece, of_length))
            loss = cross_entropy(logits.float(), self._targets[piece], reduction="sum") / len(rows_R)
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._classifier.model.parameters(), MAX_GRADIENT_NORM)
        self._optimiser.step()
        self._optimiser.zero_grad()

    def _in_pieces(self, rows_R: torch.Tensor, length: int) -> Iterator[tuple[torch.Tensor, int]]:
        """What goes through the model together, and the length it is padded to."""
        for piece in rows_R.tensor_split(min(self.pieces, len(rows_R))):
            if self._classifier.padding is Side.NOWHERE:
                yield from self._texts.of_equal_length(piece)
            else:
                yield piece, length


@contextmanager
def _memory_of(device: torch.device) -> Iterator[None]:
    """Says it in a sentence when the device's memory does not suffice."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise NoMemoryError(
            f"The memory of {device} does not suffice ({reason}). Stop what else uses it, lower MAX_LENGTH, take a "
            "smaller BASE_MODEL, or set DEVICE=cpu."
        ) from error


def package_versions() -> dict[str, str]:
    """What a card names so that a version can be made again."""
    return {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
