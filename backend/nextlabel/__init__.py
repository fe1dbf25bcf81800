"""Nextlabel: the live active-learning loop for Label Studio Community."""

__version__ = "0.2.0.dev0"
