"""The rows of a model's word table that a fit needs. Imports torch and numpy only.

Half of a small model's weights are its word table (11.7 of MiniLM's 22.7 millions), of which some hundred texts use a
tenth. A row that no text uses has no gradient, and AdamW without weight decay leaves it as it is; yet each step would
make its zeros, take their norm and read the optimiser's two sums of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import embedding

UNUSED = -1


class RowsInUse(torch.nn.Module):
    """Does what a word table does, for U of its ids; any other is refused. Its weight has the shape (U, D)."""

    def __init__(self, table: torch.nn.Embedding, used_U: Tensor):
        super().__init__()
        place_V = torch.full((table.num_embeddings,), UNUSED, device=used_U.device)
        place_V[used_U] = torch.arange(len(used_U), device=used_U.device)
        self.register_buffer("place_V", place_V)
        self.weight = torch.nn.Parameter(table.weight.detach()[used_U])
        found = UNUSED if table.padding_idx is None else int(place_V[table.padding_idx])
        self.padding_idx = None if found == UNUSED else found  # the row that has no gradient

    def forward(self, ids: Tensor) -> Tensor:
        """Rows, of the shape of `ids` and (D)."""
        return embedding(self.place_V[ids], self.weight, self.padding_idx)  # type: ignore[index]


@contextmanager
def rows_in_use(model: Any, ids_M: npt.NDArray[Any]) -> Iterator[None]:
    """Meanwhile a transformers model's word table is that of these ids only; afterwards the whole one again, with what
    the rows have become. A table that does more than look up, that another part shares, or that transformers does not
    name is left as it is."""
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:  # transformers' way to say that there is none, as in CANINE, which hashes characters
        table = None
    weights = [weight for _, weight in model.named_parameters(remove_duplicate=False)]
    if type(table) is not torch.nn.Embedding or sum(weight is table.weight for weight in weights) != 1:
        yield
        return
    used_U = torch.from_numpy(np.unique(ids_M).astype(np.int64)).to(table.weight.device)
    rows = RowsInUse(table, used_U)
    model.set_input_embeddings(rows)
    try:
        yield
    finally:
        with torch.no_grad():
            table.weight[used_U] = rows.weight
        model.set_input_embeddings(table)
