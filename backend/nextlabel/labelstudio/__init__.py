"""Label Studio as it really behaves: its API, its JSON, its labelling configs, the connection of a project.

Owns every request to it and alone imports its SDK; refuses to decide what is learnt or served.
"""

__all__ = ["client", "config", "connection", "doctor", "notices"]
