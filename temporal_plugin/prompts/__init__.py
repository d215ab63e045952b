"""What a model is asked, in which words, and the record of it beside each checkpoint."""

from temporal_plugin.prompts.record import (
    RECORD_FILE,
    mismatch,
    read_record,
    warn_on_mismatch,
    write_record,
)
from temporal_plugin.prompts.template import (
    FIELDS,
    FOLDER,
    POSITIONS,
    VARIANTS,
    Asked,
    Prompt,
    load,
    option_lines,
    shipped,
)

__all__ = [
    "FIELDS",
    "FOLDER",
    "POSITIONS",
    "RECORD_FILE",
    "VARIANTS",
    "Asked",
    "Prompt",
    "load",
    "mismatch",
    "option_lines",
    "read_record",
    "shipped",
    "warn_on_mismatch",
    "write_record",
]
