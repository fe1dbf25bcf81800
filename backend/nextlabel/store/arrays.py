"""What is known of the texts of a project: files of records, appended to and mapped.

One for what each version said, one for each encoder's vectors. How many records count is the local copy's to say: what
was written and not counted does not exist.
"""

import contextlib
import mmap
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nextlabel.values.arrays import Ints

Records = npt.NDArray[np.void]
Bools = npt.NDArray[np.bool_]

AT_A_TIME = 2**16  # records that are looked at: what is held does not grow with how many there are


def record(classes: int) -> np.dtype[np.void]:
    """What is said of a text. `task` is the task's id, `text` and `again` the number of its text, from 1."""
    head = [("text", "<i8"), ("task", "<i8"), ("value", "<f8"), ("exact", "?"), ("truncated", "?")]
    return np.dtype([*head, ("probs", "<f8", (classes,)), ("again", "<i8")])


def vector_record(width: int, number: npt.DTypeLike) -> np.dtype[np.void]:
    """A text's vector of so many numbers of this type. It may have up to 4,080 bytes: of a longer one a page in the
    middle might be lost unnoticed."""
    return np.dtype([("text", "<i8"), ("vector", number, (width,)), ("again", "<i8")])


class Latest:
    """The latest record of each text, by the number of the text. `whole`: none of the `counted` records was lost."""

    def __init__(self, records_N: Records, counted: int):
        self.whole = len(records_N) == counted
        self.records = counted
        self._records_N = records_N
        self._latest: npt.NDArray[np.int32] = np.full(1, -1, np.int32)
        for start in range(0, len(records_N), AT_A_TIME):
            self._add(start, records_N[start : start + AT_A_TIME])
        self._latest[0] = -1

    def grow(self, records_N: Records) -> None:
        """Take in what was appended since; what was there before is not read again."""
        start, self.records, self._records_N = self.records, len(records_N), records_N
        self._add(start, records_N[start:])
        self._latest[0] = -1

    def _add(self, start: int, records_M: Records) -> None:
        # When the machine stops, pages may be lost, and are zeros: of a record that lies on two, either end may be.
        texts_M = np.where(records_M["text"] == records_M["again"], records_M["text"], 0)
        self.whole = self.whole and bool(texts_M.all())
        missing = int(texts_M.max(initial=0)) + 1 - len(self._latest)
        if missing > 0:
            more = np.full(max(missing, len(self._latest)), -1, np.int32)
            self._latest = np.concatenate((self._latest, more))
        self._latest[texts_M] = np.arange(start, start + len(texts_M))  # of several the last one stays
        mapped: object = self._records_N.base
        if isinstance(mapped, mmap.mmap):  # these pages were looked at, and few are needed
            mapped.madvise(mmap.MADV_DONTNEED)

    def knows(self, texts_N: Ints) -> Bools:
        """Of which of the texts there is a record."""
        known_N: Bools = self._places(texts_N) >= 0
        return known_N

    def of(self, texts_N: Ints) -> Records:
        """The records of texts of which there is one."""
        found: Records = self._records_N[self._places(texts_N)]
        return found

    def _places(self, texts_N: Ints) -> Ints:
        within_N = texts_N < len(self._latest)
        return np.where(within_N, self._latest[np.where(within_N, texts_N, 0)], -1)


class Values(Latest):
    """What a version said."""

    def highest(self, size: int) -> tuple[Ints, float]:
        """The ids of the tasks with the highest values, some of which may have another text by now: all whose value is
        not below the one that comes with them, and at least `size` if there are as many."""
        places_M = self._latest[self._latest >= 0]
        values_M, lowest = self._records_N["value"][places_M], -np.inf
        if size < len(places_M):
            lowest = float(np.partition(values_M, -size)[-size])
        return self._records_N["task"][places_M[values_M >= lowest]], lowest


class RecordFiles:
    """Those of one kind of a project, by names. One writer at a time, which whoever calls has to see to."""

    def __init__(self, directory: Path):
        self._directory = directory

    def append(self, name: str, counted: int, records_N: Records) -> int:
        """Write records after those that count; returns how many there are then."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path, size = self._directory / name, records_N.dtype.itemsize
        if not counted:
            path.unlink(missing_ok=True)
        path.touch()
        with path.open("r+b") as out:  # which never becomes shorter: another thread may have mapped it
            start = min(counted, path.stat().st_size // size)
            out.seek(start * size)
            out.write(records_N.tobytes())
        return start + len(records_N)

    def read(self, name: str, counted: int, kind: np.dtype[np.void]) -> Records:
        """The records that count; fewer when some were lost."""
        path = self._directory / name
        with contextlib.suppress(FileNotFoundError):
            if there := min(counted, path.stat().st_size // kind.itemsize):
                return np.memmap(path, kind, "r", shape=(there,))
        return np.empty(0, kind)

    def keep(self, names: Collection[str]) -> None:
        """Delete all other files."""
        for path in self._directory.glob("*"):
            if path.name not in names:
                path.unlink(missing_ok=True)
