"""Starts Label Studio and the backend, imports sentence pairs, and lets a simulated annotator label."""

from collections.abc import Sequence

from nextlabel.lab import demo


def main(arguments: Sequence[str]) -> int:
    """Run the demo; returns the exit code."""
    return demo.main(arguments)
