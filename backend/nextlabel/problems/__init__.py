"""What a question asks of people, what their answers come to, and how predictions are judged by them.

Owns the sense of labels; refuses models, Label Studio's JSON and disks. A kind of question is one module here.
"""

__all__ = [
    "form",
    "helping",
    "helping_words",
    "intervals",
    "judgement",
    "look_again",
    "metrics",
    "people",
    "quality",
    "quality_words",
    "question",
    "single_choice",
]
