"""A run: one Label Studio, the builds in turns, a project for each turn."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from nextlabel.errors import NextlabelError
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.loop_benchmark.builds import Build
from nextlabel.lab.loop_benchmark.figures import Turn, figures, label_to_order, ratio, rows
from nextlabel.lab.loop_benchmark.material import Material, make_project
from nextlabel.lab.loop_benchmark.orders import OrderWatch, StudioDatabase, is_fitted
from nextlabel.lab.loop_benchmark.people import Annotator, work_side_by_side
from nextlabel.lab.measure_rounds import commit_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.store.status import StatusBoard

QUIET_S = 3.0  # so long without a request: nothing is left to do
LONGEST_S = 30.0  # that is waited for, so that of a fit which labels have begun the order is seen too
SHORTEST_S = 15.0  # of labelling, however little time is left
NOTE = (
    "ratio_to_previous is the older build's median by ours: above 1 this build is faster. Percentiles are values that "
    "were measured, of new_orders and of served many; the p95 of fewer than 20 is the largest."
)
SETTINGS = ("fit_every", "fit_steps", "learning_rate")


@dataclass(frozen=True)
class LoopPlan:
    """How much: people, their seconds on a label, seconds that they work in each turn of a build, turns, and what both
    builds are told. `base_model` is a hub name or a directory. To be over in `limit_s` they work less. `postgresql` is
    the address of an empty data base for Label Studio, which is on SQLite without it."""

    base_model: str
    annotators: int
    pace_s: float
    seconds: float
    turns: int
    fit_every: int
    fit_steps: int
    learning_rate: float
    limit_s: float | None = None
    postgresql: str = ""

    @property
    def labels(self) -> int:
        """About how many labels are given in a turn."""
        return int(self.annotators * (self.seconds / self.pace_s + 1))


class Clock:
    """Says how long people may work in each turn."""

    def __init__(self, plan: LoopPlan, turns: int):
        self._plan, self._left = plan, turns
        self._start = self._turn = time.monotonic()

    def begin_turn(self) -> None:
        """All but labelling counts from here on."""
        self._turn = time.monotonic()

    def seconds(self) -> float:
        """Of labelling in this turn, which is about to begin: what leaves the later ones as much."""
        now, left = time.monotonic(), self._left
        self._left -= 1
        if self._plan.limit_s is None:
            return self._plan.seconds
        return fair_share(self._plan, now - self._start, now - self._turn, left)


def fair_share(plan: LoopPlan, passed_s: float, overhead_s: float, turns: int) -> float:
    """Seconds of labelling in each of so many turns, when `overhead_s` went before it in this one."""
    left = (plan.limit_s or math.inf) - passed_s - overhead_s * (turns - 1)
    return min(plan.seconds, max(SHORTEST_S, left / turns - LONGEST_S / 2))


def measure(
    plan: LoopPlan, material: Material, builds: Sequence[Build], show: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """All numbers: of the first build, and of the second one, if there is one, as `previous`."""
    from nextlabel.model.devices import machine  # imports torch

    turns: dict[str, list[Turn]] = {build.name: [] for build in builds}
    clock = Clock(plan, plan.turns * len(builds))
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextlabel-loop-")))
        server = LocalStudio(home / "label-studio", free_port(18350), plan.postgresql)
        stack.callback(server.stop)
        show("starting Label Studio")
        server.start()
        database = StudioDatabase(server.data_dir, plan.postgresql)
        stack.callback(database.close)
        tokens = [sign_up(server, f"annotator{number}@example.com") for number in range(plan.annotators)]
        for number in range(plan.turns):
            for build in builds:
                show(f"turn {number + 1} of {plan.turns}: {build.name}")
                directory = home / f"backend-{len(turns[build.name])}-{builds.index(build)}"
                clock.begin_turn()
                turn = _turn(plan, material, build, server, database, directory, tokens, clock)
                show(f"  {len(turn.given)} labels in {turn.seconds:.0f} s, {len(label_to_order(turn))} new orders")
                turns[build.name].append(turn)
        version = server.connect().version()
    kept = "PostgreSQL" if plan.postgresql else "SQLite"
    about = {"machine": machine(), "label_studio": f"{version} on {kept}", "data": material.data.source}
    told = {name: value for name, value in asdict(plan).items() if name != "postgresql"}  # it may hold a password
    commits = {build.name: commit_of(Path(build.python_path)) for build in builds}
    settings = {**told, "commits": commits, "base_model": Path(plan.base_model).name, "start": material.start}
    return {**about, **settings, "pool": len(material.data.train) - material.start, **compared(list(turns.values()))}


def compared(turns: Sequence[Sequence[Turn]]) -> dict[str, Any]:
    """The figures of the first build, with those of the second as `previous`, and all that was noted."""
    found = [figures(of_build) for of_build in turns]
    ours, theirs = found[0], found[1] if len(found) > 1 else None
    result: dict[str, Any] = {
        "note": NOTE,
        "label_to_order": {**ours, "ratio_to_previous": ratio(ours["p50_s"], theirs["p50_s"]) if theirs else None},
    }
    noted = {"served": [[rows(turn) for turn in of_build] for of_build in turns]}
    return {**result, **({"previous": theirs} if theirs else {}), **noted}


def _turn(
    plan: LoopPlan,
    material: Material,
    build: Build,
    server: LocalStudio,
    database: StudioDatabase,
    directory: Path,
    tokens: Sequence[str],
    clock: Clock,
) -> Turn:
    """A new project, labelled for a while with a backend of this build that has an order of it to begin with."""
    project = make_project(server.connect(), material, build.name)
    backend = LocalBackend(
        server,
        directory,
        free_port(19350),
        pythonpath=build.python_path,
        base_model=plan.base_model,
        promote_margin=1,  # each fit is to give a new order
        control_share=0,  # of whose labels no order is to know
        **{name: getattr(plan, name) for name in SETTINGS},
    )
    backend.program = build.program
    board = StatusBoard(directory)
    people = [Annotator(server.connect(token), database, project, material.config, material.gold) for token in tokens]
    try:
        backend.start()
        keys = {"LABEL_STUDIO_URL": server.url, "LABEL_STUDIO_API_KEY": server.login.token}
        build.connect_project(project, backend.url, keys, directory)
        with OrderWatch(database, directory, project) as watch:
            wait_until(lambda: _in_order(watch, board, backend, project))
            _until_quiet(board, project, 0)
            trainer = _process(backend, "trainer")
            start, before, labels = time.monotonic(), board.traffic(), board.queue(project).labels
            cpu_s = sum(trainer.cpu_times()[:2])
            work_side_by_side(people, clock.seconds(), plan.pace_s)
            seconds = time.monotonic() - start
            _until_quiet(board, project, labels + len({one.task for person in people for one in person.given}))
            _in_order(watch, board, backend, project)
            cpu_s, rss_mib = sum(trainer.cpu_times()[:2]) - cpu_s, trainer.memory_info().rss / 2**20
            web_rss_mib = _largest_rss_mib(_process(backend, "web"))
    finally:
        backend.stop()
    return Turn(
        switches=tuple(watch.switches),
        served=tuple(sorted((one for person in people for one in person.served), key=lambda one: one.at)),
        given=tuple(sorted((one for person in people for one in person.given), key=lambda one: one.at)),
        requests=(board.traffic() - before).requests,
        waits=sum(person.waits for person in people),
        seconds=seconds,
        pool=board.queue(project).pool,
        cpu_s=cpu_s,
        rss_mib=rss_mib,
        web_rss_mib=web_rss_mib,
    )


def _process(backend: LocalBackend, name: str) -> psutil.Process:
    return next(child for child in psutil.Process(backend.pid).children() if name in child.cmdline())


def _largest_rss_mib(process: psutil.Process) -> float:
    """Resident memory of the largest among a process and its children, MiB: who answers requests is gunicorn's worker,
    a child of the process that we start."""
    return float(max(one.memory_info().rss for one in (process, *process.children(recursive=True)))) / 2**20


def _in_order(watch: OrderWatch, board: StatusBoard, backend: LocalBackend, project: int) -> bool:
    """Whether a fitted order's window is published. Raises `NextlabelError` when the backend failed."""
    watch.check()
    fit = board.fit(project)
    if fit.state == "failed" or not backend.running():
        raise NextlabelError(f"The backend failed. {fit.message}\n{backend.tail()}")
    return is_fitted(watch.order) and board.queue(project).state == "published"


def _until_quiet(board: StatusBoard, project: int, labels: int) -> None:
    """Until the backend has read so many labels, no fit is running and nothing is asked of Label Studio, or it has been
    waited for long enough."""
    start = since = time.monotonic()
    last = board.traffic()
    while time.monotonic() < min(since + QUIET_S, start + LONGEST_S):
        time.sleep(0.1)
        busy = board.fit(project).state == "fitting" or board.queue(project).labels < labels
        if busy or board.traffic() != last:
            last, since = board.traffic(), time.monotonic()
