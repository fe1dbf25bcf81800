"""Other active-learning tools on our data: each in an environment and a process of its own, with our oracle and records.

`play` and `environment` are ours; `small_text` and `potato` run on the other side of the pipe, which is `channel`.
"""

__all__ = ["channel", "environment", "play", "potato", "small_text"]
