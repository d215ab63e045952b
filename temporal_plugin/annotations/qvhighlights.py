"""QVHighlights, as published: highlight_{train,val}_release.jsonl.

A row is `{"qid", "query", "vid", "duration", "relevant_windows": [[start, end], ...],
"relevant_clip_ids", "saliency_scores"}`; several windows are common. `vid` names a stretch of a
longer video (`<video>_<start>_<end>`) that is published cut, so there is no clip. The test file
has no windows: each of its rows is a `no_label` error. Fields checked against the files of
jayleicn/moment_detr.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from temporal_plugin.annotations.row_files import OnError
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.vid_rows import vid_samples

SOURCE = "qvhighlights"


def read(
    path: str | Path, *, on_error: OnError, split: str = "", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One grounding sample per row, with the id `qvhighlights/<qid>` and all true windows.

    Clip ids and saliency scores stay in `extra`. A bad row goes to `on_error`, and reading
    goes on if that returns.
    """
    yield from vid_samples(
        Path(path),
        on_error,
        source=SOURCE,
        split=split,
        video_extension=video_extension,
        spans="relevant_windows",
    )
