"""What Label Studio and people call: the ML backend's routes, the page, the metrics.

Owns answers to requests; refuses to fit, to publish and to load torch at its start.
"""

__all__ = ["app", "serving"]
