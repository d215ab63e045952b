"""TACoS, in both forms in which it is handed round.

JSON, as in 2D-TAN: `{"s30-d52.avi": {"timestamps": [[frame, frame], ...], "sentences": [...],
"fps": 29.4, "num_frames": n}}`, times in frames. Fields checked against the files of
microsoft/VideoX (2D-TAN/data/TACoS).
JSON lines, as in Moment-DETR's successors: `{"qid", "vid": "s30-d52", "query", "duration",
"relevant_windows": [[start, end]]}`, times in seconds. No such file was at hand: the fields are
those that VideoMind's loader reads (yeliudev/VideoMind, videomind/dataset/sub_classes/tacos.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.captioned_videos import caption_rows
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import sample_id, samples, video_file
from temporal_plugin.annotations.row_files import OnError
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.vid_rows import vid_samples

SOURCE = "tacos"
NAMES = {"spans": "timestamps", "query": "sentences"}
CAMERA = "-cam-002.mp4"
"""How the video files of the JSON lines end, after the `vid`."""


def read(
    path: str | Path, *, on_error: OnError, split: str = "", video_extension: str | None = None
) -> Iterator[Sample]:
    """One grounding sample per sentence, times in seconds.

    `video_extension` is what follows `s30-d52` in the names of the video files; without it the
    JSON's own file names are kept, and JSON lines get `-cam-002.mp4`. Ids are
    `tacos/<split>/<video>/<n>` (JSON, sentences of a video from 0) or `tacos/<qid>`.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        yield from vid_samples(
            path,
            on_error,
            source=SOURCE,
            split=split,
            video_extension=CAMERA if video_extension is None else video_extension,
            spans="relevant_windows",
        )
        return

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        rate = _positive("fps", row["fps"])
        start, end = check.number_pair("timestamps", row["span"])
        name = row["video"]
        if video_extension is not None:
            name = PurePath(name).stem
        return {
            "id": sample_id(SOURCE, split, row["video"], str(row["index"])),
            "task": "grounding",
            "video": video_file("video", name, video_extension or ""),
            "query": row["query"],
            "spans": [[start / rate, end / rate]],
            "duration": _positive("num_frames", row["num_frames"]) / rate,
            "source": SOURCE,
            "split": split,
            "extra": {"frames": [start, end], "fps": rate},
        }

    rows = caption_rows(path, on_error, about=("fps", "num_frames"))
    yield from samples(rows, on_error, convert, NAMES)


def _positive(field: str, value: object) -> float:
    number = check.seconds(field, value)
    if number <= 0:
        raise AnnotationError("not above 0", field=field, value=value, allowed="a number above 0")
    return number
