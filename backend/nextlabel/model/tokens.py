"""Token ids of texts: one after the other in memory, kept on disk so that no text is tokenised twice. numpy only.

Knows no tokenizer: it is handed the function that tokenises.
"""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel.values.arrays import Ints
from nextlabel.values.examples import Example

log = logging.getLogger(__name__)

MANY = 256  # new texts that are worth a file; fewer are kept in memory alone
INDEX = np.dtype([("id", np.int64), ("digest", np.uint64), ("start", np.int64), ("length", np.int64)])


@dataclass(frozen=True)
class Tokens:
    """N texts as word pieces. `ids_M` and `types_M` (0: first text, 1: others) hold the texts one after the other; a
    text's begin at `starts_N` and are `lengths_N` many."""

    ids_M: npt.NDArray[Any]
    types_M: npt.NDArray[np.uint8]
    starts_N: Ints
    lengths_N: Ints

    def __len__(self) -> int:
        return len(self.lengths_N)

    def __getitem__(self, rows: Ints) -> "Tokens":
        at = _ranges(self.starts_N[rows], self.lengths_N[rows])
        return flat(self.ids_M[at], self.types_M[at], self.lengths_N[rows])


def flat(ids_M: npt.NDArray[Any], types_M: npt.NDArray[np.uint8], lengths_N: Ints) -> Tokens:
    """Texts that follow each other without gaps."""
    return Tokens(ids_M, types_M, np.cumsum(lengths_N) - lengths_N, lengths_N)


def of_lists(ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None) -> Tokens:
    """As tokenizers give them. Without `types` all are 0."""
    lengths_N = np.array([len(row) for row in ids], dtype=np.int64)
    total = int(lengths_N.sum())
    ids_M = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=total)
    if ids_M.max(initial=0) < 2**16:  # the usual vocabularies: half of what is kept and copied
        ids_M = ids_M.astype(np.uint16)
    types_M = np.zeros(total) if types is None else np.fromiter(chain.from_iterable(types), dtype=np.uint8, count=total)
    return flat(ids_M, types_M.astype(np.uint8), lengths_N)


def joined(parts: Sequence[Tokens]) -> Tokens:
    """One after the other; at least one part."""
    if len(parts) == 1:
        return parts[0]
    return flat(
        np.concatenate([part.ids_M for part in parts]),
        np.concatenate([part.types_M for part in parts]),
        np.concatenate([part.lengths_N for part in parts]),
    )


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """start, start + 1, … of each range, one range after the other."""
    first_of_each = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return np.asarray(first_of_each + np.arange(len(first_of_each)), dtype=np.int64)


Tokenise = Callable[[Sequence[Example]], Tokens]


class TokenCache:
    """The texts that a tokenizer has cut, in a directory named by its fingerprint; those of any other are removed.

    Files are written once, under a name of their own, and mapped into memory: processes may share the directory, and
    it can be thrown away at any time. A text is known by its example's id and a digest. Thread-safe.
    """

    def __init__(self, directory: Path):
        self._home = directory
        self._turn = threading.Lock()
        self._fingerprint = ""
        self._forget()

    def tokens(self, fingerprint: str, examples: Sequence[Example], tokenise: Tokenise) -> Tokens:
        """The examples' tokens, in their order; `tokenise` is asked for those that are not known.

        `fingerprint` stands for all that tokens depend on beside the text.
        """
        with self._turn:
            return self._tokens(fingerprint, examples, tokenise)

    def _tokens(self, fingerprint: str, examples: Sequence[Example], tokenise: Tokenise) -> Tokens:
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._forget()
        ids_N = np.array([example.id for example in examples], dtype=np.int64)
        digests_N = np.array([_digest(example) for example in examples], dtype=np.uint64)
        if (self._find(ids_N, digests_N) < 0).any():
            self._load()
        missing = np.flatnonzero(self._find(ids_N, digests_N) < 0)
        if len(missing):
            self._add(ids_N[missing], digests_N[missing], tokenise([examples[i] for i in missing]))
        places_N = self._find(ids_N, digests_N)
        if (places_N < 0).any():  # an id that stands for two texts at once
            return tokenise(examples)
        return self._gathered(self._index[places_N])

    def _forget(self) -> None:
        self._directory = self._home / self._fingerprint
        self._parts: list[Tokens] = []
        self._seen: set[str] = set()
        self._index = np.zeros(0, dtype=[*INDEX.descr, ("part", np.int64)])
        for other in self._home.glob("*"):
            if self._fingerprint and other != self._directory:
                shutil.rmtree(other, ignore_errors=True)

    def _find(self, ids_N: Ints, digests_N: npt.NDArray[np.uint64]) -> Ints:
        """Where each is in the index; -1 if nowhere."""
        if not len(self._index):
            return np.full(len(ids_N), -1)
        places_N = np.minimum(np.searchsorted(self._index["id"], ids_N), len(self._index) - 1)
        found = self._index[places_N]
        return np.where((found["id"] == ids_N) & (found["digest"] == digests_N), places_N, -1)

    def _gathered(self, rows: npt.NDArray[Any]) -> Tokens:
        parts, order = [], []
        for part in np.unique(rows["part"]):
            chosen = np.flatnonzero(rows["part"] == part)
            held = self._parts[int(part)]
            at = _ranges(rows["start"][chosen], rows["length"][chosen])
            parts.append(flat(held.ids_M[at], held.types_M[at], rows["length"][chosen]))
            order.append(chosen)
        if len(parts) == 1:
            return parts[0]
        return joined(parts)[np.argsort(np.concatenate(order))]

    def _add(self, ids_N: Ints, digests_N: npt.NDArray[np.uint64], tokens: Tokens) -> None:
        index = np.zeros(len(tokens), dtype=INDEX)
        index["id"], index["digest"] = ids_N, digests_N
        index["start"], index["length"] = tokens.starts_N, tokens.lengths_N
        if len(tokens) >= MANY:
            try:
                self._write(index, tokens)
                return self._load()
            except OSError as error:  # a full disk: memory serves as well, until this process ends
                log.warning("token ids cannot be kept in %s: %s", self._directory, error)
        self._take(index, tokens)
        return None

    def _write(self, index: npt.NDArray[Any], tokens: Tokens) -> None:
        name = f"{index['id'].min()}-{index['id'].max()}-{os.urandom(4).hex()}"
        beside = self._directory / f".writing-{name}"
        beside.mkdir(parents=True)
        try:
            np.save(beside / "ids.npy", tokens.ids_M)
            np.save(beside / "types.npy", tokens.types_M)
            np.save(beside / "index.npy", index)
            beside.rename(self._directory / name)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def _load(self) -> None:
        """Take over what is on disk and not yet known: from an earlier run, or from another process."""
        for path in sorted(self._directory.glob("[!.]*")):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            try:
                index = np.load(path / "index.npy")
                ids_M, types_M = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("ids", "types"))
                if index.dtype != INDEX or len(ids_M) != len(types_M) or len(ids_M) != int(index["length"].sum()):
                    raise ValueError("the parts do not fit together")
            except (OSError, ValueError, EOFError) as error:  # EOFError: an empty file
                log.warning("token ids in %s are damaged and are made again: %s", path, error)
                shutil.rmtree(path, ignore_errors=True)
                continue
            self._take(index, Tokens(ids_M, types_M, index["start"], index["length"]))

    def _take(self, index: npt.NDArray[Any], tokens: Tokens) -> None:
        rows = np.zeros(len(index), dtype=self._index.dtype)
        for name in INDEX.names or ():
            rows[name] = index[name]
        rows["part"] = len(self._parts)
        self._parts.append(tokens)
        merged = np.concatenate([rows, self._index])
        # The newest first of each id: an edited text takes the place of the old one.
        self._index = merged[np.unique(merged["id"], return_index=True)[1]]


def _digest(example: Example) -> int:
    text = blake2b(digest_size=8)
    text.update(example.text.encode("utf-8", "surrogatepass"))
    for another in example.texts[1:]:
        text.update(b"\0" + another.encode("utf-8", "surrogatepass"))
    return int.from_bytes(text.digest(), "little")
