"""One module for each kind of object tag in a labelling config, and the table of them.

Owns what a person reads of a task's value in each, and which of them hold no words; refuses to decide which make the
text.
"""

__all__ = ["fields", "kinds", "shapes"]
