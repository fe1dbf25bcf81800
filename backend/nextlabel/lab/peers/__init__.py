"""Other active-learning tools on our data: in environments and processes of their own, with our records.

`play`, `process` and `environment` are ours; `small_text` and `potato` run at the other end of `channel`.
"""

__all__ = ["channel", "environment", "play", "potato", "process", "small_text"]
