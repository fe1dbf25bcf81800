"""Waiting for what other processes do."""

import time
from collections.abc import Callable

WAIT_S = 600.0  # on a slow machine that others use, too: whoever waits for nothing learns of it late, but surely


def wait_until(done: Callable[[], object], what: str, seconds: float = WAIT_S) -> None:
    """Poll until `done` is true; fails with `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
