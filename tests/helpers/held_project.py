"""A live project whose trainer can be held at a stage of its work (stages/sitecustomize.py)."""

import os
from pathlib import Path

from helpers.live_project import LiveProject
from helpers.paths import ROOT, TESTS
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.simulation.datasets.corpora import Corpus, own_pairs

FIT_EVERY = 4
WINDOW = 12

# What the trainer is doing, the most telling moments first.
STAGES = {
    "reading": "after Pool.upsert",  # the labels are copied; that they are is not noted yet
    "fitting": "in fit",
    "scoring": "in score",
    "saving": "in Registry.save",
    "saved": "before Registry.promote",
    "promoted": "after Registry.promote",
    "publishing": "after LabelStudioClient.create_prediction",  # Label Studio has a prediction that we do not know of
    "switching": "before LabelStudioClient.set_model_version",
    "switched": "after LabelStudioClient.set_model_version",
    "retiring": "after LabelStudioClient.delete_prediction",
    "pruning": "before Registry.prune",
}
AFTER_PROMOTION = ("publishing", "switching", "switched", "retiring", "pruning")


class HeldProject(LiveProject):
    """A project whose trainer can be held at a stage."""

    def label_and_hold(self, stage: str) -> str:
        """Label as many tasks as make a fit due, and wait until the trainer stands at the stage of that round.
        Returns the version that was active before."""
        home, before = self.backend.model_dir, self.wait()
        (home / "hold").write_text("after Registry.promote" if stage in AFTER_PROMOTION else STAGES[stage])
        self.label(FIT_EVERY)
        wait_until((home / "held").exists, f"the trainer to be {stage}")
        if stage in AFTER_PROMOTION:  # the window of the version before is topped up in the same way
            (home / "hold").write_text(STAGES[stage])
            self.go_on()
            wait_until(lambda: not (home / "hold").exists(), f"the trainer to be {stage}")
        return before

    def go_on(self) -> None:
        """Let the trainer go on, or the next one start afresh."""
        (self.backend.model_dir / "held").unlink()

    def check_order(self) -> None:
        """Label Studio follows one version, and serves what that version knows least about."""
        followed = self.studio.project(self.id).model_version
        assert followed in self.registry.versions(self.id)
        scores = {p.task_id: p.score for p in self.studio.our_predictions(self.id) if p.version == followed}
        served = sorted(scores.keys() - self.labelled(), key=lambda task: (scores[task], task))
        assert served
        assert served == self.order_by_entropy(followed)[: len(served)]

    def check_right(self, before: str) -> str:
        """Wait for a version after `before`, and see that nothing is lost, doubled or left over. Returns it."""
        wait_until(
            lambda: self._right(before), "a window of a version that has seen all labels, and nothing else of ours"
        )
        version = self.version()
        assert version is not None
        assert self.lost(version) == set()
        assert self.queue() == self.order_by_entropy(version)[:WINDOW]
        home = self.registry.path(self.id, version).parent
        assert not list(home.glob(".*")), "something is left of a version that was not finished"
        assert "Traceback" not in self.backend.tail(10**6)
        return version

    def _right(self, before: str) -> bool:
        version = self.wait(newer_than=before)  # of labels that came during its fit, the next one is made
        return self._tidy(version) and not self.lost(version)  # reading all tasks takes longest

    def _tidy(self, version: str) -> bool:
        predictions = self.studio.our_predictions(self.id)
        tasks = {p.task_id for p in predictions}
        return {p.version for p in predictions} == {version} and len(predictions) == len(tasks) == WINDOW


def held_backend(
    label_studio: LocalStudio, model_dir: Path, base_model: Path, command: str = "serve", **settings: object
) -> LocalBackend:
    """Web process and trainer with quick fits; the trainer can be held.

    In fp32: after so few steps bf16 may leave one of many near ties out of the window.
    """
    quick: dict[str, object] = {
        **PLAIN_ORDER, "base_model": base_model, "fit_every": FIT_EVERY, "fit_steps": 3, "learning_rate": 1e-4,
        "precision": "fp32", "window": WINDOW, "reconcile_s": 2, "promote_margin": 1, "keep_versions": 2,
        "pythonpath": os.pathsep.join([str(TESTS / "stages"), str(ROOT / "backend")]), **settings,
    }  # fmt: skip
    return LocalBackend(label_studio, model_dir, own_port(19100), command, **quick)


def some_pairs() -> Corpus:
    """120 pairs to label and 8 held out: enough for some quick rounds."""
    corpus = own_pairs()
    return Corpus("some of our own pairs", corpus.train[:120], corpus.holdout[:8])
