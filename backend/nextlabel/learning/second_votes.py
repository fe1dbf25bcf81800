"""Which labelled tasks a second person is asked about at random: a rule of a seed and a task's id, not a list. Pure.

Agreement is computed from them alone: a task that is asked about again because its label is doubtful says how doubtful
labels are, not how people agree.
"""

from collections.abc import Iterable
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
