"""Dataset formats by name. A new one: one file beside this, one line in `READERS`."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.errors import AnnotationError, BadSpanError
from temporal_plugin.annotations.sample import Sample

logger = logging.getLogger(__name__)

Reader = Callable[..., Iterator[Sample]]

READERS: dict[str, str | Reader] = {
    "activitynet_captions": "temporal_plugin.annotations.activitynet_captions:read",
    "charades_sta": "temporal_plugin.annotations.charades_sta:read",
    "cosmo_cap": "temporal_plugin.annotations.cosmo_cap:read",
    "didemo": "temporal_plugin.annotations.didemo:read",
    "egoschema": "temporal_plugin.annotations.egoschema:read",
    "hirest_grounding": "temporal_plugin.annotations.hirest:read_grounding",
    "hirest_step": "temporal_plugin.annotations.hirest:read_step",
    "internvid_vtime": "temporal_plugin.annotations.internvid_vtime:read",
    "jsonl": "temporal_plugin.annotations.sample_jsonl:read",
    "long_video_bench": "temporal_plugin.annotations.long_video_bench:read",
    "long_video_haystack": "temporal_plugin.annotations.long_video_haystack:read",
    "mvbench": "temporal_plugin.annotations.mvbench:read",
    "nextgqa": "temporal_plugin.annotations.nextgqa:read",
    "parquet": "temporal_plugin.annotations.sample_parquet:read",
    "queryd": "temporal_plugin.annotations.queryd:read",
    "qvhighlights": "temporal_plugin.annotations.qvhighlights:read",
    "rextime": "temporal_plugin.annotations.rextime:read",
    "tacos": "temporal_plugin.annotations.tacos:read",
    "tempcompass": "temporal_plugin.annotations.tempcompass:read",
    "temporal_r1": "temporal_plugin.annotations.temporal_r1:read",
    "timelens_bench": "temporal_plugin.annotations.timelens_bench:read",
    "timerft": "temporal_plugin.annotations.timerft:read",
    "timesearch_r": "temporal_plugin.annotations.timesearch_r:read",
    "tvgbench": "temporal_plugin.annotations.tvgbench:read",
    "verl": "temporal_plugin.annotations.verl_rows:read",
    "video_mme": "temporal_plugin.annotations.video_mme:read",
}

ENTRY_POINT_GROUP = "temporal_plugin.readers"


def read(
    format: str,
    path: str | Path,
    *,
    on_error: Callable[[AnnotationError], None] | None = None,
    **options: Any,
) -> Iterator[Sample]:
    """The samples of an annotation file, one per question, as they stand in it.

    Args:
        format: a name in `READERS`, an entry point of the group `temporal_plugin.readers`,
            or `module:function`. A reader is a function `(path, *, on_error, **options)`
            that yields `Sample`s and gives `on_error` each row that cannot become one.
        path: the annotation file.
        on_error: called with each bad row's error; the row is skipped if it returns.
            By default a reversed span is logged and skipped and other errors are raised.
        options: the reader's own, such as `split` and `video_extension`.

    Raises:
        ValueError: unknown format.
        AnnotationError: an option that the reader does not take; while reading, a malformed
            row or file.
    """
    reader = find_reader(format)
    options["on_error"] = on_error or skip_bad_spans
    parameters = inspect.signature(reader).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        names = [parameter.name for parameter in parameters][1:]
        for name in options.keys() - set(names):
            raise AnnotationError(
                f"reader '{format}' takes no such option",
                field=name,
                value=options[name],
                allowed=", ".join(sorted(set(names) - {"on_error"})) or "no options",
            )
    return reader(path, **options)


def skip_bad_spans(error: AnnotationError) -> None:
    """The default `on_error`: logs a bad span, raises anything else."""
    if not isinstance(error, BadSpanError):
        raise error
    logger.warning("row skipped: %s", error)


def find_reader(format: str) -> Reader:
    """The reader called `format`; see `read`.

    Raises:
        ValueError: there is none (names those there are), or it cannot be imported.
    """
    if ":" in format:
        return _import(format)
    if format in READERS:
        reader = READERS[format]
        return _import(reader) if isinstance(reader, str) else reader
    outside = entry_points(group=ENTRY_POINT_GROUP)
    if format in outside.names:
        return outside[format].load()
    names = ", ".join(sorted({*READERS, *outside.names}))
    raise ValueError(
        f"unknown annotation format {format!r}; allowed: {names}, or 'module:function' "
        "naming a reader of your own"
    )


def _import(target: str) -> Reader:
    module, _, name = target.partition(":")
    try:
        reader = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"reader {target!r} cannot be imported ({error}); allowed: 'module:function' "
            "of an installed module"
        ) from error
    if not callable(reader):
        raise ValueError(f"reader {target!r} is not a function")
    return reader
