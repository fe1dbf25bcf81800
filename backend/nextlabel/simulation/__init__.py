"""Experiments with a hidden oracle: played, recorded, compared, reported.

Owns what may be claimed; refuses Label Studio and every server package.
"""

__all__ = ["blocks", "curves", "datasets", "experiment", "records", "replay", "report", "session", "study"]
