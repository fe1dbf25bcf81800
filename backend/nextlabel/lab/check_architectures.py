"""Checks each architecture of text classifier with a tiny checkpoint: fit, predict, save, load, embed.

Makes a checkpoint with random weights and a tokenizer of each, offline, fits it some steps, and compares what the
classifier says with plain transformers, one text at a time.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from nextlabel.errors import BadRunError, BadSettingError, NextlabelError
from nextlabel.learning.rounds import score_pool, select
from nextlabel.model.classifier import Classifier, Recipe, load, package_versions
from nextlabel.model.device_tokens import Side
from nextlabel.model.training import fit
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.values import markdown
from nextlabel.values.examples import Example

VOCABULARY = 600
LENGTH = 48  # word pieces that are read
AGREES = 1e-5  # the largest difference of a probability from plain transformers that counts as none
DIFFERS = 1e-3  # how far apart the probabilities of two texts must be, or agreement would say nothing
PADDING = {Side.RIGHT: "", Side.LEFT: "padding on the left", Side.NOWHERE: "no padding: texts of one length together"}
LABELS = ("yes", "no")
HEADER = ("architecture", "class", "fits in", "largest difference", "embed", "diverse", "remark")
SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SIZES |= {"max_position_embeddings": 80, "initializer_range": 0.2}  # weights large enough to tell two texts apart
D_MODEL = {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64, "initializer_range": 0.2}
FUNNEL = {"d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 64, "block_sizes": [1, 1, 1], "initializer_range": 0.2}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 80, "initializer_range": 0.2}
T5 = {
    "decoder_start_token_id": 0,
    "d_model": 32,
    "d_kv": 16,
    "d_ff": 64,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 2,
}
BART = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "init_std": 0.2}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 80}
MOBILE = SIZES | {"initializer_range": 0.1, "embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32}


@dataclass(frozen=True)
class Architecture:
    """How a tiny checkpoint is made. `config` is transformers' name before "Config"; `sizes` what it is given."""

    name: str
    config: str
    tokenizer: Callable[[], Any]
    sizes: dict[str, Any]
    remark: str = ""

    def make(self, directory: Path) -> None:
        """Write weights (seed 0) and tokenizer."""
        torch.manual_seed(0)
        tokenizer = self.tokenizer()
        config = getattr(transformers, f"{self.config}Config")(
            **{"vocab_size": len(tokenizer), **_specials(tokenizer), **self.sizes}
        )
        transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(directory)
        tokenizer.save_pretrained(directory)


def _specials(tokenizer: Any) -> dict[str, Any]:
    names = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    return {name: getattr(tokenizer, name) for name in names}


@cache
def sentences() -> list[str]:
    """What tokenizers are made of."""
    return [sentence for pair in own_pairs().train for sentence in (pair.sentence1, pair.sentence2)]


def word_pieces(name: str, *specials: str, **options: Any) -> Any:
    """A tokenizer of that class with word pieces; the first special token is the unknown one."""
    made = Tokenizer(models.WordPiece(unk_token=specials[0]))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=list(specials), show_progress=False)
    made.train_from_iterator(sentences(), trainer)
    return getattr(transformers, name)(vocab=made.get_vocab(), **options)


def unigrams(name: str, *specials: str, **options: Any) -> Any:
    """A tokenizer of that class as SentencePiece makes them."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    unknown = next(token for token in specials if "unk" in token.lower())
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, special_tokens=list(specials), unk_token=unknown, show_progress=False
    )
    made.train_from_iterator(sentences(), trainer)
    return getattr(transformers, name)(vocab=[tuple(row) for row in _model_of(made)["vocab"]], **options)


def byte_pairs(name: str, *specials: str, of_bytes: bool = True, **options: Any) -> Any:
    """A tokenizer of that class with byte pairs, or with pairs of characters."""
    made = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = byte_level if of_bytes else pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(specials),
        initial_alphabet=byte_level.alphabet() if of_bytes else [],
        show_progress=False,
    )
    made.train_from_iterator(sentences(), trainer)
    rules = _model_of(made)
    merges = [tuple(merge) for merge in rules["merges"]]
    return getattr(transformers, name)(vocab=rules["vocab"], merges=merges, **options)


def _model_of(tokenizer: Tokenizer) -> dict[str, Any]:
    rules: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return rules


BERT_TOKENS = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
ALBERT_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
bert = partial(word_pieces, "BertTokenizer", *BERT_TOKENS)
roberta = partial(byte_pairs, "RobertaTokenizer", *ROBERTA_TOKENS)
gpt_2 = partial(byte_pairs, "GPT2Tokenizer", "<|endoftext|>")
llama = partial(byte_pairs, "LlamaTokenizer", "<unk>", "<s>", "</s>", of_bytes=False)

ARCHITECTURES = (
    Architecture("BERT", "Bert", bert, SIZES),
    Architecture("RoBERTa", "Roberta", roberta, SIZES),
    Architecture("XLM-RoBERTa", "XLMRoberta", partial(unigrams, "XLMRobertaTokenizer", *ROBERTA_TOKENS), SIZES),
    Architecture("CamemBERT", "Camembert", partial(unigrams, "CamembertTokenizer", *ROBERTA_TOKENS), SIZES),
    Architecture(
        "DistilBERT",
        "DistilBert",
        partial(word_pieces, "DistilBertTokenizer", *BERT_TOKENS),
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "initializer_range": 0.2},
    ),
    Architecture("ELECTRA", "Electra", bert, SIZES | {"embedding_size": 16}),
    Architecture(
        "ALBERT", "Albert", partial(unigrams, "AlbertTokenizer", *ALBERT_TOKENS), SIZES | {"embedding_size": 16}
    ),
    Architecture(
        "DeBERTa v1",
        "Deberta",
        partial(byte_pairs, "DebertaTokenizer", "[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"),
        SIZES | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False},
    ),
    Architecture(
        "DeBERTa v2 and v3",
        "DebertaV2",
        partial(unigrams, "DebertaV2Tokenizer", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        SIZES
        | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
        | {"position_buckets": 16, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    ),
    Architecture("ModernBERT", "ModernBert", bert, SIZES | {"local_attention": 16, "initializer_cutoff_factor": 2.0}),
    Architecture(
        "MPNet", "MPNet", partial(word_pieces, "MPNetTokenizer", "[UNK]", "<pad>", "<s>", "</s>", "<mask>"), SIZES
    ),
    Architecture("RoFormer", "RoFormer", bert, SIZES, "BERT's tokenizer: RoFormer's own needs the package rjieba"),
    Architecture(
        "BigBird",
        "BigBird",
        partial(unigrams, "BigBirdTokenizer", "<pad>", "</s>", "<s>", "<unk>", "[SEP]", "[CLS]", "[MASK]"),
        SIZES,
        "full attention, as BigBird itself takes for short texts",
    ),
    Architecture("Longformer", "Longformer", roberta, SIZES | {"attention_window": 8}),
    Architecture("ConvBERT", "ConvBert", bert, SIZES | {"embedding_size": 16, "head_ratio": 1}),
    Architecture("MobileBERT", "MobileBert", bert, MOBILE),
    Architecture(
        "XLNet",
        "XLNet",
        partial(unigrams, "XLNetTokenizer", "<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", unk_id=0),
        D_MODEL,
    ),
    Architecture(
        "Funnel",
        "Funnel",
        partial(word_pieces, "FunnelTokenizer", "<unk>", "<pad>", "<cls>", "<sep>", "<mask>", "<s>", "</s>"),
        FUNNEL,
    ),
    Architecture("Nyströmformer", "Nystromformer", bert, SIZES | {"num_landmarks": 16, "segment_means_seq_len": 16}),
    Architecture(
        "Nyströmformer with landmarks",
        "Nystromformer",
        bert,
        SIZES | {"num_landmarks": 4, "segment_means_seq_len": 16},
        "plain transformers reads only texts of exactly `segment_means_seq_len` word pieces",
    ),
    Architecture("FNet", "FNet", partial(unigrams, "FNetTokenizer", *ALBERT_TOKENS), SIZES),
    Architecture("CANINE", "Canine", transformers.CanineTokenizer, SIZES | {"num_hash_buckets": 64}),
    Architecture("GPT-2", "GPT2", gpt_2, GPT, "has no padding token: the end token serves as one"),
    Architecture(
        "GPT-2, padded on the left",
        "GPT2",
        partial(gpt_2, pad_token="<|endoftext|>", padding_side="left"),
        GPT,
        "its tokenizer's padding side is wrong for its positions, and ignored",
    ),
    Architecture(
        "Llama",
        "Llama",
        llama,
        SIZES | {"num_key_value_heads": 2},
        "has no padding token: the end token serves as one",
    ),
    Architecture("BART", "Bart", roberta, BART, "embeds with its encoder"),
    Architecture("T5", "T5", partial(unigrams, "T5Tokenizer", "<pad>", "</s>", "<unk>"), T5, "embeds with its encoder"),
)


def check_all(names: Sequence[str], precision: str, steps: int, show: Callable[[str], None]) -> tuple[str, bool]:
    """The architectures of these names, or all: the page as Markdown, and whether every row is right. `show` is given
    each row as it comes. Raises `BadSettingError` for a name that there is not."""
    chosen = [one for one in ARCHITECTURES if not names or one.name in names]
    if len(chosen) < len(set(names)):
        raise BadSettingError(f"--only takes names of {', '.join(repr(one.name) for one in ARCHITECTURES)}.")
    logging.getLogger("nextlabel").setLevel(logging.ERROR)  # what it warns of is in the table
    rows = []
    for one in chosen:
        rows.append(check(one, precision, steps))
        show(" | ".join(rows[-1].cells()))
    return _page(rows, precision, steps), all(row.right for row in rows)


@dataclass(frozen=True)
class Row:
    """What was found of an architecture. `difference`: the largest of any probability from plain transformers."""

    name: str
    kind: str = ""
    precision: str = ""
    difference: float = float("nan")
    embeds: bool = False
    diverse: bool = False
    remark: str = ""

    @property
    def right(self) -> bool:
        """Whether it is as it should be, or refused in a sentence."""
        return (self.difference < AGREES and self.embeds and self.diverse) or self.precision == "refused"

    def cells(self) -> list[str]:
        """As HEADER has them."""
        difference = "" if np.isnan(self.difference) else f"{self.difference:.0e}"
        embeds, diverse = ("" if self.precision == "refused" else "yes" if ok else "no" for ok in self._oks())
        return [self.name, f"`{self.kind}`", self.precision, difference, embeds, diverse, self.remark]

    def _oks(self) -> tuple[bool, bool]:
        return self.embeds, self.diverse


def check(architecture: Architecture, precision: str, steps: int) -> Row:
    """Make it, fit it, and look at all that is done with a version."""
    with TemporaryDirectory() as made, TemporaryDirectory() as version:
        architecture.make(Path(made))
        kind = json.loads((Path(made) / "config.json").read_text())["architectures"][0]
        recipe = Recipe(made, steps, 1e-3, 8, LENGTH, seed=0, device="cpu", precision=precision)
        try:
            fitted = fit(recipe, LABELS, learnt(), np.arange(len(learnt())) % 2)
        except NextlabelError as error:
            return Row(
                architecture.name, kind, "refused", remark=f"{architecture.remark}: {str(error).splitlines()[0]}"
            )
        fitted.save(Path(version))
        loaded = load(Path(version), "cpu", precision)
        return _looked_at(architecture, kind, fitted, loaded, Path(version))


def _looked_at(one: Architecture, kind: str, fitted: Classifier, loaded: Classifier, version: Path) -> Row:
    expected_NC = np.vstack(list(plainly(version, mixed())))
    differences = [
        float(np.abs(classifier.predict_proba(examples) - expected_NC[: len(examples)]).max())
        for classifier in (fitted, loaded)
        for examples in (mixed(), mixed()[:1])
    ]
    if np.ptp(expected_NC[:, 0]) < DIFFERS:
        raise BadRunError(
            f"All texts are the same to the tiny {one.name}: {expected_NC[:, 0]}. Give it larger weights."
        )
    same = fitted.precision == loaded.precision
    remarks = [one.remark, PADDING[fitted.padding]]
    remarks += [fitted.why_fp32, "" if same else "loaded in another precision"]
    return Row(
        one.name,
        kind,
        str(fitted.precision).removeprefix("torch.").replace("bfloat", "bf").replace("float", "fp"),
        max(differences) if same and fitted.padding == loaded.padding else float("inf"),
        _embeds_alone_as_together(loaded),
        _selects(loaded),
        "; ".join(filter(None, remarks)),
    )


def plainly(version: Path, examples: Sequence[Example]) -> Iterator[Any]:
    """What transformers says of each, one at a time, as its documentation does it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(version)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(version).eval()
    for example in examples:
        texts = (example.text,) if example.pair is None else (example.text, example.pair)
        with torch.inference_mode():
            logits = model(**tokenizer(*texts, truncation=True, return_tensors="pt")).logits[0]
        yield torch.softmax(logits.double(), dim=0).numpy()


def _embeds_alone_as_together(classifier: Classifier) -> bool:
    together_ND = classifier.embed(mixed())
    alone_ND = np.vstack([classifier.embed([example]) for example in mixed()])
    close = 1e-4 if classifier.precision == torch.float32 else 0.05
    return bool(np.isfinite(together_ND).all() and np.abs(together_ND - alone_ND).max() < close)


def _selects(classifier: Classifier) -> bool:
    chosen = select(classifier, score_pool(classifier, mixed(), "diverse_entropy", 0), "diverse_entropy", 4, seed=0)
    return len({example.id for example in chosen}) == 4


@cache
def learnt() -> list[Example]:
    """What is fitted on: pairs and single texts."""
    pairs = own_pairs().train[:12]
    return [Example(i, pair.sentence1, pair.sentence2 if i % 3 else None) for i, pair in enumerate(pairs)]


@cache
def mixed() -> list[Example]:
    """Single texts and pairs of many lengths, none of them sorted, some longer than is read."""
    pairs = own_pairs().train[12:24]
    several = [Example(i, pair.sentence1, pair.sentence2 if i % 2 else None) for i, pair in enumerate(pairs)]
    short = [Example(100, "Yes."), Example(101, "No, never."), Example(102, "One", "Two")]
    long = [
        Example(200, " ".join(pair.sentence1 for pair in pairs)),
        Example(201, pairs[0].sentence1 * 5, pairs[1].sentence1 * 5),
    ]
    return [*several, *short, *long]


def _page(rows: Sequence[Row], precision: str, steps: int) -> str:
    versions = {**package_versions(), "tokenizers": tokenizers.__version__}
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    table = [HEADER, tuple("---" for _ in HEADER), *(tuple(row.cells()) for row in rows)]
    command = f"nextlabel check-architectures{' --precision fp32' if precision == 'fp32' else ''}"
    return "\n".join(
        [
            "# Architectures",
            "",
            f"Made by `{command} --out docs/architectures.md` with {named}, on a CPU.",
            "",
            "A tiny checkpoint of each architecture, with random weights and a tokenizer of its kind, is fitted for "
            f"{steps} steps on pairs and single texts with `PRECISION={precision}`, saved, loaded, "
            "and compared before and after with plain transformers, which reads one text at a time. *Largest "
            f"difference*: of any probability of {len(mixed())} single texts and pairs of many lengths in one call; "
            f"below {AGREES:.0e} counts as equal. *Embed*: each text's vector is the same alone and with others. "
            "*Diverse*: `diverse_entropy` chooses a batch. *Fits in*: fp32 where the architecture cannot compute in "
            "bf16; that, and where padding belongs, is found out by trying.",
            "",
            *map(markdown.row, table),
            "",
        ]
    )
