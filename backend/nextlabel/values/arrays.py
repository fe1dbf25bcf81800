"""The two kinds of array that pass between wings; names of values carry the axes."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
