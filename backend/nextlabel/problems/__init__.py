"""What a question asks of people, what their answers come to, and how predictions are judged by them.

Owns the sense of labels; refuses models, Label Studio's JSON and disks. A kind of question is one module here (`form`,
`single_choice`); others are what is known of a project, as records that are kept and shown, and the words for it.
"""

__all__ = [
    "advice",
    "form",
    "helping",
    "helping_words",
    "history",
    "intervals",
    "judgement",
    "look_again",
    "metrics",
    "next_words",
    "people",
    "quality",
    "quality_words",
    "question",
    "random_line",
    "single_choice",
]
