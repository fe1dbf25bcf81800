"""How a heavy job is run.

Owns where a fit, a part of a pool or an arm of a simulation runs; refuses to know what is computed.
"""

__all__ = ["cluster", "local", "rounds", "tasks"]
