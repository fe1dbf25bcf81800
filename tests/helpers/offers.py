"""What was ever offered, as Label Studio's own database has it: our records and our looks play no part in it."""

import sqlite3
from contextlib import closing

from nextlabel.lab.sandbox import LocalStudio


class Offers:
    """Each task that was given a prediction, noted by the database itself from now on, however briefly it is there."""

    def __init__(self, label_studio: LocalStudio):
        [self._path] = label_studio.data_dir.rglob("label_studio.sqlite3")
        with closing(self._connection()) as database:
            database.execute("CREATE TABLE IF NOT EXISTS test_offers (task INTEGER, project INTEGER)")
            database.execute(
                "CREATE TRIGGER IF NOT EXISTS test_offer AFTER INSERT ON prediction BEGIN"
                " INSERT INTO test_offers VALUES (NEW.task_id, NEW.project_id); END"
            )

    def of(self, project: int) -> set[int]:
        """The project's tasks that were offered since the first watch of this Label Studio began."""
        with closing(self._connection()) as database:
            return {task for (task,) in database.execute("SELECT task FROM test_offers WHERE project = ?", [project])}

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=60, isolation_level=None)
