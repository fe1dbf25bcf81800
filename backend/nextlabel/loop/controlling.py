"""The control set in the queue: when its tasks come. Nothing is learnt from their labels."""

from nextlabel.learning.composer import CONTROL
from nextlabel.learning.control import Control, places
from nextlabel.loop.sides import Side
from nextlabel.store.pool import Pool


def control_side(pool: Pool, control: Control, first: int, others: int) -> Side:
    """The tasks of the set that nobody has answered or skipped, of copies one, in the places that they are due."""
    texts = pool.control() if control.share else []
    done = [any(task.labelled or task.passed for task in copies) for copies in texts]
    tasks = [copies[0].task_id for copies, is_done in zip(texts, done, strict=True) if not is_done]
    due = places(control.share, pool.labels_since_control(), len(tasks), others, first - sum(done)) if tasks else []
    return Side(CONTROL, tasks, due, hidden=True)
