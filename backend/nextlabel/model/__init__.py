"""A BERT-like classifier: fitted, asked for probabilities, saved and loaded, as fast as the hardware allows.

Owns all that imports torch or transformers; refuses projects, labels' sense and Label Studio.
"""

__all__ = ["base_check", "checkpoints", "classifier", "devices", "hub", "packed", "speed", "tokens", "training"]
