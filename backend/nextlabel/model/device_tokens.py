"""Word pieces on the device that computes with them, cut into batches there. Imports torch and numpy only.

Lengths are known on the CPU as well: to ask a GPU for them would be to wait for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from nextlabel.values.arrays import Ints


class Side(Enum):
    """Where padding stands. NOWHERE: only texts of equal length go through a model together."""

    RIGHT = "right"
    LEFT = "left"
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Batch:
    """R texts that go through a model together: `rows_R`, their positions, on the device; their lengths on the CPU."""

    rows_R: Tensor
    lengths_R: Ints

    def __len__(self) -> int:
        return len(self.lengths_R)

    @property
    def longest(self) -> int:
        """Word pieces of the longest text."""
        return int(self.lengths_R.max())

    @property
    def shortest(self) -> int:
        """Word pieces of the shortest text."""
        return int(self.lengths_R.min())

    def halves(self) -> list["Batch"]:
        """Two, of a batch of two texts or more."""
        middle = len(self) // 2
        return [Batch(self.rows_R[part], self.lengths_R[part]) for part in (slice(middle), slice(middle, None))]


class DeviceTokens:
    """M word pieces of N texts, as `tokens.Tokens` holds them, on a device.

    Copied once: a copy for each batch costs a GPU more than the batch.
    """

    def __init__(
        self, ids_M: npt.NDArray[Any], types_M: npt.NDArray[np.uint8], starts_N: Ints, lengths_N: Ints, on: torch.device
    ):
        self._ids_M = torch.from_numpy(ids_M.astype(np.int32)).to(on)
        self._types_M = torch.from_numpy(types_M).to(on)
        self._starts_N = torch.from_numpy(starts_N).to(on)
        self._lengths_N = torch.from_numpy(lengths_N).to(on)
        self._known_N = lengths_N

    def batches(self, positions: Sequence[Ints]) -> list[Batch]:
        """Batches of the texts at these positions, copied to the device at once."""
        order = torch.from_numpy(np.concatenate(positions)).to(self._ids_M.device)
        each = torch.split(order, [len(some) for some in positions])
        return [Batch(rows_R, self._known_N[some]) for rows_R, some in zip(each, positions, strict=True)]

    def padded(
        self, rows_R: Tensor, length: int, padding: int, side: Side = Side.RIGHT
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, mask (1 where real) and types of some texts, each int64 of shape (R, length), none of them longer."""
        at_T = torch.arange(length, device=rows_R.device)
        lengths_R1 = self._lengths_N[rows_R, None]
        at = at_T + lengths_R1 - length if side is Side.LEFT else at_T
        mask_RT = at >= 0 if side is Side.LEFT else at_T < lengths_R1
        where_RT = (self._starts_N[rows_R, None] + at).clamp(0, len(self._ids_M) - 1)  # of padding: any
        ids_RT = self._ids_M[where_RT].long().masked_fill_(~mask_RT, padding)
        return ids_RT, mask_RT.long(), self._types_M[where_RT].long().masked_fill_(~mask_RT, 0)

    def of_equal_length(self, rows_R: Tensor) -> list[tuple[Tensor, int]]:
        """These texts in groups that need no padding, each with its length. Waits for a GPU."""
        lengths_R = self._lengths_N[rows_R]
        lengths = sorted(set(lengths_R.tolist()))
        return [(rows_R[lengths_R == length], length) for length in lengths]

    def packed(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ids, types and positions of its texts one after the other, each int64, and where each text begins, int32 of
        shape (R + 1), the end included."""
        lengths_R, total = self._lengths_N[batch.rows_R], int(batch.lengths_R.sum())
        starts = pad(lengths_R.cumsum(0), (1, 0))
        begin_M, store_M = (
            torch.repeat_interleave(of_text, lengths_R, output_size=total)  # the size, or it would wait for the sum
            for of_text in (starts[:-1], self._starts_N[batch.rows_R])
        )
        positions_M = torch.arange(total, device=begin_M.device) - begin_M
        where_M = store_M + positions_M
        return self._ids_M[where_M].long(), self._types_M[where_M].long(), positions_M, starts.int()
