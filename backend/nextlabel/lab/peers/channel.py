"""The pipe between us and a peer: lines of JSON. Knows the standard library alone, which every environment has."""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from nextlabel.processes import exit_with_parent


@dataclass(frozen=True)
class Game:
    """What a peer is told at the beginning; of train it learns a label only by asking for it.

    Texts are by part, `start` are the positions in train that it asks for first, `at` the numbers of labels at which it
    is judged. It queries at most `batch` labels at once. `defaults`: its own, instead of our `recipe` and checkpoint.
    """

    seed: int
    labels: Sequence[str]
    train: Sequence[str]
    dev: Sequence[str]
    test: Sequence[str]
    start: Sequence[int]
    at: Sequence[int]
    batch: int
    defaults: bool
    base_model: str
    steps: Sequence[int]
    learning_rate: float
    batch_size: int
    max_length: int
    threads: int

    @property
    def parts(self) -> dict[str, Sequence[str]]:
        """The texts by part."""
        return {"train": self.train, "dev": self.dev, "test": self.test}

    def line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self)) + "\n"


class Channel:
    """A peer's end: the game, an oracle to ask, and where to tell what it predicts. Seconds since the last word count
    for the stage that is named."""

    def __init__(self, wanted: TextIO, told: TextIO):
        self._wanted, self._told = wanted, told
        self.game = Game(**json.loads(wanted.readline()))
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def spent(self, stage: str) -> None:
        """The time since the last call, or since the oracle's last answer, went into `stage`."""
        now = time.perf_counter()
        self._seconds[stage] = round(self._seconds.get(stage, 0.0) + now - self._since, 3)
        self._since = now

    def ask(self, positions: Iterable[int]) -> list[int]:
        """The class numbers of texts of train, by position. Each may be asked for once."""
        self._say({"ask": [int(i) for i in positions]})
        answers: list[int] = json.loads(self._wanted.readline())
        self._since = time.perf_counter()
        return answers

    def tell(self, dev: Any, test: Any, learnt: Any) -> None:
        """Probabilities (N, C) after a fit: of both parts, and of the labelled texts in the order of asking."""
        parts = {"dev": dev, "test": test, "learnt": learnt}
        rows = {name: [list(map(float, row)) for row in probs] for name, probs in parts.items()}
        self._say({**rows, "seconds": self._seconds})
        self._seconds = {}

    def _say(self, word: dict[str, object]) -> None:
        self._told.write(json.dumps(word) + "\n")
        self._told.flush()


def opened() -> Channel:
    """The channel over standard input and output; this process ends with its parent. What a library prints goes to
    standard error from now on."""
    exit_with_parent(os.getppid())
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return Channel(sys.stdin, told)
