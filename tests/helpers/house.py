"""A project whose texts say yes or no, and its fitter, without Label Studio."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nextlabel.labelstudio.config import parse_label_config
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.fitting import FitDecision, Fitter
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import FitState, SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

PROJECT = 1
FIT_EVERY = 8
RIGHT = {"yes": "pos", "no": "neg"}
WRONG = {"yes": "neg", "no": "pos"}
CHOICES = '<Choice value="pos"/><Choice value="neg"/>'
CONFIG = f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{CHOICES}</Choices></View>'
TRAIN, HOLDOUT, POOL = range(1, 25), range(101, 141), range(201, 231)


class House:
    """A project whose texts say yes or no, and its fitter."""

    def __init__(self, model_dir: Path, tiny: Path, **settings: object):
        quick: dict[str, object] = {
            "fit_every": FIT_EVERY,
            "fit_steps": 40,
            "learning_rate": 5e-3,
            "batch_size": 16,
            "max_length": 16,
            "precision": "fp32",
        }
        self.settings = Settings(
            _env_file=None, model_dir=model_dir, base_model=str(tiny), device="cpu",
            **{**quick, **settings},  # type: ignore[arg-type]
        )  # fmt: skip
        self.registry, self.board = Registry(model_dir), StatusBoard(model_dir)
        self.jobs, self.now = JobQueue(model_dir), 1000.0
        self.resident = LoadedVersions(self.settings, self.registry, 2)
        self.fitter = Fitter(
            self.settings, self.registry, self.board, self.jobs, self.resident, ComputeGate(), lambda project: None,
            lambda: self.now,
        )  # fmt: skip
        self.pool = Pool(pool_path(model_dir, PROJECT))
        self.pool.update(SyncState, lambda state: replace(state, complete=True))
        self.configure(CONFIG)
        self.label(POOL, {})

    def label(self, ids: range, by: Mapping[str, str], holdout: bool = False, pool: Pool | None = None) -> None:
        """Every other text says yes. What `by` has no label for gets none."""
        rows = []
        for i in ids:
            word = ("yes", "no")[i % 2]
            votes = (Vote(by[word], False, ""),) if word in by else ()
            example = Example(i, f"{word}, {word}, number {i}")
            rows.append(TaskRow(i, example, holdout, False, False, len(votes), votes))
        (pool or self.pool).upsert(rows)

    def configure(self, label_config: str) -> None:
        self.pool.update(SyncState, lambda state: replace(state, label_config=label_config))

    def synchronised(self, at: float) -> None:
        self.pool.update(SyncState, lambda state: replace(state, synced_at=at))

    def due_since(self, at: float) -> None:
        self.pool.update(FitState, lambda state: replace(state, due_at=at))

    def look(self) -> FitDecision:
        config = parse_label_config(self.pool.state(SyncState).label_config)
        return self.fitter.decide(self.pool, PROJECT, config)

    def fit(self) -> str:
        """Whatever is due; returns the newest version."""
        self.now += 60
        self.fitter.fit(PROJECT)
        return self.registry.newest(PROJECT) or ""

    def fit_on_demand(self) -> str:
        self.jobs.demand_fit(PROJECT)
        return self.fit()

    @property
    def active_version(self) -> str:
        return self.registry.current(PROJECT) or ""

    def combined(self, version: str) -> float:
        scores = self.registry.card(PROJECT, version).scores
        assert scores is not None
        return scores["combined"]
