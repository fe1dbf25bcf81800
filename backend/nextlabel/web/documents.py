"""What many browsers ask for again and again, made for all of them about once a second. Knows no project."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256

KEPT_S = 1.0


@dataclass(frozen=True)
class Kept:
    """A document as it is sent, with what tells it from others (`etag`), until a time of the monotonic clock."""

    body: bytes
    etag: str
    until: float


class Documents:
    """Documents by key. One is made at a time; who asks meanwhile gets the one before, and waits for nothing."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._kept, self._making = now, dict[Hashable, Kept](), threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> Kept:
        """The document of this key, at most `KEPT_S` old once nobody makes one any more."""
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
            body = make()
            found = Kept(body, sha256(body).hexdigest()[:32], self._now() + KEPT_S)
            self._kept[key] = found
        return found
