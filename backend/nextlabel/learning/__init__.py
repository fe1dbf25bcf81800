"""Which label teaches the model most, and the one round that fits, evaluates, scores and orders.

Owns strategies and rounds, live and simulated alike; refuses to know where labels come from.
"""

__all__ = [
    "audit",
    "auto_recipe",
    "carrying",
    "certificate",
    "composer",
    "control",
    "copies",
    "diversity",
    "doubt",
    "forecast",
    "form_heads",
    "fresh_heads",
    "gate",
    "heads",
    "helping",
    "judging",
    "near_copies",
    "neighbours",
    "quick_version",
    "rounds",
    "second_votes",
    "stability",
    "start_order",
    "start_set",
    "strategies",
    "suspects",
    "thresholds",
    "wanted",
]
