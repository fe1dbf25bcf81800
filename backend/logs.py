"""One way of logging for every process: time, level, room, message. Never bodies, headers or tokens."""

import logging


def set_up_logs(level: str, name: str) -> None:
    """Log to standard error. `name` says which process speaks."""
    logging.basicConfig(level=level, format=f"%(asctime)s {name} %(levelname)s %(message)s", force=True)
    # Theirs is a line per request: noise at our pace, and URLs may carry passwords.
    for noisy in ("httpx", "httpcore", "huey", "filelock", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
