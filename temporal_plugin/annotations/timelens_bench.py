"""TimeLens-Bench: the relabelled Charades, ActivityNet and QVHighlights files.

`{video: {"duration": s, "spans": [[start, end], ...], "queries": [...]}}` in
charades-timelens.json, activitynet-timelens.json and qvhighlights-timelens.json. No such file
was at hand: the fields are those that the authors' own loader reads (TencentARC/TimeLens,
timelens/dataset/timelens_data.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.captioned_videos import caption_rows
from temporal_plugin.annotations.reading import samples, video_file
from temporal_plugin.annotations.row_files import OnError
from temporal_plugin.annotations.sample import Sample

SOURCE = "timelens_bench"
NAMES = {"query": "queries"}


def read(
    path: str | Path, *, on_error: OnError, split: str = "test", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One grounding sample per query, with the id `timelens_bench/<file>/<video>/<n>`.

    `<file>` is the name of the annotation file without its suffix, since videos of one may
    come in another. A bad row goes to `on_error`, and reading goes on if that returns.
    """
    path = Path(path)

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        return {
            "id": f"{SOURCE}/{path.stem}/{row['video']}/{row['index']}",
            "task": "grounding",
            "video": video_file("video", row["video"], video_extension),
            "query": row["query"],
            "spans": [row["span"]],
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
        }

    rows = caption_rows(path, on_error, times="spans", sentences="queries")
    yield from samples(rows, on_error, convert, NAMES)
