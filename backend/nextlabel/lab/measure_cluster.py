"""How much faster a pool is scored and projects are fitted on more nodes, without Label Studio.

The nodes are processes of this machine, so that times tell of as many nodes as it has idle cores. What is counted tells
of any number: tasks of each node, bytes that moved. Linux only.
"""

import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psutil

from nextlabel.errors import NextlabelError, of_extra
from nextlabel.lab.measure_pool import LABELLED, PROJECT, fill, small_bert, status_mib
from nextlabel.lab.ray_nodes import RayNodes
from nextlabel.lab.sandbox import free_port
from nextlabel.store.files import replace_file

if TYPE_CHECKING:
    from nextlabel.compute.cluster import Cluster
    from nextlabel.values.examples import Example

STEPS = 50  # of each fit
PAUSE_S = 0.02
STILL_S = 1800.0  # without a part that comes back
HEAD = (
    "nodes",
    "texts",
    "twice",
    "s",
    "texts/s",
    "bytes a text out",
    "back",
    "driver us",
    "MiB",
    "fits",
    "s",
    "parts by node",
)


@dataclass(frozen=True)
class Figures:
    """Of so many nodes. `pool_s` from the first part to the last score on disk, `fits_s` of all projects; bytes a text
    in both directions, without checkpoints; `driver_us` are the microseconds of a core for each text, `driver_mib` what
    was held at most above what was held before the pool: by this process and the one that speaks to Ray. `twice` texts
    are in the record more than once, which some older files do not say."""

    nodes: int
    texts: int
    pool_s: float
    bytes_out: float
    bytes_back: float
    driver_us: float
    driver_mib: float
    fits: int
    fits_s: float
    parts_of_nodes: Sequence[int]
    twice: int | None = None


def measure(
    tasks: int, projects: int, nodes: Sequence[int], turns: int, mrpc_dir: Path | None, out: Path | None
) -> None:
    """A pool of so many pairs and a fit of each of so many projects, on each number of nodes, in so many turns; prints
    a row for each, and what they come to.

    What is done is in `out` at once: killed and given again, it goes on with the rest. Raises `NextlabelError` for a
    file of another pool or of other projects.
    """
    done = _done(out, tasks, projects)
    print(f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|")
    for turn, number in itertools.product(range(turns), nodes):
        key = f"{number} nodes, turn {turn + 1}"
        if key not in done:
            done[key] = _measured(tasks, projects, number, mrpc_dir)
            if out is not None:
                runs = {name: asdict(figures) for name, figures in done.items()}
                held = {"tasks": tasks, "projects": projects, "runs": runs, "of_linear": of_linear(done.values())}
                replace_file(out, json.dumps(held, indent=1) + "\n")
        print(_row(done[key]), flush=True)
    for number, (pool, fits) in of_linear(done.values()).items():
        print(f"{number} nodes: {pool:.2f} of linear for the pool, {fits:.2f} for fits")


def _done(out: Path | None, tasks: int, projects: int) -> dict[str, Figures]:
    if out is None or not out.exists():
        return {}
    held = json.loads(out.read_text(encoding="utf-8"))
    if (held["tasks"], held["projects"]) != (tasks, projects):
        raise NextlabelError(
            f"{out} holds runs of {held['tasks']} tasks and {held['projects']} projects, not of {tasks} and "
            f"{projects}. Name another file with --out, or give those numbers."
        )
    return {name: Figures(**figures) for name, figures in held["runs"].items()}


def of_linear(found: Iterable[Figures]) -> dict[int, tuple[float, float]]:
    """For each number of nodes but the lowest: how many times as fast it was as that, for pools and fits, as a share of
    how many times as many nodes it had. Of several turns the medians."""
    by_nodes: dict[int, list[Figures]] = {}
    for figures in found:
        by_nodes.setdefault(figures.nodes, []).append(figures)
    texts_per_s = {n: statistics.median(one.texts / one.pool_s for one in some) for n, some in by_nodes.items()}
    fits_per_s = {n: statistics.median(one.fits / one.fits_s for one in some) for n, some in by_nodes.items()}
    least, *others = sorted(by_nodes)
    return {
        n: (texts_per_s[n] / texts_per_s[least] * least / n, fits_per_s[n] / fits_per_s[least] * least / n)
        for n in others
    }


def _row(of: Figures) -> str:
    cells: Iterable[object] = (
        *(of.nodes, of.texts, "" if of.twice is None else of.twice, f"{of.pool_s:.1f}", f"{of.texts / of.pool_s:.0f}"),
        *(round(of.bytes_out), round(of.bytes_back), round(of.driver_us), round(of.driver_mib)),
        *(of.fits, f"{of.fits_s:.1f}"),
        ", ".join(map(str, of.parts_of_nodes)),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _measured(tasks: int, projects: int, nodes: int, mrpc_dir: Path | None) -> Figures:
    from nextlabel.compute.cluster import Cluster, require_ray

    with of_extra("ray", "nextlabel measure-cluster"):
        require_ray()
    cluster_of_nodes = RayNodes(free_port(24000), nodes)
    try:
        with (
            patch.dict(os.environ, cluster_of_nodes.for_client),
            tempfile.TemporaryDirectory(prefix="nextlabel-cluster-") as home,
            closing(Cluster(cluster_of_nodes.address, "wait")) as cluster,
        ):
            return _on(cluster, Path(home), tasks, projects, nodes, mrpc_dir)
    finally:
        cluster_of_nodes.end()


def _on(cluster: "Cluster", home: Path, tasks: int, projects: int, nodes: int, mrpc_dir: Path | None) -> Figures:
    from nextlabel.loop.elsewhere import Elsewhere
    from nextlabel.settings import Settings

    base_model = small_bert(home / "bert")
    settings = Settings(_env_file=None, model_dir=home, base_model=str(base_model), device="cpu", compute_threads=1)
    elsewhere = Elsewhere(settings, cluster)
    with redirect_stdout(sys.stderr):  # it is part of another table
        fill(home, mrpc_dir, tasks)
    labelled = _labelled(home)
    _fit_all(elsewhere, settings, labelled, range(nodes))  # every node has imported torch, and has the checkpoint
    fits_s = _fit_all(elsewhere, settings, labelled, range(nodes, nodes + projects))
    return Figures(nodes=nodes, fits=projects, fits_s=fits_s, **_pool(cluster, elsewhere, settings))


def _labelled(home: Path) -> "list[tuple[Example, str]]":
    from nextlabel.lab.importing import PAIR_CONFIG
    from nextlabel.labelstudio.config import parse_label_config
    from nextlabel.store.pool import Pool, pool_path

    with Pool(pool_path(home, PROJECT)) as pool:
        return pool.labelled(parse_label_config(PAIR_CONFIG).question, holdout=False)[:LABELLED]


def _fit_all(elsewhere: Any, settings: Any, labelled: "list[tuple[Example, str]]", seeds: Iterable[int]) -> float:
    """Seconds until fits with all of these seeds have come back; one waits for each, as a trainer's threads do."""
    from concurrent.futures import ThreadPoolExecutor

    from nextlabel.lab.importing import PAIR_CONFIG
    from nextlabel.labelstudio.config import parse_label_config
    from nextlabel.model.classifier import Recipe

    question = parse_label_config(PAIR_CONFIG).question

    def fit(seed: int) -> None:
        recipe = Recipe(settings.base_model, STEPS, 1e-4, 16, 128, seed, "cpu", "fp32")
        elsewhere.round(recipe, question, labelled, [], [], "entropy", lambda stage, done, total: None)

    start = time.perf_counter()
    many = list(seeds)
    with ThreadPoolExecutor(len(many)) as threads:
        list(threads.map(fit, many))
    return time.perf_counter() - start


def _pool(cluster: "Cluster", elsewhere: Any, settings: Any) -> dict[str, Any]:
    """What `Figures` say of a pool."""
    from nextlabel.lab.measure_pool import Trainer
    from nextlabel.loop import backlog as backlogs
    from nextlabel.loop.compute_gate import ComputeGate
    from nextlabel.store.pool import Pool, pool_path
    from nextlabel.versions.loaded import LoadedVersions

    ours = [str(os.getpid()), *(str(child.pid) for child in multiprocessing.active_children())]
    trainer = Trainer(settings.model_dir, settings.base_model, "cpu")
    trainer.fit(PROJECT)
    version = trainer.registry.current(PROJECT)
    assert version is not None
    resident = LoadedVersions(settings, trainer.registry, 1)
    backlog = backlogs.Backlog(settings, trainer.registry, trainer.jobs, resident, ComputeGate(), elsewhere)

    with Pool(pool_path(settings.model_dir, PROJECT)) as pool:
        texts, todo = pool.unscored_size(version), pool.unscored_parts(version, backlogs.PART)
        known = pool.scored_records(version)
        moved, nodes = cluster.moved, Counter(cluster.computed)
        before = _reset(ours)
        start, cpu_s = time.perf_counter(), _cpu_s(ours)
        while todo:  # what found no room after all is handed in again
            for part in todo:
                until = time.monotonic() + STILL_S
                while not backlog.has_room:
                    if time.monotonic() > until:
                        raise NextlabelError(f"No part came back in {STILL_S:.0f} s from {cluster.words}.")
                    time.sleep(PAUSE_S)
                backlog.score(PROJECT, version, *part)
            time.sleep(PAUSE_S)
            todo = pool.unscored_parts(version, backlogs.PART)
        pool_s = time.perf_counter() - start
        twice = pool.scored_records(version) - known - texts
    out, back = (now - then for now, then in zip(cluster.moved, moved, strict=True))
    parts = Counter(cluster.computed) - nodes
    return {
        "texts": texts,
        "twice": twice,
        "pool_s": pool_s,
        "bytes_out": out / texts,
        "bytes_back": back / texts,
        "driver_us": 1e6 * (_cpu_s(ours) - cpu_s) / texts,
        "driver_mib": sum(status_mib("VmHWM", process) for process in ours) - before,
        "parts_of_nodes": tuple(sorted(parts.values(), reverse=True)),
    }


def _cpu_s(processes: Iterable[str]) -> float:
    """What they have computed so far, in seconds of a core."""
    times = [psutil.Process(int(process)).cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))


def _reset(processes: Sequence[str]) -> float:
    """Forget the most that they held so far; returns what they hold now, in MiB."""
    for process in processes:
        Path("/proc", process, "clear_refs").write_text("5")  # proc(5)
    return sum(status_mib("VmRSS", process) for process in processes)
