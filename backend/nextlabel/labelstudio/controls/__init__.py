"""One module for each kind of control in a labelling config.

Owns which of its kind can be served and what its results look like; refuses to decide what the answers come to.
"""

__all__ = ["choices"]
