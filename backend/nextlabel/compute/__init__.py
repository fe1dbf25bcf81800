"""How a heavy job is run.

Owns where a fit, a part of a pool or a round of a simulation runs, and what a node does of the loop's; refuses to
decide what is computed.
"""

__all__ = ["cluster", "local", "rounds", "tasks"]
