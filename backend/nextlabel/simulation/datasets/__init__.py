"""Labelled texts to simulate with, from files, exports and packages.

Owns reading and checking them; refuses to choose what is learnt.
"""

__all__ = ["corpora", "fetched", "overlaps", "overview", "questions", "reviews", "textsets"]
