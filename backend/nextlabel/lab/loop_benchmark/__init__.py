"""The live loop of this build, and in turns of an older one: how soon labels order the queue, and at what cost.

Owns scripted annotators who note what each task that they are served came from; judges nothing. Uses one real Label
Studio for all builds, and of each build its own commands, as a person who has that checkout would.
"""

__all__ = ["builds", "figures", "material", "orders", "people", "report", "run"]
