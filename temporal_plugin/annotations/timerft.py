"""TimeRFT, Time-R1's training set: train_2k5.json, and other files in its format.

A row is `{"video", "duration", "timestamp": [start, end], "sentence", "qid", "video_start",
"video_end", "difficulty", "pred"}`. Where `video_start` and `video_end` are given, they are the
stretch of the original video to which `timestamp` and `duration` refer. That becomes the clip;
whether the file is cut already is the clip policy's question, not answered here (of the 2,500
rows, most of those with a stretch name files that look cut, and 33 do not).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.reading import below, id_part, need, rest, samples, window
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "timerft"
TAKEN = ("video", "duration", "timestamp", "sentence", "video_start", "video_end")
NAMES = {"query": "sentence", "spans": "timestamp", "clip": "video_start"}


def read(
    path: str | Path, *, on_error: OnError, split: str = "train", strip_prefix: str = ""
) -> Iterator[Sample]:
    """One grounding sample per row, with the id `timerft/<qid>`, or its number where it has none.

    `qid`, `difficulty` (100 x IoU of one greedy answer) and that answer (`pred`) stay in `extra`.
    The paths begin with folders of Time-R1's checkout; `strip_prefix` is what to leave out of
    each where `data_folder` is another folder. A bad row goes to `on_error`, and reading goes
    on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "video", "duration", "timestamp", "sentence")
        return {
            "id": f"{SOURCE}/{id_part('qid', row.get('qid', number))}",
            "task": "grounding",
            "video": below("video", row["video"], strip_prefix),
            "query": row["sentence"],
            "spans": [row["timestamp"]],
            "clip": window(row, "video_start", "video_end"),
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
            "extra": rest(row, *TAKEN),
        }

    yield from samples(rows(Path(path), on_error), on_error, convert, NAMES)
