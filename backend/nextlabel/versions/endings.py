"""What is written into Label Studio at the end of a project, on disk before it is done, so that it can be undone.

Two files in the project's directory below `models`, which `nextlabel backup` keeps: what was asked for, which alone
says that a project has ended, and a step on each line.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from nextlabel.errors import NextlabelError
from nextlabel.store.files import replace_file
from nextlabel.values.versions import MACHINE_LABELS

ENDING, STEPS = "ending.json", "ending-steps.jsonl"
WRITING, WRITTEN, UNDOING = "writing", "written", "undoing"  # states
PREDICT, ANNOTATE, CLOSE = "predict", "annotate", "close"  # what is done with a task


@dataclass(frozen=True)
class Ending:
    """The end of a project, by a version or head of this `name`. `run` tells it from others. Predictions go under
    `model_version`, annotations to the `account`, 0 without any. `before`: fields of the project as they were."""

    project: int
    run: str
    name: str
    which: str
    account: int
    before: Mapping[str, Any]
    begun_at: str
    state: str = WRITING

    @property
    def model_version(self) -> str:
        """None of the loop's, which would take such predictions away."""
        return f"{MACHINE_LABELS}{self.run}"


@dataclass(frozen=True)
class Step:
    """What is done with a task that was open and had so many `annotations`: a `result`, `sure` to so much, is written,
    or it is closed."""

    task: int
    what: str
    annotations: int
    result: Sequence[Mapping[str, Any]] = ()
    sure: float = 0.0

    def unique_id(self, run: str) -> str:
        """That of its annotation, the same whenever it is asked for."""
        return str(uuid5(NAMESPACE_URL, f"nextlabel:{run}:{self.task}"))


class Endings:
    """Those of all projects of one MODEL_DIR."""

    def __init__(self, model_dir: Path):
        self._root = model_dir / "models"

    def holds(self, project: int) -> bool:
        """Whether a project has ended, or is being ended or brought back: then nothing else is done with it."""
        return (self._root / str(project) / ENDING).exists()

    def load(self, project: int) -> Ending | None:
        """None when it has not. Raises `NextlabelError` when the record is damaged."""
        try:
            return Ending(**json.loads((self._root / str(project) / ENDING).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise NextlabelError(
                f"{self._root / str(project) / ENDING} cannot be read ({error}), so that nobody knows what was written "
                "into Label Studio. Restore it from a backup."
            ) from None

    def begin(self, ending: Ending, steps: Sequence[Step]) -> None:
        """Have it known, durably, before anything is done. Raises `OSError`."""
        home = self._root / str(ending.project)
        lines = "".join(json.dumps(asdict(step), ensure_ascii=False) + "\n" for step in steps)
        replace_file(home / STEPS, lines, durable=True)
        self.put(ending)

    def put(self, ending: Ending) -> None:
        """Change what is known of it."""
        plain = json.dumps(asdict(ending), ensure_ascii=False, indent=1)
        replace_file(self._root / str(ending.project) / ENDING, plain, durable=True)

    def say(self, ending: Ending, state: str) -> Ending:
        """The same in another state, on disk, too."""
        changed = replace(ending, state=state)
        self.put(changed)
        return changed

    def steps(self, project: int) -> Iterator[Step]:
        """In their order."""
        with (self._root / str(project) / STEPS).open(encoding="utf-8") as lines:
            for line in lines:
                yield Step(**json.loads(line))

    def forget(self, project: int) -> None:
        """It is undone."""
        (self._root / str(project) / ENDING).unlink(missing_ok=True)
        (self._root / str(project) / STEPS).unlink(missing_ok=True)
