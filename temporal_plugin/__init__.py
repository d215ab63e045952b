"""Temporal grounding plugins for unmodified verl, EasyR1 and lmms-eval."""

__version__ = "0.1.0"
