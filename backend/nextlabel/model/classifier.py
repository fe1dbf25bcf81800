"""A BERT-like text classifier: fit, predict, save, load. Imports torch and transformers; knows no Label Studio."""

import copy
import hashlib
import inspect
import json
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from nextlabel.errors import NoMemoryError, NoModelError
from nextlabel.model import last_layer
from nextlabel.model.batching import scoring_batches
from nextlabel.model.checkpoints import (
    checked_length,
    from_pretrained,
)
from nextlabel.model.device_tokens import Batch, DeviceTokens, Side
from nextlabel.model.devices import name_of, pick_device, pick_precision
from nextlabel.model.encoder import BertForward, fast_forward
from nextlabel.model.joining import join
from nextlabel.model.kernels import Packed
from nextlabel.model.last_layer import WithFeatures
from nextlabel.model.parallel import side_by_side
from nextlabel.model.probing import (
    REFUSALS,
    TEXTS,
    cannot_compute,
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
from nextlabel.values.arrays import Array, Features, Ints
from nextlabel.values.examples import Example
from nextlabel.values.layout import ANY_OF, Layout
from nextlabel.values.linear import Linear

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
HALF = float(np.finfo(np.float16).max)
LAYOUT = "nextlabel_layout"  # where a checkpoint's config says which of its logits are about which question
MORE = 3  # word pieces of padding that even the longest text is tried with

Progress = Callable[[int, int], None]
Forward = Callable[..., torch.Tensor]  # from a padded batch to logits (N, C)


@dataclass(frozen=True)
class Recipe:
    """How a version is fitted. `device` and `precision` as in the settings; `warmup` is a share of the steps.

    A fit whose mean loss comes below `stop_loss` ends early, with the same recipe after the same step; with 0 none
    does.
    """

    base_model: str
    steps: int
    learning_rate: float
    batch_size: int
    max_length: int
    seed: int
    device: str = "auto"
    precision: str = "auto"
    warmup: float = 0.1  # tames the variance between seeds (Mosbach et al. 2021)
    stop_loss: float = 0.0


class Classifier:
    """Weights, tokenizer and labels, resident on one device. `predict_proba` changes nothing and may be called often.

    `labels` name the numbers 0 … C-1: the classes of one question, unless a `layout` divides them among several.
    `precision` is used where `exact=False` allows it. With a `cache` no text is tokenised twice; examples with equal
    ids must then be equal. `padding` says where the model wants it.
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
        layout: Layout | None = None,
    ):
        self.labels = tuple(labels)
        self.layout = layout
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
        """Word pieces that are read; what is longer is cut at the end of the longest text."""
        return int(self.tokenizer.model_max_length)

    def predict_proba(self, examples: Sequence[Example], exact: bool = True, progress: Progress | None = None) -> Array:
        """Class probabilities, float64 of shape (N, C), rows summing to 1, in the order of `examples`. With a
        layout, as `Layout.probabilities` has them.

        With `exact` in fp32, the same to about 1e-6 as a plain transformers forward; without, in the hardware's fast
        precision, whose ranking of entropies agrees to a Spearman correlation above 0.999.
        """
        if not examples:
            return np.zeros((0, len(self.labels)))
        return self._probabilities(self._pass(examples, exact, progress, nullcontext))

    def predict_with_features(
        self, examples: Sequence[Example], exact: bool = True, progress: Progress | None = None
    ) -> tuple[Array, Features]:
        """As `predict_proba`, and what the last layer read in the same pass: (N, D), fp32 or, without `exact`, fp16
        (cut off at the ends of its range).

        Raises `NoModelError` for a model without such a layer.
        """
        name, classes = self._last_linear, len(self.labels)
        if not examples:
            width = self.last_layer.weights_CD.shape[1]
            return np.zeros((0, classes)), np.zeros((0, width), np.float32 if exact else np.float16)

        def listening(forward: Any) -> AbstractContextManager[Forward]:
            return WithFeatures(forward, forward.model.get_submodule(name)).listening()

        both = self._pass(examples, exact, progress, listening)
        features_ND = both[:, classes:].numpy()
        return self._probabilities(both[:, :classes]), features_ND if exact else features_ND.clip(-HALF, HALF).astype(
            np.float16
        )

    def _probabilities(self, logits_NC: torch.Tensor) -> Array:
        return self.layout.probabilities(logits_NC.double().numpy()) if self.layout else _softmax(logits_NC)

    @cached_property
    def has_last_layer(self) -> bool:
        """Whether there is a layer that makes the logits, so that features can be had."""
        try:
            return bool(self._last_linear)
        except NoModelError:
            return False

    @property
    def last_layer(self) -> Linear:
        """The layer that makes the logits, or rather a copy. Raises `NoModelError` for a model without one."""
        return last_layer.read(self.model.get_submodule(self._last_linear))

    @last_layer.setter
    def last_layer(self, layer: Linear) -> None:
        last_layer.write(self.model.get_submodule(self._last_linear), layer)
        self._ready.clear()

    def answer(self, labels: tuple[str, ...], layer: Linear) -> None:
        """Have the layer say how probable these labels are: its rows."""
        self.last_layer = layer
        if labels != self.labels:
            self.labels = labels
            self.model.config.id2label = dict(enumerate(labels))
            self.model.config.label2id = {label: number for number, label in enumerate(labels)}
            self.model.config.problem_type = None  # of other questions

    @cached_property
    def _last_linear(self) -> str:
        texts = self.placed(tokens := self.tokenise([Example(0, TEXTS[-1])]))
        inputs = self.inputs(texts, torch.zeros(1, dtype=torch.long, device=self.device), int(tokens.lengths_N[0]))
        with torch.no_grad():
            return last_layer.find(self.model, partial(Plain(self.model), **inputs))

    def _pass(
        self,
        examples: Sequence[Example],
        exact: bool,
        progress: Progress | None,
        prepare: Callable[[Forward], AbstractContextManager[Forward]],
    ) -> torch.Tensor:
        """What the forward pass, prepared, says of each example, at least one; fp32, on the CPU."""
        tokens = self.encode(examples)
        step = 1 if exact else self.length_step  # mostly few are scored exactly, and a single one waits for no padding
        batches = self._batches(self.rounded(tokens.lengths_N, step))
        said, done = [], 0
        with torch.inference_mode(), memory_of(self.device), prepare(self.forward(fast=not exact)) as forward:
            texts = self.placed(tokens)
            work = partial(self._in_pieces, forward, texts, step)
            with closing(self._each(work, texts.batches(batches))) as each:  # no batch goes on if progress raises
                for some in each:
                    said.append(some)
                    done += len(some)
                    if progress is not None:
                        progress(done, len(examples))
            # Only here a GPU is waited for.
            return torch.cat(said).cpu()[torch.from_numpy(np.argsort(np.concatenate(batches)))]

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
            if isinstance(forward, BertForward | WithFeatures) and forward.packs:
                ids, types, positions, starts = texts.packed(batch)
                return forward.packed(ids, types, positions, Packed(starts, batch.longest))
            length = int(self.rounded(batch.longest, step))
            return forward(**self.inputs(texts, batch.rows_R, length, masked=batch.shortest < length)).float()
        except (RuntimeError, ValueError) as error:
            why = wants_fewer(error)
            if not why or len(batch) == 1:
                raise
        self.release_memory()  # outside the except block: the exception's traceback keeps the activations alive
        log.warning("%s: computing %d texts in halves", why, len(batch))
        return torch.cat([self._in_pieces(forward, texts, step, half) for half in batch.halves()])

    def release_memory(self) -> None:
        """Give a GPU's cached memory back."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def token_counts(self, examples: Sequence[Example]) -> Ints:
        """How many word pieces of each example are read."""
        return self.encode(examples).lengths_N

    def truncated(self, examples: Sequence[Example]) -> list[bool]:
        """Of which examples only the first `max_length` word pieces are read."""
        lengths_N = self.tokenise(examples, truncation=False).lengths_N if examples else np.zeros(0)
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

    def embed(self, examples: Sequence[Example], progress: Progress | None = None) -> Array:
        """The mean of each example's last hidden states, scaled to length 1: float64 of shape (N, D).

        As sentence encoders pool (Reimers & Gurevych 2019); in the fast precision. Of a model with a decoder, those of
        its encoder. What `progress` raises ends the pass. Raises `NoModelError` for a model without any.
        """
        if not examples:
            return np.zeros((0, self.model.config.hidden_size))

        def pooling(forward: Forward) -> AbstractContextManager[Forward]:
            return nullcontext(partial(self._mean_state, forward))

        means_ND = self._pass(examples, False, progress, pooling)
        return np.asarray(torch.nn.functional.normalize(means_ND.double(), dim=1).numpy())

    def _mean_state(self, forward: Forward, **inputs: torch.Tensor) -> torch.Tensor:
        """Of each text; a mask leaves out padding."""
        hidden_NTD, mask_NT = self._hidden(forward, inputs), inputs.get("attention_mask")
        if self.padding is Side.NOWHERE or mask_NT is None:  # the states may be fewer than the word pieces
            return hidden_NTD.mean(dim=1)
        real_NT1 = mask_NT.unsqueeze(2)
        return (hidden_NTD * real_NT1).sum(dim=1) / real_NT1.sum(dim=1)

    def _hidden(self, forward: Forward, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The last hidden states of a batch, fp32 of shape (N, T, D)."""
        if isinstance(forward, BertForward):
            return forward.hidden(**inputs)
        has_decoder = getattr(self.model.config, "is_encoder_decoder", False)
        body = self.model.get_encoder() if has_decoder else self.model.base_model
        try:
            with self._fast(True):
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
        config = self.model.config
        if self.layout:
            of_any = all(
                cut.kind == ANY_OF for cut in self.layout.cuts
            )  # so that other software knows what logits mean
            problem_type = {"problem_type": "multi_label_classification"} if of_any else {}
            config.update({LAYOUT: self.layout.as_dict(), **problem_type})
        elif hasattr(config, LAYOUT):  # of an earlier form
            delattr(config, LAYOUT)
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)

    def _batches(self, lengths_N: Ints) -> list[Ints]:
        return list(scoring_batches(lengths_N, self._budget(), padded=self.padding is not Side.NOWHERE))

    def _budget(self) -> int:
        return TOKEN_BUDGET if self.device.type == "cpu" else TOKEN_BUDGET_GPU

    @property
    def length_step(self) -> int:
        """What lengths are rounded up to a multiple of, where all need not be exact."""
        if self.padding is Side.NOWHERE:
            return 1
        if self.device.type == "cuda":
            return LENGTH_STEP_GPU
        # In fp32 kernels cost less to make, and so the fast pass is the exact one to the bit.
        return 1 if self.precision == torch.float32 else LENGTH_STEP

    def rounded(self, length: Any, step: int) -> Any:
        """A number of word pieces, or several, rounded up to a multiple of `step`, but no further than is read."""
        return np.minimum(-(-length // step) * step, np.maximum(length, self.max_length))

    def encode(self, examples: Sequence[Example]) -> Tokens:
        """The word pieces that are read of each example, from the cache where there is one."""
        if self.cache is None or not self._fingerprint:
            return self.tokenise(examples)
        return self.cache.tokens(self._fingerprint, examples, self.tokenise)

    def tokenise(self, examples: Sequence[Example], truncation: bool = True) -> Tokens:
        """Word pieces, made anew; all of them without `truncation`."""
        # Not all at once: the tokenizer's own records of a text are a hundred times what is kept of it.
        starts = range(0, max(1, len(examples)), TOKENISED)
        return joined([self._tokenise_some(examples[start : start + TOKENISED], truncation) for start in starts])

    def _tokenise_some(self, examples: Sequence[Example], truncation: bool) -> Tokens:
        """Each as itself: a single text beside pairs is no pair with an empty half.

        An empty second half is none, as it is for transformers' tokenizers with one text at a time; with several at a
        time they would end it with a mark of its own.
        """
        kind_N = np.array([2 if example.more else bool(example.pair) for example in examples], dtype=np.int8)
        if not len(examples) or (kind_N == kind_N[0]).all():
            return self._tokenise_alike(examples, truncation)
        kinds = [np.flatnonzero(kind_N == kind) for kind in np.unique(kind_N)]
        parts = [self._tokenise_alike([examples[i] for i in kind], truncation) for kind in kinds]
        return joined(parts)[np.argsort(np.concatenate(kinds))]

    def _tokenise_alike(self, examples: Sequence[Example], truncation: bool) -> Tokens:
        """Of single texts alone, of pairs alone, or of more texts alone."""
        if examples and examples[0].more:
            return of_lists(*join(self.tokenizer, examples, self.max_length if truncation else None))
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

    def placed(self, tokens: Tokens) -> DeviceTokens:
        """Copied to the device, once."""
        return DeviceTokens(tokens.ids_M, tokens.types_M, tokens.starts_N, tokens.lengths_N, self.device)

    def inputs(
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

    def forward(self, fast: bool) -> Forward:
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
            return Plain(self.model)
        return Plain(copy.deepcopy(self.model).to(self.precision))  # no conversions on the way

    def _mixed_logits(self, mixed: bool, **inputs: torch.Tensor) -> torch.Tensor:
        with self._fast(mixed):
            return Plain(self.model)(**inputs)

    def _fast(self, wanted: bool) -> Any:
        if not wanted or self.precision == torch.float32:
            return nullcontext()
        # Each weight is read once a pass: there is nothing to keep, and what is kept cannot be recorded.
        return torch.autocast(self.device.type, dtype=self.precision, cache_enabled=False)


@dataclass(frozen=True)
class Plain:
    """A model's own forward pass."""

    model: Any

    def __call__(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Logits (N, C)."""
        logits: torch.Tensor = self.model(**inputs).logits
        return logits


def _softmax(logits_NC: torch.Tensor) -> Array:
    return np.asarray(torch.softmax(logits_NC.double(), dim=1).numpy())


def load(directory: Path, device: str = "auto", precision: str = "auto", cache: TokenCache | None = None) -> Classifier:
    """A saved version. Raises `NoModelError` when the directory does not hold one."""
    on = pick_device(device)
    model, tokenizer = from_pretrained(str(directory))
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    layout = Layout.of(getattr(model.config, LAYOUT, None))
    return assembled(model, tokenizer, labels, on, precision, cache, layout)


def load_base(recipe: Recipe, cache: TokenCache | None = None) -> Classifier:
    """The base checkpoint as it comes, to `embed` with: its head has learnt nothing. Raises as `fit` does."""
    device = pick_device(recipe.device)
    model, tokenizer = from_pretrained(recipe.base_model)
    tokenizer.model_max_length = checked_length(recipe.max_length, model, recipe.base_model)
    return assembled(model, tokenizer, (), device, recipe.precision, cache)


def assembled(
    model: Any,
    tokenizer: Any,
    labels: Sequence[str],
    device: torch.device,
    precision: str,
    cache: TokenCache | None = None,
    layout: Layout | None = None,
) -> Classifier:
    """A classifier whose padding and precision suit its model."""
    with memory_of(device):
        on = pick_precision(precision, device)
        classifier = Classifier(model, tokenizer, labels, device, on, cache, layout=layout)
        if type(model).__name__ not in RECORDABLE:
            _suit(classifier)
    return classifier


def _suit(classifier: Classifier) -> None:
    """Try where the model, which is in `eval` mode, wants padding, and whether it computes in the precision."""
    kind = type(classifier.model).__name__
    tokens = classifier.tokenise([Example(i, text) for i, text in enumerate(TEXTS)])
    texts = classifier.placed(tokens)
    try:
        classifier.padding = _padding_of(classifier, texts, tokens.lengths_N)
    except REFUSALS as error:
        if is_out_of_memory(error):
            raise
        raise cannot_compute(kind, "a short text", error) from error
    if classifier.precision == torch.float32:
        return
    why = why_not(partial(in_fast_precision, classifier, texts, tokens.lengths_N))
    if why:
        classifier.why_fp32 = f"{kind} cannot compute in {name_of(classifier.precision)}: {why}"
        classifier.precision = torch.float32
        log.warning("%s. It is fitted and served in fp32", classifier.why_fp32)


@torch.no_grad()  # not inference mode: what a model keeps from here on must serve a fit
def _padding_of(classifier: Classifier, texts: DeviceTokens, lengths_N: Ints) -> Side:
    def inputs(rows: Sequence[int], length: int, side: Side) -> dict[str, torch.Tensor]:
        classifier.padding = side
        return classifier.inputs(texts, torch.tensor(rows, device=classifier.device), length)

    def logits(rows: Sequence[int], length: int, side: Side) -> torch.Tensor:
        return Plain(classifier.model)(**inputs(rows, length, side)).float()

    lengths = lengths_N.tolist()
    if _pools(classifier, inputs([0], lengths[0], Side.NOWHERE)):
        return Side.NOWHERE  # several word pieces share a hidden state, and no mask tells which ones are padding's
    return padding_side(logits, lengths, min(max(lengths) + MORE, classifier.max_length))


def _pools(classifier: Classifier, inputs: dict[str, torch.Tensor]) -> bool:
    """Whether a text has another number of hidden states than of word pieces."""
    try:
        return classifier._hidden(Plain(classifier.model), inputs).shape[1] != inputs["input_ids"].shape[1]
    except NoModelError:
        return False  # `embed` will say it, should it be wanted


def in_fast_precision(classifier: Classifier, texts: DeviceTokens, lengths_N: Ints) -> torch.Tensor:
    """Some of what a fit and a pass over a pool compute, in their ways to compute it."""
    if classifier.padding is Side.NOWHERE:
        rows, length = texts.of_equal_length(torch.arange(len(lengths_N), device=classifier.device))[0]
    else:
        rows, length = torch.arange(len(lengths_N), device=classifier.device), int(lengths_N.max())
    inputs = classifier.inputs(texts, rows, length)
    logits_NC = classifier._mixed_logits(True, **inputs).float()
    gradient = through_all_layers(classifier.model, logits_NC.logsumexp(dim=1).sum())
    with torch.no_grad():
        served_NC = classifier._made_forward(fast=True)(**inputs).float()
    return torch.cat([some.detach().float().flatten() for some in (logits_NC, gradient, served_NC)])


def package_versions() -> dict[str, str]:
    """What a card names so that a version can be made again."""
    return {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}


@contextmanager
def memory_of(device: torch.device) -> Iterator[None]:
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
