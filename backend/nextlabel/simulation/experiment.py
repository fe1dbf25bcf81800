"""A simulation on disk: plays what its directory does not hold yet, arms side by side, each round written at once."""

import multiprocessing
import os
import platform
import queue
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from nextlabel import __version__
from nextlabel.errors import BadRunError, DivergedError, NextlabelError
from nextlabel.learning import auto_recipe
from nextlabel.model import checkpoints
from nextlabel.model import classifier as classifiers
from nextlabel.model.devices import (
    describe,
    gpu_count,
    machine,
    pick_device,
    precision_name,
    processor,
    use_threads,
)
from nextlabel.processes import exit_with_parent
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.probabilities import Targets
from nextlabel.simulation.records import (
    FULL,
    INVOCATIONS,
    LIVE,
    ROUNDS,
    SETTING,
    Record,
)
from nextlabel.simulation.replay import SERVED_AS, Arm, Played, Player, RunProtocol, rounds_in
from nextlabel.store.files import forget_unfinished

LOOK_S = 1.0  # how often it is seen whether a worker is still alive
ASIDE = "before-anew"  # a copy of the run, made before arms are begun anew


@dataclass(frozen=True)
class ExperimentPlan:
    """What is asked for: arms, each with `rounds` of labelling (None: until the pool is empty), on `workers` of this
    machine or on a `cluster`, in words."""

    arms: Sequence[Arm]
    rounds: int | None = None
    workers: int = 1
    threads: int = 1
    cluster: str = ""


@dataclass(frozen=True)
class Event:
    """What happened to an arm: a round was `played`, or it `failed` and why."""

    arm: Arm
    played: Played | None = None
    failed: str = ""

    @property
    def record(self) -> Record | None:
        """The round's record, if there is one."""
        return self.played.record if self.played else None


Show = Callable[[Event], None]


class Experiment:
    """One directory of rounds of one setting. Raises `BadRunError` when it holds rounds of another setting.

    Only one process at a time may work on a directory; it alone writes, whatever the number of workers.
    """

    def __init__(self, out: Path, data: TextSet, protocol: RunProtocol, deviations: Sequence[str] | None = None):
        """`deviations` from the tutorial's experiment are given when it is to be reproduced. Writes nothing."""
        self.out, self.data = out, data
        with _disk(out):
            self._known = records.read_json(out / SETTING) if records.read_rounds(out / ROUNDS) else None
        self.protocol = _pinned(protocol, self._known)
        self.setting = setting_of(data, self.protocol, deviations)
        if self._known is not None and not records.differences(self._known, self.setting):
            self.setting = self._known  # the digest of its rounds is of where the data lay then
        self.digest = records.digest_of(self.setting)
        self._lock = FileLock(out / "run.lock", timeout=0)

    def __enter__(self) -> "Experiment":
        with _disk(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise BadRunError(
                    f"Another process is working on {self.out}. Wait for it, or give another --out."
                ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def play(
        self, plan: ExperimentPlan, command: str, show: Show = lambda event: None, make: "Make | None" = None
    ) -> list[Event]:
        """Play what is not yet recorded, here or as `make` does; returns the arms that failed, each with its reason.

        A fit that diverges ends its arm only; any other error ends the run, as it would meet every arm.
        """
        self.begin(command, plan)
        done = self.done()
        failures: list[Event] = []
        make = make or (one_after_other if plan.workers == 1 else _side_by_side)
        for event in make(self.data, self.protocol, _jobs(plan, done), plan):
            if event.played is not None:
                self.write(event.played)
            if event.failed:
                failures.append(event)
                self._note_failures(failures)
            show(event)
        return failures

    def _note_failures(self, failures: Sequence[Event]) -> None:
        run = records.read_json(self.out / INVOCATIONS)
        assert run is not None
        why = [{"seed": f.arm.seed, "strategy": f.arm.strategy, "why": f.failed} for f in failures]
        run["invocations"][-1]["failures"] = why
        with _disk(self.out):
            records.write_json(self.out / INVOCATIONS, run)

    def done(self) -> dict[Arm, list[Record]]:
        """The rounds on disk, by arm, in order."""
        found: dict[Arm, list[Record]] = {}
        for record in records.read_rounds(self.out / ROUNDS):
            found.setdefault(Arm(record.seed, record.strategy), []).append(record)
        return found

    def begin(self, command: str, plan: ExperimentPlan) -> None:
        """Repair what a killed process left, check that this is the same setting and device, note this start.

        Arms of the plan that another processor has begun and not ended are begun anew, as its last bits may differ from
        this one's; not so on a cluster, where this processor plays nothing. So are those of which a file of what their
        versions said was lost.
        """
        self.require_same_setting()
        before = self.require_same_device(plan)
        now = {"command": command, "started": _now(), **_place(self.protocol, plan)}
        with _disk(self.out):
            records.repair(self.out / ROUNDS)
            for directory in (self.out, self.out / probabilities.DIRECTORY):
                forget_unfinished(directory)
            taken_out = self._to_begin_anew(plan)
            anew = self._kept_aside(taken_out) if taken_out else {}
            if self.protocol.at:
                layout = self.data.question.layout
                probabilities.write_targets(self.out, self.data.labels, _targets(self.data), layout)
            records.write_json(self.out / SETTING, self.setting)
            records.write_json(self.out / INVOCATIONS, {"invocations": [*before, {**now, **anew}]})
            if taken_out:  # only now that it is noted
                self._take_out(taken_out)

    def require_same_device(self, plan: ExperimentPlan) -> list[dict[str, Any]]:
        """The starts so far. Raises `BadRunError` when the first was on another device or number of threads."""
        before = (records.read_json(self.out / INVOCATIONS) or {}).get("invocations", []) if self.done() else []
        use_threads(plan.threads)
        here = describe(self.protocol.recipe.device)
        if before and before[0]["device"] != here:
            raise BadRunError(
                f"{self.out} was made on {before[0]['device']}, this is {here}: the same seed would give other rounds. "
                "Give the same --device and --threads, or another --out."
            )
        return list(before)

    def require_same_setting(self) -> None:
        """Raises `BadRunError` when the directory holds rounds of another setting."""
        differing = records.differences(self._known, self.setting) if self._known is not None else []
        if differing:
            raise BadRunError(
                f"{self.out} holds rounds of another setting than the one asked for ({'; '.join(differing)}). Give the "
                "same options, or another --out."
            )
        made = records.read_rounds(self.out / ROUNDS)
        records.require_made_under(self.setting, made, self.out, told=self._known is not None)

    def _to_begin_anew(self, plan: ExperimentPlan) -> dict[Arm, list[Record]]:
        """Arms of the plan that cannot go on, with their rounds."""
        return {
            arm: made
            for arm, made in self.done().items()
            if arm in plan.arms and (self._is_begun_elsewhere(arm, made, plan) or self._has_lost(arm, made))
        }

    def _is_begun_elsewhere(self, arm: Arm, made: Sequence[Record], plan: ExperimentPlan) -> bool:
        if plan.cluster or made[-1].machine in ("", processor()):
            return False
        return not _is_finished(self.data, self.protocol, arm, made, plan.rounds)

    def _has_lost(self, arm: Arm, made: Sequence[Record]) -> bool:
        """Whether there is no word of a version, which is written before its record."""
        return bool(self.protocol.at) and len(made) > probabilities.rounds(self.out, arm.seed, arm.strategy)

    def _kept_aside(self, taken_out: Mapping[Arm, Sequence[Record]]) -> dict[str, Any]:
        """What a start notes about arms that are begun anew; the run as it was is copied, to be read as any other."""
        aside = self.out / f"{ASIDE}-{1 + len(list(self.out.glob(f'{ASIDE}-*')))}"
        beside = aside.with_name(f".{aside.name}")
        shutil.rmtree(beside, ignore_errors=True)  # of a start that was killed
        (beside / probabilities.DIRECTORY).mkdir(parents=True)
        for path in (*self.out.glob("*.json*"), *self.out.glob(f"{probabilities.DIRECTORY}/*.zip")):
            shutil.copy2(path, beside / path.relative_to(self.out))
        beside.rename(aside)
        anew = [
            {"seed": arm.seed, "strategy": arm.strategy, "rounds": len(made), "machine": made[-1].machine}
            for arm, made in taken_out.items()
        ]
        return {"begun_anew": anew, "kept_aside": aside.name}

    def _take_out(self, taken_out: Mapping[Arm, Sequence[Record]]) -> None:
        kept = [record for arm, made in self.done().items() if arm not in taken_out for record in made]
        records.write_rounds(self.out / ROUNDS, sorted(kept, key=lambda record: (record.seed, record.round)))
        for arm in taken_out:
            probabilities.forget(self.out, arm.seed, arm.strategy)

    def write(self, played: Played) -> Record:
        """Add a finished round; returns its record as written. What its version said is there before the record is."""
        record = replace(played.record, setting=self.digest)
        with _disk(self.out):
            if self.protocol.at:
                predicted = played.layout.guesses if played.layout else self.data.question.predicted
                probabilities.write(self.out, record.seed, record.strategy, record.round, played.said, predicted)
            records.append(self.out / ROUNDS, record)
        return record


@contextmanager
def _disk(out: Path) -> Iterator[None]:
    """Says in one sentence what the disk refused."""
    try:
        yield
    except OSError as error:
        raise BadRunError(
            f"Cannot read or write {error.filename or out}: {error.strerror}. The rounds finished before are kept; "
            "correct that, or give another --out, and give the command again."
        ) from None


Job = Sequence[tuple[Arm, Sequence[Record]]]  # arms that one worker plays one after the other, with their rounds
Make = Callable[[TextSet, RunProtocol, Sequence[Job], ExperimentPlan], Iterator[Event]]  # how jobs are played


def _jobs(plan: ExperimentPlan, done: Mapping[Arm, Sequence[Record]]) -> list[Job]:
    """The arms of a seed together, for they share their first fit; each alone where seeds are fewer than workers."""
    seeds = dict.fromkeys(arm.seed for arm in plan.arms)
    known = [(arm, done.get(arm, [])) for arm in plan.arms]
    if len(seeds) < plan.workers:
        return [[one] for one in known]
    return [[(arm, made) for arm, made in known if arm.seed == seed] for seed in seeds]


def _is_finished(data: TextSet, protocol: RunProtocol, arm: Arm, made: Sequence[Record], rounds: int | None) -> bool:
    return not made[-1].chosen or len(made) >= rounds_in(data, protocol, arm, rounds)


def _targets(data: TextSet) -> dict[str, Targets]:
    def of(part: Sequence[Labelled]) -> Targets:
        ids = np.array([example.id for example, _ in part], dtype=np.int64)
        return Targets(ids, data.question.class_numbers([label for _, label in part]))

    return {"dev": of(data.dev), "test": of(data.test)}


def one_after_other(data: TextSet, protocol: RunProtocol, jobs: Sequence[Job], plan: ExperimentPlan) -> Iterator[Event]:
    """What happens when all jobs are played in this process."""
    use_threads(plan.threads)
    player = Player(data, protocol)
    for job in jobs:
        yield from _play(player, job, plan.rounds)


def _play(player: Player, job: Job, rounds: int | None) -> Iterator[Event]:
    for arm, done in job:
        try:
            for played in player.play(arm, done, rounds):
                yield Event(arm, played)
        except DivergedError as error:
            yield Event(arm, failed=str(error))


def _side_by_side(data: TextSet, protocol: RunProtocol, jobs: Sequence[Job], plan: ExperimentPlan) -> Iterator[Event]:
    """Jobs in as many processes; `auto` and `cuda` are dealt out over all GPUs."""
    context = multiprocessing.get_context("spawn")  # CUDA cannot be used in a forked process
    wanted, results = context.Queue(), context.Queue()  # their threads write: no put waits for a reader
    for job in [*jobs, *([None] * plan.workers)]:
        wanted.put(job)
    workers = [
        context.Process(
            target=_work, args=(os.getpid(), data, _on_gpu(protocol, i), plan, wanted, results), daemon=True
        )
        for i in range(plan.workers)
    ]
    try:
        for worker in workers:
            worker.start()
        yield from _results(results, workers)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _results(results: Any, workers: Sequence[Any]) -> Iterator[Event]:
    working = len(workers)
    while working:
        try:
            result = results.get(timeout=LOOK_S)
        except queue.Empty:
            killed = [w.exitcode for w in workers if w.exitcode not in (None, 0)]
            if killed:
                raise BadRunError(
                    f"A worker stopped with exit code {killed[0]} (-9: killed, often for want of memory). The rounds "
                    "finished before are kept; give the same command again, with fewer --workers."
                ) from None
            continue
        if isinstance(result, NextlabelError):
            raise result
        if result is None:
            working -= 1
        else:
            yield result


def _work(
    supervisor: int, data: TextSet, protocol: RunProtocol, plan: ExperimentPlan, wanted: Any, results: Any
) -> None:
    exit_with_parent(supervisor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to heed
    use_threads(plan.threads)
    try:
        player = Player(data, protocol)
        while (job := wanted.get()) is not None:
            for event in _play(player, job, plan.rounds):
                results.put(event)
        results.put(None)
    except NextlabelError as error:
        results.put(error)


def _on_gpu(protocol: RunProtocol, worker: int) -> RunProtocol:
    gpus = gpu_count()
    if protocol.recipe.device != "cuda" or gpus < 2:
        return protocol
    return replace(protocol, recipe=replace(protocol.recipe, device=f"cuda:{worker % gpus}"))


def _pinned(protocol: RunProtocol, known: Mapping[str, Any] | None) -> RunProtocol:
    """With device and precision as they are found here, so that every worker and every later start has the same."""
    device, precision = pick_device(protocol.recipe.device), protocol.recipe.precision
    if precision == "auto" and known is not None:  # a measurement on a busy machine could come out another way
        precision = known["recipe"]["precision"]
    precision = precision_name(precision, device)
    return replace(protocol, recipe=replace(protocol.recipe, device=str(device), precision=precision))


def setting_of(data: TextSet, protocol: RunProtocol, deviations: Sequence[str] | None) -> dict[str, Any]:
    """All that must be equal for rounds to be compared. Names a checkpoint by its content, not by where it lies."""
    recipe = asdict(protocol.recipe)
    base_model = checkpoints.identity(recipe.pop("base_model"))
    for not_a_setting in ("seed", "device"):
        del recipe[not_a_setting]
    if not recipe["stop_loss"]:  # settings of such fits are as they ever were
        del recipe["stop_loss"]
    if protocol.auto_steps:
        recipe["steps"] = auto_recipe.RULE
    return {
        "data": {
            "source": data.source,
            "fingerprint": data.fingerprint,
            "labels": list(data.labels),
            **({"questions": data.form.layout.as_dict()} if data.form else {}),
            "train": len(data.train),
            "dev": len(data.dev),
            "test": len(data.test),
            "counts": data.counts(),
            "shared": {**data.leaks(), **data.repeats()},
        },
        "base_model": base_model,
        "recipe": recipe,
        "start": protocol.start,
        "start_by": protocol.start_by,
        "batch": protocol.batch,
        "full_steps": protocol.full_steps,
        "training_seed": protocol.training_seed,
        "stop_at": protocol.stop_at,
        **_by_counts(protocol),
        **({"thresholds": "chosen at each fit"} if data.form else {}),
        **({"control_share": protocol.control_share} if protocol.control_share else {}),
        **({"frozen": protocol.frozen} if protocol.frozen else {}),
        "reproduction": deviations is not None,
        "deviations": list(deviations or ()),
    }


def _by_counts(protocol: RunProtocol) -> dict[str, Any]:
    """What a run with label counts is compared by; with fixed batches the epochs of a fit, where any are asked for, so
    that the other settings are as they ever were."""
    if not protocol.at:
        return {"epochs": protocol.epochs} if protocol.epochs else {}
    return {"at": list(protocol.at), "epochs": protocol.epochs, "measure": protocol.measure}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _place(protocol: RunProtocol, plan: ExperimentPlan) -> dict[str, Any]:
    use_threads(plan.threads)
    return {
        "seeds": list(dict.fromkeys(arm.seed for arm in plan.arms)),
        "strategies": list(dict.fromkeys(arm.strategy for arm in plan.arms)),
        "full_seeds": [arm.seed for arm in plan.arms if arm.strategy == FULL],
        "rounds": plan.rounds,
        **({"cluster": plan.cluster} if plan.cluster else {}),
        **({"live": SERVED_AS} if any(arm.strategy == LIVE for arm in plan.arms) else {}),
        "device": describe(protocol.recipe.device),
        "machine": machine(),
        "versions": {"nextlabel": __version__, "python": platform.python_version(), **classifiers.package_versions()},
    }
