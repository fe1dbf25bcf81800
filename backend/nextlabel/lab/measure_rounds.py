"""What a round of a simulation costs, next to an older checkout: the same corpora and label counts, in turns.

A first fit that arms share is counted in full: what is measured is a round on its own.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from nextlabel.errors import BadRunError
from nextlabel.model import checkpoints
from nextlabel.model import classifier as classifiers
from nextlabel.model.devices import machine
from nextlabel.simulation import records
from nextlabel.values import markdown

STRATEGY = "entropy"
HERE = Path(__file__).parents[2]
FITS = ("prepare", "fit")
ORDERS = ("score", "select")


@dataclass(frozen=True)
class Way:
    """A build with its options for a fit. `checkout` is None for this one."""

    name: str
    options: Sequence[str]
    checkout: Path | None = None


@dataclass(frozen=True)
class Cost:
    """Seconds of one round of the entropy arm, by what they are spent on; the median over the turns."""

    corpus: str
    way: str
    labels: int
    fit_s: float
    evaluate_s: float
    order_s: float
    turns: tuple[float, ...]

    @property
    def total_s(self) -> float:
        """The median of a round's seconds."""
        return median(self.turns)


def is_checkout(directory: Path) -> bool:
    """Whether simulations can be played from there."""
    return (directory / "scripts" / "simulate.py").is_file()


def provenance(ways: Sequence[Way], base_model: str, threads: int) -> dict[str, object]:
    """On what, and by which options, something was measured; of an older build the commit, where git can tell it."""
    return {
        "machine": machine(),
        "threads": threads,
        "base_model": checkpoints.identity(base_model),
        "versions": classifiers.package_versions(),
        "ways": {
            way.name: {"options": " ".join(way.options), "commit": commit_of(way.checkout or HERE)} for way in ways
        },
    }


def commit_of(checkout: Path) -> str | None:
    """The commit of a checkout, or of a directory in it; None where git cannot tell it."""
    try:
        command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def measure(
    corpora: Sequence[Path], ways: Sequence[Way], base_model: str, labels: Sequence[int], turns: int, threads: int
) -> list[Cost]:
    """The cost of each round, of each way, on each corpus; `labels` are the counts, each double the one before.

    Raises `BadRunError` when a build cannot play.
    """
    found: dict[tuple[str, str, int], list[Mapping[str, float]]] = {}
    for corpus in corpora:
        for _ in range(turns):
            for way in ways:
                for count, seconds in _play(corpus, way, base_model, labels, threads):
                    found.setdefault((corpus.name, way.name, count), []).append(seconds)
    return [_cost(*key, made) for key, made in found.items()]


def _cost(corpus: str, way: str, labels: int, made: Sequence[Mapping[str, float]]) -> Cost:
    def middle(stages: Sequence[str]) -> float:
        return median(sum(seconds.get(stage, 0.0) for stage in stages) for seconds in made)

    totals = tuple(round(sum(seconds[stage] for stage in seconds if stage != "shared"), 3) for seconds in made)
    return Cost(corpus, way, labels, middle(FITS), middle(["evaluate"]), middle(ORDERS), totals)


def _play(
    corpus: Path, way: Way, base_model: str, labels: Sequence[int], threads: int
) -> Iterator[tuple[int, Mapping[str, float]]]:
    """The seconds of each round by label count. An older build plays two rounds a run, as its batches are alike."""
    files = [f"--{part}={corpus / part}.jsonl" for part in ("train", "dev", "test")]
    data = [*files, "--text=text", "--label=label", "--id=id"]
    if (corpus / "train.jsonl").read_text(encoding="utf-8").partition("\n")[0].find('"pair"') >= 0:
        data.append("--pair=pair")
    common = [*data, *way.options, f"--base-model={base_model}", f"--strategy={STRATEGY}", "--seeds=0,"]
    common += ["--full-steps=1", f"--threads={threads}", "--device=cpu"]
    if way.checkout is None:
        yield from _rounds(HERE, [*common, f"--labels-at={','.join(map(str, labels))}"], labels)
        return
    for start in labels[::2]:
        sizes = [f"--start={start}", f"--batch={start}", "--rounds=1"]
        yield from _rounds(way.checkout, [*common, *sizes], labels)


def _rounds(home: Path, options: Sequence[str], labels: Sequence[int]) -> Iterator[tuple[int, Mapping[str, float]]]:
    with tempfile.TemporaryDirectory(prefix="nextlabel-rounds-") as directory:
        out = Path(directory)
        if home == HERE:
            command = [sys.executable, "-m", "nextlabel", "simulate"]
        else:
            command = [sys.executable, str(home / "scripts" / "simulate.py")]
        paths = [home, home / "backend"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        done = subprocess.run(
            [*command, *options, f"--out={out}"], capture_output=True, text=True, env=environment, check=False
        )
        if done.returncode:
            raise BadRunError(f"{home} cannot play: {done.stderr.strip()[-500:]}")
        for record in records.read_rounds(out / records.ROUNDS):
            if record.strategy == STRATEGY and record.labels in labels:
                yield record.labels, record.seconds


def ratios(costs: Sequence[Cost], way: str, against: str) -> dict[str, float]:
    """What all rounds of a corpus cost by one way, in parts of the other, by corpus."""
    totals: dict[tuple[str, str], float] = {}
    for cost in costs:
        totals[cost.corpus, cost.way] = totals.get((cost.corpus, cost.way), 0.0) + cost.total_s
    corpora = dict.fromkeys(cost.corpus for cost in costs)
    return {corpus: totals[corpus, way] / totals[corpus, against] for corpus in corpora}


def to_markdown(costs: Sequence[Cost]) -> str:
    """A row a round: corpus, labels, way, seconds by stage, and the fastest and slowest turn."""
    head = ["corpus", "labels", "way", "fit, s", "evaluate, s", "order, s", "round, s", "fastest to slowest"]
    rows = (
        [
            cost.corpus,
            str(cost.labels),
            cost.way,
            *(f"{seconds:.1f}" for seconds in (cost.fit_s, cost.evaluate_s, cost.order_s, cost.total_s)),
            f"{min(cost.turns):.1f} to {max(cost.turns):.1f}",
        ]
        for cost in sorted(costs, key=lambda cost: (cost.corpus, cost.labels))
    )
    return markdown.table(head, rows)


def as_dict(costs: Sequence[Cost]) -> list[dict[str, object]]:
    """Plain numbers for a file."""
    return [{**asdict(cost), "round_s": cost.total_s} for cost in costs]
