"""What is kept on this machine next to the versions: the copy of a project, jobs, status, locks.

Owns files that can be thrown away; refuses the network and models.
"""

__all__ = ["files", "jobs", "locks", "pool", "presses", "state", "status", "summary", "texts", "traces"]
