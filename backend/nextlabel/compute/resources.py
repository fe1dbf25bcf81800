"""What the nodes of a cluster have, and what tasks need of it. Pure: knows no engine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

ROUNDING = 1e-9  # 1 / 0.1 is 10


@dataclass(frozen=True)
class Resources:
    """Of a node, or of a task; a part of a GPU shares one."""

    cores: float
    gpus: float = 0.0


ONE_CORE = Resources(1.0)


def in_words(of: Resources) -> str:
    """Such as 2 cores and 1 GPU."""
    cores = f"{of.cores:g} core{'' if of.cores == 1 else 's'}"
    return f"{cores} and {of.gpus:g} GPU{'' if of.gpus == 1 else 's'}" if of.gpus else cores


def holds(nodes: Iterable[Resources], needed: Resources) -> int:
    """How many tasks that need so much the nodes hold at a time."""
    return sum(int(min(_times(node, needed)) + ROUNDING) for node in nodes)


def crowded_out(needed: Resources, others: Iterable[Resources]) -> int:
    """How many of these find no place because of other tasks, wherever these are, at most."""
    return sum(math.ceil(max(_times(other, needed)) - ROUNDING) for other in others)


def on_a_node(nodes: Iterable[Resources], threads: float, gpus: float) -> Resources:
    """What a task asks for: no more cores than a node with its GPUs has, which would be waited for without end."""
    most = max((node.cores for node in nodes if node.gpus >= gpus), default=0.0)
    return Resources(max(1.0, min(threads, most)), gpus)


def _times(one: Resources, other: Resources) -> list[float]:
    """How many times the other's cores are in one's and, if the other needs any, its GPUs."""
    return [one.cores / other.cores, *([one.gpus / other.gpus] if other.gpus else [])]
