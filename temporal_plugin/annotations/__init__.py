"""Annotation files of many datasets -> `Sample`, and nothing dropped or changed in silence."""

from temporal_plugin.annotations.data_config import Loaded, load, load_samples, stream
from temporal_plugin.annotations.errors import AnnotationError, BadSpanError
from temporal_plugin.annotations.load_report import LoadReport
from temporal_plugin.annotations.registry import READERS, read
from temporal_plugin.annotations.sample import TASKS, Sample

__all__ = [
    "READERS",
    "TASKS",
    "AnnotationError",
    "BadSpanError",
    "LoadReport",
    "Loaded",
    "Sample",
    "load",
    "load_samples",
    "read",
    "stream",
]
