"""A peer's process and what we say to it: the oracle answers, what the peer predicts is taken down. Knows no models."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nextlabel.errors import BadRunError
from nextlabel.lab.peers import environment
from nextlabel.lab.peers.channel import Game
from nextlabel.values.arrays import Ints

# Each is a module of the other side. What our classifier learns in a peer's order is an arm, too, where its own engine
# cannot take a transformer's recipe.
MODULES = {"small-text": "nextlabel.lab.peers.small_text", "potato": "nextlabel.lab.peers.potato"}
WITH_ORDER_ARM = ("potato",)

LAST = 5  # lines of what a peer said before it failed


@dataclass(frozen=True)
class Peer:
    """A tool and how it is run: `command` starts its side of the pipe. With `defaults` it fits and orders as it does
    out of the box, else on our checkpoint with our recipe, as near as it can come. It queries at most `batch` labels at
    once (None: up to the next label count); `versions` by package."""

    name: str
    command: Sequence[str]
    versions: Mapping[str, str]
    defaults: bool = False
    batch: int | None = None

    @property
    def strategies(self) -> list[str]:
        """The names of its arms: its own, and ours in its order where there is one."""
        own = f"{self.name}-defaults" if self.defaults else self.name
        return [own, *([f"{own}-order"] if self.name in WITH_ORDER_ARM else [])]


def installed(name: str, cache: Path, defaults: bool = False, batch: int | None = None) -> Peer:
    """A peer in its environment, which is made below `cache` the first time."""
    python = environment.prepared(name, cache)
    versions = dict(pin.split("==") for pin in environment.pins(name))
    return Peer(name, [str(python), "-m", MODULES[name]], versions, defaults, batch)


class Oracle:
    """Knows the class of each text of train, tells each once, and remembers the order in which it was asked."""

    def __init__(self, classes_N: Ints):
        self._classes_N = classes_N
        self.asked: list[int] = []

    def answer(self, positions: Sequence[int]) -> list[int]:
        """Class numbers. Raises `BadRunError` for a text that is not there or was asked for before."""
        for position in positions:
            if not 0 <= position < len(self._classes_N) or position in self.asked:
                raise BadRunError(f"The peer asked for text {position} of train, which is not there or is labelled.")
            self.asked.append(position)
        return [int(self._classes_N[position]) for position in positions]


def played(peer: Peer, game: Game, oracle: Oracle, log: Path) -> list[dict[str, Any]]:
    """What a peer told at each label count: probabilities of `dev` and `test`, and `seconds` by stage.

    What its libraries print is in `log` while it plays, and stays there when it fails. Raises `BadRunError` when it
    fails or tells at other label counts.
    """
    with log.open("w", encoding="utf-8") as printed:
        counts, told, code = _conversation(peer, game, oracle, printed)
    if code:
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-LAST:])
        raise BadRunError(f"{peer.name} ended with exit code {code}; all that it printed is in {log}:\n{last}")
    if counts != list(game.at):
        raise BadRunError(f"{peer.name} told what it predicts at {counts} labels, not at {list(game.at)}.")
    log.unlink()
    return told


def _conversation(
    peer: Peer, game: Game, oracle: Oracle, printed: IO[str]
) -> tuple[list[int], list[dict[str, Any]], int]:
    """The label counts at which something was told, what was told, and the exit code."""
    counts, told = [], []
    with tempfile.TemporaryDirectory() as home, _started(peer, game, home, printed) as process:
        try:
            _say(process, game.line())
            for line in process.stdout or []:
                word = json.loads(line)
                if "ask" in word:
                    _say(process, json.dumps(oracle.answer(word["ask"])) + "\n")
                else:
                    counts.append(len(oracle.asked))
                    told.append(word)
            code = process.wait()
        finally:
            process.kill()
    return counts, told, code


def _started(peer: Peer, game: Game, home: str, printed: IO[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        peer.command,
        cwd=home,
        env=environment.variables(game.threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=printed,
        text=True,
        encoding="utf-8",
    )


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended: its exit code says how
