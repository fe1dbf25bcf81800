"""Fits that are over soon."""

FIT_EVERY = 12
RELEASE_0_1_0: dict[str, object] = {  # what was built in then
    "query_strategy": "entropy",
    "head": "off",
    "start_order": "off",
    "near_copies": "serve",
    "fit_schedule": "off",
}
QUICK: dict[str, object] = {
    **RELEASE_0_1_0,
    "fit_every": FIT_EVERY,
    "fit_steps": 6,
    "learning_rate": 1e-4,
    "precision": "fp32",  # after so few steps bf16 may leave one of many near ties out of the window
    "window": 24,
    "reconcile_s": 1,
    "promote_margin": 1,  # fits so short are sometimes worse
}
