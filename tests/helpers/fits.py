"""Fits that are over soon."""

from nextlabel.lab.sandbox import PLAIN_ORDER

FIT_EVERY = 12
QUICK: dict[str, object] = {
    **PLAIN_ORDER,
    "fit_every": FIT_EVERY,
    "fit_steps": 6,
    "learning_rate": 1e-4,
    "precision": "fp32",  # after so few steps bf16 may leave one of many near ties out of the window
    "window": 24,
    "reconcile_s": 2,  # each look by the clock costs Label Studio a third of a second of the CPU, or more
    "promote_margin": 1,  # fits so short are sometimes worse
}
