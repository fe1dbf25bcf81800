"""Versions of a classifier and their audits: immutable directories on disk, and versions loaded into memory.

Owns saving, activating and pruning; refuses to fit or to publish.
"""

__all__ = [
    "archive",
    "audits",
    "download",
    "endings",
    "exporting",
    "heads",
    "history",
    "judging",
    "label_files",
    "loaded",
    "model_card",
    "one_page",
    "promotion",
    "registry",
]
