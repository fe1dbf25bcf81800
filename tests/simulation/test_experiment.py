"""A simulation on disk: killed at any point it goes on, other settings are refused, workers change nothing."""

import contextlib
import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from nextlabel.errors import BadRunError, NoModelError
from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import processor
from nextlabel.simulation import probabilities, records, replay
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.simulation.experiment import Event, Experiment, ExperimentPlan, Job
from nextlabel.simulation.records import Record
from nextlabel.simulation.replay import Arm, RunProtocol, arms

ARMS = arms(["random", "entropy"], [0, 1])
PLAN = ExperimentPlan(ARMS, rounds=2)


@pytest.fixture(scope="module")
def data() -> TextSet:
    """40 of our own pairs to learn from, 12 dev, 8 test."""
    pairs = own_pairs()
    return of_pairs(replace(pairs, train=pairs.train[:40], holdout=pairs.holdout[:12], test=pairs.holdout[12:20]))


@pytest.fixture(scope="module")
def protocol(tiny: Path) -> RunProtocol:
    """A few quick steps."""
    recipe = Recipe(str(tiny), 3, 1e-3, 8, max_length=48, seed=0, device="cpu")
    return RunProtocol(recipe, start=16, batch=10, full_steps=4)


@pytest.fixture(autouse=True)
def _threads() -> object:
    """A plan sets the number of torch's threads; other tests want theirs back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def play(
    out: Path, data: TextSet, protocol: RunProtocol, plan: ExperimentPlan = PLAN
) -> tuple[list[Record], list[Event]]:
    """The new records, in the order played, and the failures."""
    seen: list[Event] = []
    with Experiment(out, data, protocol) as experiment:
        failures = experiment.play(plan, "the command", seen.append)
    return [event.record for event in seen if event.record], failures


def lines(out: Path) -> list[Record]:
    """What is on disk, by arm, without what no two runs share."""
    found = records.read_rounds(out / records.ROUNDS)
    return sorted((replace(r, seconds={}) for r in found), key=lambda r: (r.seed, r.strategy, r.round))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, data: TextSet, protocol: RunProtocol) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    play(out, data, protocol)
    return out


def test_a_directory_says_what_was_played_and_how(unbroken: Path, data: TextSet, tiny: Path) -> None:
    run = records.read_run(unbroken)
    assert len(run.rounds) == 2 * (1 + 3 + 3)
    assert run.setting["data"]["fingerprint"] == data.fingerprint
    assert run.setting["recipe"]["steps"] == 3
    assert run.setting["base_model"].startswith(f"{tiny.name} (sha256 ")
    assert run.setting["recipe"]["precision"] in ("bf16", "fp32")  # as found, not "auto"
    (invocation,) = run.invocations
    assert invocation["command"] == "the command"
    assert invocation["device"] == "cpu (1 thread)"
    assert {"torch", "transformers", "numpy", "python", "nextlabel"} <= invocation["versions"].keys()
    assert "cores" in invocation["machine"]
    keys = {"seed", "strategy", "round", "labels", "dev", "test", "chosen", "seconds", "device", "versions", "setting"}
    keys |= {"machine", "mix", "near_copies", "train_accuracy"}
    first = json.loads((unbroken / records.ROUNDS).read_text(encoding="utf-8").splitlines()[0])
    assert first.keys() == keys


@pytest.mark.usefixtures("patience")
def test_a_run_cut_anywhere_ends_with_the_same_lines(
    tmp_path: Path, unbroken: Path, data: TextSet, protocol: RunProtocol
) -> None:
    whole = (unbroken / records.ROUNDS).read_bytes()
    rng = random.Random(0)
    for number in range(6):
        out = tmp_path / str(number)
        out.mkdir()
        for name in (records.SETTING, records.INVOCATIONS):
            (out / name).write_bytes((unbroken / name).read_bytes())
        kept = whole[: rng.randrange(len(whole))]
        (out / records.ROUNDS).write_bytes(kept)
        new, _ = play(out, data, protocol)
        assert len(new) == 14 - kept.count(b"\n")  # no finished round is played again
        assert lines(out) == lines(unbroken)


def test_a_finished_run_plays_nothing(unbroken: Path, data: TextSet, protocol: RunProtocol) -> None:
    before = (unbroken / records.ROUNDS).read_bytes()
    assert play(unbroken, data, protocol) == ([], [])
    assert (unbroken / records.ROUNDS).read_bytes() == before


@pytest.mark.usefixtures("patience")
def test_two_workers_give_the_same_lines_as_one(
    tmp_path: Path, unbroken: Path, data: TextSet, protocol: RunProtocol
) -> None:
    _, failures = play(tmp_path, data, protocol, replace(PLAN, workers=2))
    assert failures == []
    assert lines(tmp_path) == lines(unbroken)
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("patience")
def test_arms_of_heads_end_with_the_same_lines_cut_at_any_count_or_with_two_workers(
    tmp_path: Path, data: TextSet, protocol: RunProtocol
) -> None:
    counted = replace(protocol, at=(8, 20, 32))
    plan = ExperimentPlan(arms(["head:margin", "head:entropy"], [0, 1], full_seeds=0))
    play(tmp_path / "whole", data, counted, plan)
    whole = (tmp_path / "whole" / records.ROUNDS).read_bytes()
    assert [bool(r.head) for r in lines(tmp_path / "whole")] == [True, True, False] * 4
    for kept in (1, 4, 8):
        out = tmp_path / str(kept)
        shutil.copytree(tmp_path / "whole", out)
        (out / records.ROUNDS).write_bytes(b"".join(whole.splitlines(keepends=True)[:kept]))
        play(out, data, counted, plan)
        assert lines(out) == lines(tmp_path / "whole")
    play(tmp_path / "beside", data, counted, replace(plan, workers=2))
    assert lines(tmp_path / "beside") == lines(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 11}, "batch: 10, not 11"),
        ({"start": 12}, "start: 16, not 12"),
        ({"stop_at": 0.9}, "stop_at: null, not 0.9"),
        ({"full_steps": 5}, "full_steps: 4, not 5"),
    ],
)
def test_rounds_of_another_setting_are_not_mixed_in(
    unbroken: Path, data: TextSet, protocol: RunProtocol, change: dict[str, float], words: str
) -> None:
    with pytest.raises(BadRunError, match=f"{words}.*another --out"):
        play(unbroken, data, replace(protocol, **change))  # type: ignore[arg-type]


def test_a_run_that_goes_on_where_the_same_data_lies_elsewhere_is_one_run(
    tmp_path: Path, data: TextSet, protocol: RunProtocol
) -> None:
    plan = ExperimentPlan(arms(["random"], [0], full_seeds=0), rounds=1)
    play(tmp_path, data, protocol, replace(plan, rounds=0))
    new, _ = play(tmp_path, replace(data, source="the same, in another directory"), protocol, plan)
    assert len(new) == 1
    run = records.read_run(tmp_path)
    assert (len(run.rounds), run.setting["data"]["source"]) == (2, data.source)


def test_without_its_setting_a_directory_takes_no_other_rounds(
    tmp_path: Path, unbroken: Path, data: TextSet, protocol: RunProtocol
) -> None:
    out = tmp_path / "out"
    shutil.copytree(unbroken, out)
    (out / records.SETTING).unlink()
    with pytest.raises(
        BadRunError, match=r"rounds of the setting \w{12}, and setting\.json there is missing\. Restore"
    ):
        play(out, data, replace(protocol, batch=11))
    with pytest.raises(BadRunError, match=r"made on cpu \(1 thread\), this is cpu \(2 threads\)"):
        play(out, data, protocol, replace(PLAN, threads=2))
    assert play(out, data, protocol) == ([], [])
    assert (out / records.SETTING).read_bytes() == (unbroken / records.SETTING).read_bytes()
    told = (out / records.ROUNDS).read_text(encoding="utf-8")
    (out / records.ROUNDS).write_text(told.replace(records.read_run(out).rounds[0].setting, "123"), encoding="utf-8")
    with pytest.raises(BadRunError, match=r"rounds of the setting 123, and setting\.json there tells another"):
        play(out, data, protocol)


def test_epochs_of_fixed_batches_are_part_of_their_setting(
    tmp_path: Path, data: TextSet, protocol: RunProtocol
) -> None:
    plan = ExperimentPlan(arms(["random"], [0], full_seeds=0), rounds=0)
    play(tmp_path, data, replace(protocol, epochs=2.0), plan)
    assert records.read_run(tmp_path).setting["epochs"] == 2
    with pytest.raises(BadRunError, match=r"epochs: 2\.0, not 3\.0"):
        play(tmp_path, data, replace(protocol, epochs=3.0), plan)
    with pytest.raises(BadRunError, match=r"epochs: 2\.0, not nothing"):
        play(tmp_path, data, protocol, plan)


def test_what_was_planned_is_the_baseline_of_its_own_seeds_alone(
    tmp_path: Path, data: TextSet, protocol: RunProtocol
) -> None:
    play(tmp_path, data, protocol, ExperimentPlan(arms(["random"], [0, 1], full_seeds=1), rounds=0))
    run = records.read_run(tmp_path)
    assert set(run.planned) == {record.arm for record in run.rounds} == {(0, "full"), (0, "random"), (1, "random")}


def test_other_data_and_another_number_of_threads_are_refused(
    unbroken: Path, data: TextSet, protocol: RunProtocol
) -> None:
    with pytest.raises(BadRunError, match=r"data\.fingerprint"):
        play(unbroken, replace(data, dev=data.dev[::-1]), protocol)
    with pytest.raises(BadRunError, match=r"made on cpu \(1 thread\), this is cpu \(2 threads\).*--threads"):
        play(unbroken, data, protocol, replace(PLAN, threads=2))


@pytest.mark.usefixtures("patience")
def test_many_finished_rounds_are_handed_to_workers_without_a_standstill(
    tmp_path: Path, data: TextSet, protocol: RunProtocol
) -> None:
    """More than fits into a pipe, which nobody reads before the workers have started."""
    plan = ExperimentPlan(arms(["random"], range(40)), rounds=1, workers=2)
    play(tmp_path, data, protocol, replace(plan, workers=1, arms=plan.arms[:4]))
    (line, *_) = (tmp_path / records.ROUNDS).read_text(encoding="utf-8").splitlines()[1:]
    many = [json.loads(line) | {"seed": seed, "chosen": [*range(4000)]} for seed in range(2, 40)]
    with (tmp_path / records.ROUNDS).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in many)
    new, _ = play(tmp_path, data, protocol, plan)
    assert len([r for r in new if r.strategy == "full"]) == 38


def test_a_start_that_failed_does_not_bind_the_directory(tmp_path: Path, data: TextSet, protocol: RunProtocol) -> None:
    nowhere = replace(protocol, recipe=replace(protocol.recipe, base_model=str(tmp_path / "nowhere")))
    with pytest.raises(NoModelError):
        play(tmp_path, data, nowhere)
    play(tmp_path, data, protocol, ExperimentPlan(ARMS[:1]))
    run = records.read_run(tmp_path)
    assert len(run.rounds) == len(run.invocations) == 1
    assert run.invocations[0]["seeds"] == [0]
    assert run.invocations[0]["strategies"] == ["full"]


@pytest.mark.parametrize("place", ["a file", "/proc/nextlabel"])
def test_an_out_that_cannot_be_written_is_named(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, place: str
) -> None:
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(BadRunError, match=rf"Cannot read or write .*{place}.*another --out"):
        play(tmp_path / place, data, protocol)


def test_only_one_process_works_on_a_directory(unbroken: Path, data: TextSet, protocol: RunProtocol) -> None:
    with (
        Experiment(unbroken, data, protocol),
        pytest.raises(BadRunError, match="Another process is working on"),
        Experiment(unbroken, data, protocol),
    ):
        pass


def test_a_fit_that_diverges_ends_its_arm_and_no_other(tmp_path: Path, data: TextSet, protocol: RunProtocol) -> None:
    wild = replace(protocol, recipe=replace(protocol.recipe, learning_rate=1e30, precision="fp32"))
    new, failures = play(tmp_path, data, wild)
    assert new == []
    assert [failure.arm for failure in failures] == ARMS
    assert all("too high" in failure.failed for failure in failures)
    run = records.read_json(tmp_path / records.INVOCATIONS)
    assert run is not None
    assert [(f["seed"], f["strategy"]) for f in run["invocations"][0]["failures"]] == [
        (a.seed, a.strategy) for a in ARMS
    ]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_checkpoint_that_is_missing_ends_the_run_with_one_message(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, workers: int
) -> None:
    nowhere = replace(protocol, recipe=replace(protocol.recipe, base_model=str(tmp_path / "nowhere")))
    with pytest.raises(NoModelError, match="There is no directory"):
        play(tmp_path / "out", data, nowhere, replace(PLAN, workers=workers))


def test_a_full_disk_keeps_the_rounds_before(
    tmp_path: Path, unbroken: Path, data: TextSet, protocol: RunProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = records.append
    written: list[Record] = []

    def until_full(path: Path, record: Record) -> None:
        if len(written) == 3:
            with path.open("ab") as file:
                file.write(b'{"seed": 0, "strat')  # what still went onto the disk
            raise OSError(errno.ENOSPC, "No space left on device")
        append(path, record)
        written.append(record)

    monkeypatch.setattr(records, "append", until_full)
    with pytest.raises(BadRunError, match=r"No space left on device.*are kept"):
        play(tmp_path, data, protocol)
    monkeypatch.undo()
    new, _ = play(tmp_path, data, protocol)
    assert len(new) == 14 - 3
    assert lines(tmp_path) == lines(unbroken)


@pytest.mark.usefixtures("patience")
def test_a_worker_that_is_killed_ends_the_run_and_loses_no_finished_round(
    tmp_path: Path, unbroken: Path, data: TextSet, protocol: RunProtocol
) -> None:
    def kill_one_worker() -> None:
        deadline = time.monotonic() + 300
        while not (tmp_path / records.ROUNDS).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        for child in psutil.Process().children(recursive=True):
            # What tests before this one started may end at any moment.
            with contextlib.suppress(psutil.NoSuchProcess):
                if "spawn_main" in " ".join(child.cmdline()):
                    os.kill(child.pid, signal.SIGKILL)
                    return

    killer = threading.Thread(target=kill_one_worker)
    killer.start()
    with pytest.raises(BadRunError, match=r"exit code -9.*are kept.*fewer --workers"):
        play(tmp_path, data, protocol, replace(PLAN, arms=_many(ARMS), workers=2))
    killer.join()
    before = records.read_rounds(tmp_path / records.ROUNDS)
    assert before
    new, _ = play(tmp_path, data, protocol)
    assert not {(*r.arm, r.round) for r in new} & {(*r.arm, r.round) for r in before}
    assert [r for r in lines(tmp_path) if r.seed < 2] == lines(unbroken)


def _many(some: Sequence[Arm]) -> list[Arm]:
    """Enough work for a worker to be killed in."""
    return [*some, *(Arm(seed, "random") for seed in range(2, 40))]


@pytest.fixture(scope="module")
def counted(protocol: RunProtocol) -> RunProtocol:
    """Versions at three label counts alone."""
    return replace(protocol, at=(8, 12, 20))


def said_in(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "probabilities").iterdir()}


@pytest.mark.usefixtures("patience")
def test_with_label_counts_the_run_keeps_what_every_version_said(
    tmp_path: Path, data: TextSet, counted: RunProtocol
) -> None:
    play(tmp_path, data, counted)
    run = records.read_run(tmp_path)
    assert (run.setting["at"], run.setting["measure"]) == ([8, 12, 20], "macro_f1")
    targets = probabilities.read_targets(tmp_path)
    assert targets["test"].ids_N.tolist() == [example.id for example, _ in data.test]
    for record in run.rounds:
        said = probabilities.read(tmp_path, record.seed, record.strategy, record.round)
        right_N = said["test"].classes_N == targets["test"].classes_N
        assert record.test is not None
        assert record.test["accuracy"] == right_N.mean()


@pytest.mark.usefixtures("patience")
def test_with_label_counts_a_cut_run_and_one_of_two_workers_end_with_the_same_files(
    tmp_path: Path, data: TextSet, counted: RunProtocol
) -> None:
    whole, cut, two = (tmp_path / name for name in ("whole", "cut", "two"))
    play(whole, data, counted)
    shutil.copytree(whole, cut)
    text = (cut / records.ROUNDS).read_bytes()
    (cut / records.ROUNDS).write_bytes(text[: len(text) // 2])
    play(cut, data, counted)
    play(two, data, counted, replace(PLAN, workers=2))
    assert lines(cut) == lines(whole) == lines(two)
    assert said_in(cut) == said_in(whole) == said_in(two)


def killed_before(steps: int, run: Callable[[], object]) -> bool:
    """Whether another process that does it is killed, as by a power cut, after so many steps on disk, or comes to its
    end before."""
    process = os.fork()
    if not process:
        left = iter(range(steps))

        def deadly(owner: object, name: str) -> None:
            real = getattr(owner, name)

            def step(*args: object, **kwargs: object) -> object:
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            setattr(owner, name, step)

        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
            deadly(owner, name)
        try:
            run()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return os.WIFSIGNALED(status)


@pytest.mark.usefixtures("patience")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_with_label_counts_a_run_killed_at_any_step_on_disk_ends_with_the_same_files(
    tmp_path: Path, data: TextSet, counted: RunProtocol
) -> None:
    whole, plan = tmp_path / "whole", replace(PLAN, arms=arms(["random"], [0]))
    events: list[Event] = []
    with Experiment(whole, data, counted) as experiment:
        experiment.play(plan, "the command", events.append)
    pinned = experiment.protocol  # nothing is measured in a forked process

    def told_again(data: TextSet, protocol: RunProtocol, jobs: Sequence[Job], plan: ExperimentPlan) -> Iterator[Event]:
        for arm, done in (one for job in jobs for one in job):
            yield from [event for event in events if event.arm == arm][len(done) :]

    def go_on(out: Path) -> None:
        with Experiment(out, data, pinned) as experiment:
            experiment.play(plan, "the command", make=told_again)

    def files(out: Path) -> dict[str, bytes]:
        there = [path for path in out.rglob("*") if path.is_file() and path.name not in ("run.json", "run.lock")]
        return {str(path.relative_to(out)): path.read_bytes() for path in there}

    for steps in range(100):
        out = tmp_path / str(steps)
        if not killed_before(steps, partial(go_on, out)):
            break
        go_on(out)
        assert files(out) == files(whole)
        assert len(records.read_run(out).invocations) <= 2
    assert steps > 3 * len(events)


@pytest.mark.usefixtures("patience")
def test_arms_that_another_processor_left_unfinished_are_begun_anew_and_it_is_said(
    tmp_path: Path, data: TextSet, counted: RunProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, moved = tmp_path / "whole", tmp_path / "moved"
    play(whole, data, counted)
    monkeypatch.setattr(replay, "processor", lambda: "another processor")
    play(moved, data, counted)
    monkeypatch.undo()
    kept = (moved / records.ROUNDS).read_text(encoding="utf-8").splitlines(keepends=True)[:6]
    (moved / records.ROUNDS).write_text("".join(kept), encoding="utf-8")  # two arms and a part
    seen, _ = play(moved, data, counted)
    assert lines(moved) != lines(whole)  # what was finished is kept
    found = records.read_rounds(moved / records.ROUNDS)
    (begun,) = records.read_run(moved).invocations[-1]["begun_anew"]
    assert begun["machine"] == "another processor"
    assert begun["rounds"] == 2
    machines = {(r.seed, r.strategy): {m.machine for m in found if m.arm == r.arm} for r in found}
    assert all(len(of_arm) == 1 for of_arm in machines.values())
    assert machines[begun["seed"], begun["strategy"]] == {processor()}
    assert [r.round for r in seen if r.arm == (begun["seed"], begun["strategy"])] == [0, 1, 2]
    for record in found:
        assert probabilities.read(moved, record.seed, record.strategy, record.round)


@pytest.mark.usefixtures("patience")
def test_arms_whose_versions_words_are_lost_are_begun_anew(tmp_path: Path, data: TextSet, counted: RunProtocol) -> None:
    play(tmp_path, data, counted)
    before, lost = lines(tmp_path), probabilities.DIRECTORY + "/seed-1.zip"
    whole = (tmp_path / lost).read_bytes()
    (tmp_path / lost).write_bytes(whole[:100])
    with pytest.raises(BadRunError, match=r"seed-1\.zip cannot be read: .*delete it and give the command that made it"):
        play(tmp_path, data, counted)
    (tmp_path / lost).unlink()
    seen, _ = play(tmp_path, data, counted)
    assert {record.seed for record in seen} == {1}
    assert lines(tmp_path) == before
    assert (tmp_path / lost).read_bytes() == whole
    assert {arm["seed"] for arm in records.read_run(tmp_path).invocations[-1]["begun_anew"]} == {1}
    assert play(tmp_path, data, counted) == ([], [])


@pytest.fixture
def moved(tmp_path: Path, data: TextSet, protocol: RunProtocol, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two arms in fixed batches that another processor has begun."""
    monkeypatch.setattr(replay, "processor", lambda: "another processor")
    play(tmp_path / "moved", data, protocol, BEGUN)
    monkeypatch.undo()
    return tmp_path / "moved"


BEGUN = ExperimentPlan(arms(["random", "tfidf:random"], [0], full_seeds=0), rounds=1)


def test_arms_that_are_not_asked_for_stay_whoever_began_them(moved: Path, data: TextSet, protocol: RunProtocol) -> None:
    before = lines(moved)
    play(moved, data, protocol, replace(BEGUN, arms=[Arm(1, "tfidf:random")], rounds=2))
    assert [record for record in lines(moved) if record.seed == 0] == before
    assert "begun_anew" not in records.read_run(moved).invocations[-1]


def test_what_is_begun_anew_is_kept_aside_as_a_run_of_its_own(
    moved: Path, data: TextSet, protocol: RunProtocol
) -> None:
    before = lines(moved)
    more = replace(BEGUN, arms=[Arm(0, "tfidf:random")], rounds=2)
    new, _ = play(moved, data, protocol, more)
    assert len(new) == 3, "all of that arm, and none of the other"
    (start,) = [start for start in records.read_run(moved).invocations if "begun_anew" in start]
    aside = records.read_run(moved / start["kept_aside"])
    assert [replace(record, seconds={}) for record in aside.rounds] == before
    assert len(aside.invocations) == 1
    assert play(moved, data, protocol, more) == ([], [])
    assert len([path for path in moved.iterdir() if path.is_dir()]) == 1


def test_nothing_is_taken_out_before_it_is_noted(
    moved: Path, data: TextSet, protocol: RunProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noted(*_: object) -> None:
        assert "begun_anew" in records.read_run(moved).invocations[-1]
        raise OSError(errno.ENOSPC, "No space left on device")

    before = lines(moved)
    monkeypatch.setattr(records, "write_rounds", noted)
    with pytest.raises(BadRunError, match="No space left on device"):
        play(moved, data, protocol, replace(BEGUN, rounds=2))
    assert lines(moved) == before
