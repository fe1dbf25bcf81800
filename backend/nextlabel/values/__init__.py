"""Plain values that wings pass to one another: examples, labels, versions, the queue.

Owns what they mean; refuses files, clocks, models and Label Studio's JSON.
"""

__all__ = [
    "addresses",
    "arrays",
    "counting",
    "examples",
    "labels",
    "layout",
    "linear",
    "markdown",
    "next_tasks",
    "options",
    "queue",
    "survey",
    "traffic",
    "versions",
    "yaml_text",
]
