"""Label Studio as it really behaves: its API, its JSON, its labelling configs, the connection of a project.

Owns all that the product asks of it, and alone knows its JSON and its SDK; refuses to decide what is learnt or served.
"""

__all__ = [
    "client",
    "config",
    "connection",
    "controls",
    "doctor",
    "notices",
    "objects",
    "predictions",
    "preview_words",
    "project_options",
    "registration",
    "reopening",
    "requests",
    "tasks",
    "to_postgresql",
]
