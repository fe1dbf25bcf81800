"""The same experiment offline and through a real Label Studio: the same records, the same tasks in the same order."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.fits import FIT_EVERY
from nextlabel.errors import BadRunError
from nextlabel.lab.annotators import annotate, gold_of, sign_up
from nextlabel.lab.importing import import_corpus
from nextlabel.lab.live import Loop, first_differences, play
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import records
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.simulation.datasets.textsets import of_pairs
from nextlabel.simulation.experiment import Experiment, ExperimentPlan
from nextlabel.simulation.records import Record
from nextlabel.simulation.replay import Arm, RunProtocol

START, SEED = 24, 5
StartBackend = Callable[..., LocalBackend]


def connected(studio: LabelStudioClient, backend: LocalBackend, corpus: Corpus) -> int:
    project = import_corpus(studio, corpus, "the experiment", START, SEED)
    connect(studio, project, backend.url, Credentials(), show_predictions=False)
    return project


@pytest.fixture(scope="module")
def offline(wide: Path, few_pairs: Corpus, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The offline simulation with the settings that `start_backend` gives a backend."""
    protocol = RunProtocol(
        Recipe(str(wide), 6, 1e-4, 32, 128, seed=0, precision="fp32"), start=START, batch=FIT_EVERY, full_steps=6
    )
    arm = Arm(SEED, "entropy")
    threads = torch.get_num_threads()
    with Experiment(tmp_path_factory.mktemp("offline"), of_pairs(few_pairs), protocol) as experiment:
        experiment.play(ExperimentPlan([arm], rounds=2, threads=threads), "offline")
        return experiment.done()[arm]


def test_label_studio_serves_what_the_offline_simulation_chooses_also_after_a_kill(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus, offline: list[Record], tmp_path: Path
) -> None:
    backend = start_backend(seed=SEED)
    project = connected(studio, backend, few_pairs)
    loop = Loop([studio], project, backend.model_dir)
    loop.wait(None)
    # A run that was killed after five labels: they are in Label Studio, and nowhere else.
    early = [answer.row for answer in itertools.islice(annotate(studio, project, gold_of(few_pairs)), 5)]
    done = play(loop, few_pairs, SEED, FIT_EVERY, 2, tmp_path, "the command")
    assert [(r.round, r.labels, len(r.chosen)) for r in done] == [(0, 24, 12), (1, 36, 12), (2, 48, 0)]
    assert list(done[0].chosen[:5]) == early
    assert first_differences(done, offline) == [
        f"round {n}: 12 of 12 tasks are the same, in the same order" for n in (0, 1)
    ]
    assert [r.dev for r in done] == [r.dev for r in offline]
    assert records.read_run(tmp_path).rounds == done
    assert play(loop, few_pairs, SEED, FIT_EVERY, 2, tmp_path, "the command") == done  # nothing is played twice


def test_several_annotators_at_once_label_the_same_tasks(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: StartBackend,
    few_pairs: Corpus,
    offline: list[Record],
    tmp_path: Path,
) -> None:
    backend = start_backend(seed=SEED)
    project = connected(studio, backend, few_pairs)
    others = [label_studio.connect(sign_up(label_studio, f"live-{i}@example.com")) for i in range(2)]
    loop = Loop([studio, *others], project, backend.model_dir)
    (first, _) = play(loop, few_pairs, SEED, FIT_EVERY, 1, tmp_path, "the command")
    # Served in order, but three people finish in any order; a lock may let one of them skip to the next task.
    assert len(set(first.chosen) & set(offline[0].chosen)) >= FIT_EVERY - len(others)


def test_by_command_line_the_queue_is_labelled_to_its_end_with_a_short_last_batch(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus, tmp_path: Path
) -> None:
    corpus = replace(few_pairs, train=few_pairs.train[: START + FIT_EVERY + 5])
    backend = start_backend(seed=SEED)
    project = connected(studio, backend, corpus)
    url, keys, out = f"{label_studio.url}/projects/{project}/data?tab=1", tmp_path / "keys", tmp_path / "out"
    keys.write_text(f"{label_studio.login.token}\n", encoding="utf-8")
    own = {"MODEL_DIR": str(backend.model_dir), "SEED": str(SEED), "FIT_EVERY": str(FIT_EVERY)}

    def run(**order: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nextlabel", "simulate-live", url, "--own-pairs", "--annotators", str(keys)]
        environment = {**os.environ, **own, **{name.upper(): value for name, value in order.items()}}
        return subprocess.run(
            [*command, "--out", str(out)], env=environment, capture_output=True, text=True, check=False
        )

    refused = run()
    assert refused.returncode == 1
    assert f"nextlabel options --project {project} head=off start_order=off" in refused.stderr
    done = run(**PLAIN_ORDER)
    assert done.returncode == 0, done.stderr
    assert "round 2: 41 labels, combined 0." in done.stdout
    rounds = records.read_run(out).rounds
    assert [(r.seed, r.strategy, r.labels, len(r.chosen)) for r in rounds] == [
        (SEED, "entropy", 24, 12),
        (SEED, "entropy", 36, 5),
        (SEED, "entropy", 41, 0),
    ]


def test_a_project_whose_earlier_rounds_are_not_recorded_is_refused(
    studio: LabelStudioClient, start_backend: StartBackend, few_pairs: Corpus, tmp_path: Path
) -> None:
    backend = start_backend(seed=SEED)
    loop = Loop([studio], connected(studio, backend, few_pairs), backend.model_dir)
    play(loop, few_pairs, SEED, FIT_EVERY, 1, tmp_path / "one", "the command")
    with pytest.raises(BadRunError, match=r"holds 0 rounds, and the project is at version 2.*another --out"):
        play(loop, few_pairs, SEED, FIT_EVERY, 2, tmp_path / "other", "the command")


def test_where_two_runs_part_is_said_in_words() -> None:
    def record(number: int, *chosen: int) -> Record:
        return Record(0, "entropy", number, 10, {}, None, chosen, {})

    live = [record(0, 1, 2, 3), record(1, 4, 5, 6), record(2)]
    other = [record(0, 1, 2, 3), record(1, 4, 6, 7), record(2, 8)]
    assert first_differences(live, other) == [
        "round 0: 3 of 3 tasks are the same, in the same order",
        "round 1: 2 of 3 tasks are the same, first parting at place 2",
    ]
