"""Which tasks are the control set, and in which order they come: a rule of a seed and a task's text, not a list. Pure.

So it can be made again from the tasks alone, grows with the pool, and nobody can tune it.
"""

import json
from collections.abc import Iterable
from hashlib import sha256

from nextlabel.values.examples import Key

DRAWS = 2**256  # how many draws there are


def draw(seed: str, key: Key) -> int:
    """A task's place in the order, in [0, DRAWS): SHA-256 of the JSON list of seed, text and pair, as a number.

    It depends on no other task and not on Label Studio's ids. `u = draw / DRAWS` is uniform for whoever does not know
    the seed. Copies have one key, hence one draw.
    """
    return int.from_bytes(sha256(json.dumps([seed, *key]).encode()).digest(), "big")


def control_set(seed: str, keys: Iterable[Key], share: float) -> list[Key]:
    """Those of the tasks that are reserved, u < `share`, by rising u: the order in which they are served. Each once.

    `share` lies in [0, 1]: 0 reserves none, 1 all.
    """
    draws = {key: draw(seed, key) for key in keys}
    below = share * DRAWS  # exact, as DRAWS is a power of two; and Python compares whole numbers with floats exactly
    return sorted((key for key, drawn in draws.items() if drawn < below), key=draws.__getitem__)
