"""Ports for servers that tests start. Tests run in several processes side by side, each with ports of its own."""

import os

from nextlabel.lab.sandbox import free_port

APART = 4000  # more than between the lowest and the highest port that tests want


def own_port(wanted: int) -> int:
    """The first free TCP port of this process from `wanted` on."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return free_port(wanted + APART * process)
