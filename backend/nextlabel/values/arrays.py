"""The kinds of array that pass between wings; names of values carry the axes."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Features = npt.NDArray[np.floating[Any]]  # in whatever precision they are kept
Targets = npt.NDArray[Any]  # answers as a model learns them: class numbers (N), or (N, C) as `Layout.targets` says
