"""Experiments with a hidden oracle: played, recorded, compared, reported.

Owns what may be claimed; refuses Label Studio and every server package.
"""

__all__ = [
    "audits",
    "baselines",
    "blocks",
    "comparisons",
    "confusion_tables",
    "corpora_report",
    "count_report",
    "count_study",
    "coverage",
    "curves",
    "datasets",
    "doubt",
    "experiment",
    "form_orders",
    "frozen_default",
    "head_order",
    "helping",
    "measures",
    "near_copy_curve",
    "on_cluster",
    "probabilities",
    "recipes",
    "records",
    "replay",
    "report",
    "second_labels",
    "session",
    "starts",
    "study",
    "told_report",
    "verdicts",
    "wanted",
]
