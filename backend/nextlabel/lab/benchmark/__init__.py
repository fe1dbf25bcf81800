"""How fast we score, fit and answer, beside the ways others do it, in one run. Measures; knows no Label Studio.

Ways take turns (A, B, C, A, B, C, …), so that whatever else the machine does meets all of them. A ratio is made within
each repetition; its median is what is reported, with the smallest and the largest beside it. What is over soon takes a
turn after each of the others, and its mean counts: a moment's noise would else be a part of it that it is of no other.
"""

__all__ = ["clock", "fit_recipes", "fitting", "limits", "plan", "quality", "report", "rivals", "run", "scoring"]
