"""Which labelled tasks a second person is asked about at random: a rule of a seed and a task's id, not a list. Pure.

Agreement is computed from them alone, as far as the draw has come: a task that was asked about again earlier, because
its label was doubtful, says how doubtful labels are, and not how people agree, until its turn would have come.
"""

from collections.abc import Iterable, Set
from hashlib import sha256

DRAWS = 2**64


def place(seed: str, task_id: int) -> float:
    """A task's place in the draw, uniform in [0, 1) for whoever does not know the seed; it depends on no other task."""
    return int.from_bytes(sha256(f"second vote {seed} {task_id}".encode()).digest()[:8], "big") / DRAWS


def drawn(seed: str, share: float, task_ids: Iterable[int]) -> list[int]:
    """Those of the tasks that are drawn with a share from 0 to 1, in the order in which they come. None without a
    seed. A larger share only adds tasks."""
    places = {task_id: place(seed, task_id) for task_id in task_ids} if seed and share else {}
    return sorted(
        (task_id for task_id, at in places.items() if at < share), key=lambda task_id: (places[task_id], task_id)
    )


class Draw:
    """The same of one project again and again: each task is drawn once, so that further looks cost little."""

    def __init__(self) -> None:
        self._rule, self._seen, self._places = ("", 0.0), set[int](), dict[int, float]()

    def of(self, seed: str, share: float, task_ids: Set[int]) -> list[int]:
        """As `drawn` has it."""
        if self._rule != (seed, share):
            self._rule, self._seen, self._places = (seed, share), set(), {}
        new = task_ids - self._seen
        self._seen |= new
        self._places |= {task: place(seed, task) for task in drawn(seed, share, new)}
        return sorted(self._places.keys() & task_ids, key=lambda task_id: (self._places[task_id], task_id))
