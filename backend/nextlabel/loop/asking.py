"""Has a project asked by itself what takes seconds of a core, while nobody fits: whether its order helps, when the
answer can be another, and what versions that are not active say of the control set.

What is measured is told at planned looks alone (`learning.helping`), and of the first labels each time: however often
it is asked, nobody looks more often than planned.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nextlabel.errors import NextlabelError
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.helping import LOOKS
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.helping import asked_of, look
from nextlabel.loop.history import Historian
from nextlabel.problems.helping import Helping
from nextlabel.processes import lower_priority, trim_heap
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import Card, version_number, version_of
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

EVERY_S = 600.0  # between two times at least: one takes some ten seconds of a core, and more while texts are embedded
GROWTH = 1.5  # times as many labels as the last time, before another version is asked about
NICENESS = 15  # all else goes first

_thread = ThreadPoolExecutor(1, "helping", initializer=lower_priority, initargs=(NICENESS,))


class Asker:
    """Asks about one project at a time, anywhere; one that is given up for a fit is asked about at a later look."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        jobs: JobQueue,
        resident: LoadedVersions,
        embedder: Embedder,
        turn: ComputeGate,
        historian: Historian,
        now: Callable[[], float] = time.time,
    ):
        self._historian = historian
        self._settings, self._registry, self._board, self._jobs = settings, registry, board, jobs
        self._resident, self._embedder, self._turn, self._now = resident, embedder, turn, now

    def look(self, pool: Pool, project: int, config: LabelConfig, card: Card) -> None:
        """Want a job if there is anything to ask about. The judgement on the board is of today."""
        if not config.control.share or self._turn.fit_runs:
            return
        if self._is_due(project, card) or self._historian.unsaid(pool, project, config):
            self._jobs.want_helping(project)

    def _is_due(self, project: int, card: Card) -> bool:
        """Whether whether the order helps may have another answer by now."""
        last, control = self._board.helping(project), self._board.quality(project).sample.answered
        if 0 <= self._now() - last.at < EVERY_S or card.of_labels:  # less than 0: the clock was set back
            return False
        asked = version_of(last.order)
        grown = asked != card.version and card.examples >= GROWTH * last.known
        went_back = version_number(asked) > card.number
        return grown or went_back or _looks(control) > _looks(last.control)

    def ask(self, project: int) -> None:
        """Ask, and say what was found on the board."""
        try:
            with lock(self._settings.model_dir, "helping"), lock(self._settings.model_dir, f"helping.{project}"):
                found = _thread.submit(self._found, project).result()
                if found:
                    self._board.put_helping(project, found)
        except LockHeld:  # the clock's next look wants it again
            return
        except _FitComesError:
            log.info("project %d: whether its order helps is asked later, as a fit comes", project)
        except NextlabelError as error:
            log.warning("project %d: whether its order helps cannot be asked: %s", project, error)
        finally:
            trim_heap()

    def _found(self, project: int) -> Helping | None:
        """In a thread of its own, as no niceness can be taken back. None where there is nothing to ask about."""
        self._give_way()
        version, path = self._registry.current(project), pool_path(self._settings.model_dir, project)
        if version is None or not path.exists():
            return None
        card = self._registry.card(project, version)
        with Pool(path) as pool:
            asked = asked_of(self._settings, self._registry, self._board, pool, card, self._give_way)
            for other in self._historian.unsaid(pool, project, asked.config):
                self._give_way()
                self._historian.ask(pool, asked.config, other, self._resident)
            due = self._is_due(project, card)
            return look(asked, self._registry, self._resident, self._embedder) if due else None

    def _give_way(self) -> None:
        if self._turn.fit_runs:
            raise _FitComesError


class _FitComesError(Exception):
    """Its labels may change the answer; and it needs the cores."""


def _looks(control: int) -> int:
    """How many looks were planned by so many control labels."""
    return sum(planned <= control for planned in LOOKS)
