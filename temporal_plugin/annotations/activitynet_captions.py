"""ActivityNet-Captions, as published: train.json, val_1.json, val_2.json.

`{video: {"duration": s, "timestamps": [[start, end], ...], "sentences": [...]}}`, one file a
split; what the field calls the test set of temporal grounding is val_2. The videos come as mp4,
mkv and webm; `video_extension` says which the copy at hand has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.captioned_videos import caption_rows
from temporal_plugin.annotations.reading import sample_id, samples, video_file
from temporal_plugin.annotations.row_files import OnError
from temporal_plugin.annotations.sample import Sample

SOURCE = "activitynet_captions"
NAMES = {"spans": "timestamps", "query": "sentences"}


def read(
    path: str | Path, *, on_error: OnError, split: str = "", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One grounding sample per sentence, with the id `activitynet_captions/<split>/<video>/<n>`.

    `n` counts the video's sentences in file order from 0, dropped ones included. val_1 and
    val_2 describe the same videos: give each its `split` to load both. Blanks around sentences
    are removed. A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        query = row["query"]
        return {
            "id": sample_id(SOURCE, split, row["video"], str(row["index"])),
            "task": "grounding",
            "video": video_file("video", row["video"], video_extension),
            "query": query.strip() if isinstance(query, str) else query,
            "spans": [row["span"]],
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
        }

    yield from samples(caption_rows(Path(path), on_error), on_error, convert, NAMES)
