"""Charades-STA, in both forms in which it is handed round.

JSON: `{video: {"duration": s, "timestamps": [[start, end], ...], "sentences": [...]}}`.
Text, as its authors published it: a line `VIDEO start end##sentence` each. That form has no
durations; give a `durations` file (JSON `{video: seconds}`, or the CSV of Charades with its
columns `id` and `length`), or they stay unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.captioned_videos import caption_rows
from temporal_plugin.annotations.durations import length_of, parse_seconds, read_durations
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import samples, video_file
from temporal_plugin.annotations.row_files import OnError, Row
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.strict_json import read_lines

SOURCE = "charades_sta"
NAMES = {"spans": "timestamps", "query": "sentences"}


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "",
    video_extension: str = ".mp4",
    durations: str | Path | None = None,
) -> Iterator[Sample]:
    """One grounding sample per sentence, with the id `charades_sta/<video>/<n>`.

    `n` counts the video's sentences in file order from 0, dropped ones included.
    A row that cannot become a sample goes to `on_error`, and reading goes on if that returns.
    """
    path = Path(path)
    lengths = read_durations(Path(durations)) if durations else {}

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        video = row["video"]
        return {
            "id": f"{SOURCE}/{video}/{row['index']}",
            "task": "grounding",
            "video": video_file("video", video, video_extension),
            "query": row["query"],
            "spans": [row["span"]],
            "duration": length_of(video, lengths, durations) if durations else row["duration"],
            "source": SOURCE,
            "split": split,
        }

    if path.suffix == ".json":
        rows = caption_rows(path, on_error)
    elif path.suffix == ".txt":
        rows = _text_rows(path, on_error)
    else:
        raise AnnotationError(
            "unknown kind of Charades-STA file",
            where=str(path),
            value=path.suffix,
            allowed=".json ({video: {duration, ...}}) or .txt (VIDEO start end##sentence)",
        )
    yield from samples(rows, on_error, convert, NAMES)


def _text_rows(path: Path, on_error: OnError) -> Iterator[Row]:
    seen: Counter[str] = Counter()
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        head, mark, sentence = line.partition("##")
        words = head.split()
        try:
            if not mark or len(words) != 3:
                raise AnnotationError(
                    "not a Charades-STA line", value=line, allowed="VIDEO start end##sentence"
                )
            index = seen[words[0]]
            seen[words[0]] += 1
            span = [parse_seconds("start", words[1]), parse_seconds("end", words[2])]
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        row = {"video": words[0], "index": index, "span": span, "query": sentence.strip()}
        yield where, number - 1, {**row, "duration": None}
