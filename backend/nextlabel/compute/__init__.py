"""How a heavy job is run.

Owns where a fit runs; refuses to know what is computed.
"""

__all__ = ["local"]
