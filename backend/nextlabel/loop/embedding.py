"""The base encoder's embeddings of a project's texts: made where they are missing, kept beside its pool."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from nextlabel.model import checkpoints
from nextlabel.model.classifier import Classifier, Progress, Recipe, load_base
from nextlabel.model.tokens import TokenCache
from nextlabel.processes import trim_heap
from nextlabel.store.pool import EMBEDDINGS, Pool
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example
from nextlabel.versions.loaded import SLICE, LoadedVersions

log = logging.getLogger(__name__)


class Embedder:
    """Embeds texts with the checkpoint of a recipe, as it reads them. The encoder is in memory only meanwhile.

    What was made is asked of `Pool.vectors(EMBEDDINGS, embedder.name, task_ids)`. Thread-safe: its passes are made one
    at a time, in the thread and with the niceness of all others.
    """

    def __init__(self, recipe: Recipe, resident: LoadedVersions, caches: Callable[[int], TokenCache]):
        self._recipe, self._resident, self._caches = recipe, resident, caches

    @cached_property
    def name(self) -> str:
        """Stands for all that embeddings depend on beside the text. Reads the checkpoint, once."""
        of_which = f"{checkpoints.identity(self._recipe.base_model)} {self._recipe.max_length}"
        return hashlib.sha256(of_which.encode()).hexdigest()[:16]

    def embed(self, pool: Pool, project: int, examples: Sequence[Example], progress: Progress | None = None) -> None:
        """Make the embeddings of these tasks of the project and put them into its pool, some at a time: when it is
        killed, or `progress` raises, what is done stays. Raises `NoModelError` when the checkpoint cannot embed."""
        if not examples:
            return
        pool.keep_vectors_of(EMBEDDINGS, [self.name])
        loaded: list[Classifier] = []

        def rows(some: Sequence[Example], counted: Progress | None) -> Array:
            """In one turn: each may have to wait for a slice of a pool."""
            if not loaded:
                loaded.append(load_base(self._recipe, self._caches(project)))
            embedded_ND: Array = loaded[0].embed(some, counted)
            return embedded_ND

        for start in range(0, len(examples), SLICE):
            some = examples[start : start + SLICE]
            embedded_ND = self._resident.run(rows, some, _counting_from(start, len(examples), progress))
            pool.put_vectors(EMBEDDINGS, self.name, some, embedded_ND.astype(np.float16))
        log.info("project %d: embedded %d texts", project, len(examples))
        loaded.clear()
        trim_heap()

    def of_texts(self, texts: Sequence[str]) -> Array:
        """Embeddings (M, D) of texts that are no tasks, which nothing keeps. Raises as `embed` does."""
        encoder = self._resident.run(load_base, self._recipe)
        embedded_MD: Array = self._resident.run(encoder.embed, [Example(0, text) for text in texts])
        del encoder
        trim_heap()
        return embedded_MD


def _counting_from(start: int, total: int, progress: Progress | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(start + done, total)
