"""The controller: compares what is with what should be, for one project, and does the least that closes the gap.

Owns when to read, fit, score and publish; refuses requests from outside, which the web takes.
"""

__all__ = ["certifying", "ending", "finishing", "forgetting", "keeping", "leaving", "preview", "trainer"]
