"""What tasks say, for who only shows it: read from the copy of a project, which is neither made nor changed."""

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from nextlabel.store.pool import pool_path

PATIENCE_S = 0.2  # no page waits longer for a copy that is in use
SQL = "SELECT id, text, pair, more FROM task WHERE id IN (SELECT value FROM json_each(?)) AND text IS NOT NULL"


def texts_of(model_dir: Path, project: int, task_ids: Collection[int]) -> dict[int, str]:
    """The texts of tasks, by id, several of one task joined by a slash; nothing of what cannot be read just now."""
    try:
        address = f"file:{quote(str(pool_path(model_dir, project)))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S)) as copy:
            rows = copy.execute(SQL, (json.dumps(list(task_ids)),)).fetchall()
    except sqlite3.Error:
        return {}
    return {task: " / ".join(filter(None, (text, pair, *json.loads(more or "[]")))) for task, text, pair, more in rows}
