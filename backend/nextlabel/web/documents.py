"""What many browsers ask for again and again, made for all of them about once a second, or less often where that would
cost too much. Knows no project."""

import gzip
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from hashlib import sha256

KEPT_S, LONGEST_S = 1.0, 10.0
SHARE = 0.01  # of a core, which making a document may take


@dataclass(frozen=True)
class Kept:
    """A document as it is sent, also `packed` by gzip, with what tells it from others (`etag`), until a time of the
    monotonic clock."""

    body: bytes
    packed: bytes
    etag: str
    until: float


class Documents:
    """Documents by key. One is made at a time; who asks meanwhile gets the one before, and waits for nothing."""

    def __init__(self, now: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = time.thread_time) -> None:
        self._now, self._cpu = now, cpu
        self._kept, self._making = dict[Hashable, Kept](), threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> Kept:
        """The document of this key, once nobody makes one any more at most `KEPT_S` old, or as old as it takes for
        the CPU time of making it to be a `SHARE`, but never older than `LONGEST_S`."""
        kept = self._kept.get(key)
        if kept and self._now() < kept.until:
            return kept
        if not self._making.acquire(blocking=kept is None) and kept:
            return kept
        try:
            return self._fresh(key, make)
        finally:
            self._making.release()

    def forget(self) -> None:
        """Something was changed here: whoever asks from now on is not told how it was before."""
        self._kept.clear()

    def _fresh(self, key: Hashable, make: Callable[[], bytes]) -> Kept:
        found = self._kept.get(key)  # who waited finds what was made meanwhile
        if found is None or self._now() >= found.until:
            begun = self._cpu()
            body = make()
            until = self._now() + min(LONGEST_S, max(KEPT_S, (self._cpu() - begun) / SHARE))
            found = replace(found, until=until) if found and found.body == body else _kept(body, until)
            self._kept[key] = found
        return found


def _kept(body: bytes, until: float) -> Kept:
    return Kept(body, gzip.compress(body, compresslevel=6), sha256(body).hexdigest()[:32], until)
