"""Files are searched for ids of tasks, of which a Label Studio gives such as nothing else can be taken for."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from nextlabel.lab.importing import import_corpus
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.simulation.datasets.corpora import Corpus, own_pairs

RARE = 731_000_000


def give_rare_ids(server: LocalStudio) -> None:
    """Have tasks that are imported from now on ids of nine digits: on SQLite Label Studio gives the one after the
    highest that there is (`tasks/serializers.py`), so a task gets a high one."""
    studio, pairs = server.connect(), own_pairs()
    project = import_corpus(studio, Corpus("one pair", pairs.train[:1], ()), "a task with a high id", 0, seed=0)
    [path] = server.data_dir.rglob("label_studio.sqlite3")
    with closing(sqlite3.connect(path, timeout=60)) as database, database:
        [(highest,)] = database.execute("SELECT MAX(id) FROM task")
        database.execute("UPDATE task SET id = ? WHERE project_id = ?", [max(RARE, highest + 1), project])


def numbers_in(path: Path) -> Iterator[int]:
    """All whole numbers in arrays."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                if arrays[name].dtype.kind in "iuf":
                    yield from (int(number) for number in arrays[name].ravel() if np.isfinite(number))


def found_in(home: Path, tasks: Collection[int], widths: Sequence[int] = (4, 8)) -> set[str]:
    """The files that hold one of their ids: as text, as a machine's whole number of so many bytes, or in an array. In
    megabytes of weights any four bytes may come by chance, any eight hardly."""
    spelled = [form for task in tasks for form in (str(task).encode(), *(task.to_bytes(n, "little") for n in widths))]
    return {path.name for path in home.rglob("*") if path.is_file() and _holds(path, spelled, set(tasks))}


def _holds(path: Path, spelled: Sequence[bytes], tasks: set[int]) -> bool:
    content = path.read_bytes()
    return any(form in content for form in spelled) or not tasks.isdisjoint(numbers_in(path))
