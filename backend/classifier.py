"""A BERT-like text classifier: fit, predict, save, load. Imports torch and transformers; knows no Label Studio."""

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

from backend.acquisition import Array
from backend.batching import Ints, fitting_batches, scoring_batches
from backend.cuda_graphs import Replayed, Work
from backend.devices import pick_device, pick_precision
from backend.encoder import BertForward, fast_forward
from backend.errors import BadSettingError, NoMemoryError, NoModelError
from backend.examples import Example
from backend.hub import hub_answers, keeps, told_to_stay_offline
from backend.kernels import Packed
from backend.padding import Batch, DeviceTokens
from backend.parallel import side_by_side
from backend.tokens import TokenCache, Tokens, joined, of_lists
from backend.word_table import rows_in_use

log = logging.getLogger(__name__)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.backends.cuda.enable_cudnn_sdp(False)  # it makes a plan for each shape that it meets, in a tenth of a second

TOKEN_BUDGET = 1536  # padded tokens a scoring batch on a CPU: larger ones fall out of its caches
TOKEN_BUDGET_GPU = 65536
# Lengths are rounded up to a multiple, so that few differ: for each shape oneDNN first makes kernels, in milliseconds,
# and on a GPU a fit's steps are recorded.
LENGTH_STEP, LENGTH_STEP_GPU = 8, 16
# Models whose forward pass asks the GPU nothing. With any other, a recording would fail, and leave torch's generator of
# random numbers in a state in which no later fit can run.
RECORDABLE = tuple(f"{name}ForSequenceClassification" for name in ("Bert", "Roberta", "XLMRoberta", "DistilBert"))
TOKENISED = 4096  # texts at a time
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
    tokenised twice; examples with equal ids must then be equal.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        labels: Sequence[str],
        device: torch.device,
        precision: torch.dtype,
        cache: TokenCache | None = None,
    ):
        self.labels = tuple(labels)
        self.device = device
        self.precision = precision
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.cache = cache
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
        batches = list(scoring_batches(self._rounded(tokens.lengths_N, step), self._budget()))
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
        """Logits of a batch, in halves where it does not fit into memory. What is padded is padded to a multiple of
        `step`."""
        try:
            if isinstance(forward, BertForward) and forward.packs:
                ids, types, positions, starts = texts.packed(batch)
                return forward.packed(ids, types, positions, Packed(starts, batch.longest))
            length = int(self._rounded(batch.longest, step))
            return forward(**self._inputs(texts, batch.rows_R, length, masked=batch.shortest < length)).float()
        except RuntimeError as error:
            if not _is_out_of_memory(error) or len(batch) == 1:
                raise
        self._give_back_memory()  # outside the except block: the exception's traceback keeps the activations alive
        log.warning("out of memory: computing %d texts in halves", len(batch))
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

        As sentence encoders pool (Reimers & Gurevych 2019); in the fast precision.
        """
        vectors_ND = np.zeros((len(examples), self.model.config.hidden_size))
        if not examples:
            return vectors_ND
        tokens = self._encode(examples)
        with torch.inference_mode(), self._fast(True):
            texts, batches = self._placed(tokens), list(scoring_batches(tokens.lengths_N, self._budget()))
            for positions, batch in zip(batches, texts.batches(batches), strict=True):
                inputs = self._inputs(texts, batch.rows_R, batch.longest)
                hidden_NTD = self.model.base_model(**inputs).last_hidden_state.float()
                real_NT1 = inputs["attention_mask"].unsqueeze(2)
                mean_ND = (hidden_NTD * real_NT1).sum(dim=1) / real_NT1.sum(dim=1)
                vectors_ND[positions] = torch.nn.functional.normalize(mean_ND, dim=1).cpu().numpy()
        return vectors_ND

    def save(self, directory: Path) -> None:
        """Write weights (safetensors, fp32) and tokenizer so that plain transformers `from_pretrained` loads them."""
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)

    def _budget(self) -> int:
        return TOKEN_BUDGET if self.device.type == "cpu" else TOKEN_BUDGET_GPU

    @property
    def _length_step(self) -> int:
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
        texts = [e.text for e in examples]
        pairs = [e.pair or "" for e in examples] if any(e.pair is not None for e in examples) else None
        limit = {"truncation": True, "max_length": self.max_length} if truncation else {"truncation": False}
        encoded = self.tokenizer(texts, pairs, return_attention_mask=False, **limit)
        return of_lists(encoded["input_ids"], encoded.get("token_type_ids"))

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
        ids, mask, types = texts.padded(rows_R, length, self.tokenizer.pad_token_id)
        inputs = {"input_ids": ids}
        if masked:
            inputs["attention_mask"] = mask
        if "token_type_ids" in self.tokenizer.model_input_names:
            inputs["token_type_ids"] = types
        return inputs

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
    model, tokenizer = _from_pretrained(str(directory))
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    with _memory_of(on):
        return Classifier(model, tokenizer, labels, on, pick_precision(precision, on), cache)


def load_base(recipe: Recipe) -> Classifier:
    """The base checkpoint as it comes, to `embed` with: its head has learnt nothing. Raises as `fit` does."""
    device = pick_device(recipe.device)
    model, tokenizer = _from_pretrained(recipe.base_model)
    tokenizer.model_max_length = _checked_length(recipe.max_length, model, recipe.base_model)
    return Classifier(model, tokenizer, (), device, pick_precision(recipe.precision, device))


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
    model, tokenizer = _from_pretrained(
        recipe.base_model,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        ignore_mismatched_sizes=True,  # a checkpoint that was fitted on other labels gets a new head
    )
    tokenizer.model_max_length = _checked_length(recipe.max_length, model, recipe.base_model)
    with _memory_of(device):
        classifier = Classifier(model, tokenizer, labels, device, pick_precision(recipe.precision, device), cache)
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
    with rows_in_use(model, np.append(tokens.ids_M, classifier.tokenizer.pad_token_id)):
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
            except RuntimeError as error:
                if not _is_out_of_memory(error) or self.pieces >= len(batch):
                    raise
            # Outside the except block: while the exception lives, its traceback keeps the activations alive.
            self._optimiser.zero_grad()
            self.forget_recordings()  # they have memory of their own, and are of larger pieces
            self._classifier._give_back_memory()
            self.pieces *= 2
            log.warning("out of memory: computing each batch in %d pieces; the effective batch stays", self.pieces)

    def forget_recordings(self) -> None:
        """They and the step hold each other, and with it the optimiser's sums, until Python looks for such rings."""
        self._replayed = None

    def _once(self, rows_R: torch.Tensor, length: int) -> None:
        for piece in rows_R.tensor_split(min(self.pieces, len(rows_R))):
            logits = self._classifier._forward(fast=True)(**self._classifier._inputs(self._texts, piece, length))
            loss = cross_entropy(logits.float(), self._targets[piece], reduction="sum") / len(rows_R)
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._classifier.model.parameters(), MAX_GRADIENT_NORM)
        self._optimiser.step()
        self._optimiser.zero_grad()


@contextmanager
def _memory_of(device: torch.device) -> Iterator[None]:
    """Says it in a sentence when the device's memory does not suffice."""
    try:
        yield
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise NoMemoryError(
            f"The memory of {device} does not suffice ({reason}). Stop what else uses it, lower MAX_LENGTH, take a "
            "smaller BASE_MODEL, or set DEVICE=cpu."
        ) from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    # On a CPU it is a plain RuntimeError; the words are those of c10/core/impl/alloc_cpu.cpp.
    words = ("not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in words)


def _checked_length(max_length: int, model: Any, name: str) -> int:
    positions = _positions(model)
    if positions is not None and positions < max_length:
        raise BadSettingError(f"The maximum length {max_length} is more than {name} can read: {positions} at most.")
    return max_length


def _positions(model: Any) -> int | None:
    """How many word pieces have a position; None for models without a table of them."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # RoBERTa counts positions from the padding index on.
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return None


def _from_pretrained(name: str, **head: Any) -> tuple[Any, Any]:
    """Model and tokenizer of a directory or a hub name, as fp32 on the CPU."""
    if not Path(name).is_dir() and name.startswith((".", "/", "~")):
        raise NoModelError(f"There is no directory {name!r}. Name one with a checkpoint (BASE_MODEL or --base-model).")
    if not (Path(name).is_dir() or told_to_stay_offline() or keeps(name) or hub_answers()):
        raise NoModelError(
            f"The model {name!r} cannot be loaded: it is no directory, and the model hub cannot be reached. Name a "
            "directory with a checkpoint (BASE_MODEL or --base-model), or run on a machine that reaches the hub."
        )
    try:
        # Neither code that comes with a checkpoint nor pickled weights, which can hold code: both could be anybody's.
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = AutoModelForSequenceClassification.from_pretrained(
            name, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **head
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NoModelError(
            f"The model {name!r} cannot be loaded: {first_line} Name a directory with a checkpoint for sequence "
            "classification, or a hub name on a machine that reaches the model hub (BASE_MODEL or --base-model)."
        ) from error
    if len(tokenizer) < model.config.vocab_size // 2:
        # Without its vocabulary file transformers makes up an empty tokenizer, and every word is unknown to it.
        raise NoModelError(f"The tokenizer of {name!r} knows {len(tokenizer)} word pieces; its vocabulary is missing.")
    if tokenizer.pad_token_id is None:
        raise NoModelError(f"The tokenizer of {name!r} has no padding token; a BERT-like checkpoint is needed.")
    return model, tokenizer


def identity(base_model: str) -> str:
    """A checkpoint by name: a hub name as it is, a directory with a hash of its files, wherever it may lie."""
    directory = Path(base_model).absolute()
    weights = sorted(directory.glob("*.safetensors")) or sorted(directory.glob("*.bin"))
    if not weights:
        return base_model
    digest = hashlib.sha256()
    for path in (*weights, *(directory / name for name in ("config.json", "tokenizer.json", "vocab.txt"))):
        digest.update(path.read_bytes() if path.exists() else b"")
    return f"{directory.name} (sha256 {digest.hexdigest()[:16]})"


def package_versions() -> dict[str, str]:
    """What a card names so that a version can be made again."""
    return {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
