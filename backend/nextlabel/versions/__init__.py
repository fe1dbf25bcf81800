"""Versions of a classifier: immutable directories on disk, and those loaded into memory.

Owns saving, activating and pruning; refuses to fit or to publish.
"""

__all__ = ["exporting", "heads", "judging", "loaded", "promotion", "registry"]
