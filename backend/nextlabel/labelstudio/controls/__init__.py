"""The controls of a labelling config that ask about a whole text, one module for each kind.

Owns which of its kind can be served and what its results look like; refuses to decide what the answers come to.
"""

__all__ = ["kinds", "reading", "results", "tag"]
