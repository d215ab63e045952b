"""QuerYD (audio descriptions), from JSON copies of its two pickles.

`raw_captions_combined_filtered-v2` holds `{video: [[word, ...], ...]}` and
`times_captions_combined_filtered-v2` `{video: [[start, end], ...]}`, in seconds and in the same
order. They are published as pickles, and reading a pickle runs whatever program is in it, so
this reader does not: turn both into JSON once, where that can do no harm (TimeChat's data
already come so). No such file was at hand: fields and file names are those of the dataset's
README (oncescuandreea/QuerYD_downloader) and of VideoMind's loader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.durations import length_of, read_durations
from temporal_plugin.annotations.errors import AnnotationError, shown
from temporal_plugin.annotations.reading import sample_id, samples, video_file
from temporal_plugin.annotations.row_files import OnError, Row, json_object
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.strict_json import read_lines

SOURCE = "queryd"
PREFIX = "video-"
"""What the keys have before the name of the video."""


def read(
    path: str | Path,
    *,
    on_error: OnError,
    times: str | Path | None = None,
    videos: str | Path | None = None,
    split: str = "",
    video_extension: str = ".mp4",
    durations: str | Path | None = None,
) -> Iterator[Sample]:
    """One grounding sample per description, with the id `queryd/<video>/<n>`, from 0.

    Args:
        path: the captions as JSON.
        on_error: gets each bad row's error; reading goes on if it returns.
        times: the times as JSON; by default the file beside it whose name has "times" where
            this one's has "raw".
        videos: a list of the split's keys, one a line (train_list.txt); by default all. A
            relative path starts at the captions' folder, as that of `times` does.
        split: written into each sample.
        video_extension: of the video files, which are named without "video-".
        durations: JSON `{video: seconds}`, without "video-"; by default lengths are unknown.
    """
    path = Path(path)
    lengths = read_durations(Path(durations)) if durations else {}
    captions = json_object(_not_pickled(path), "{video: [[word, ...], ...]}")
    times = times or path.name.replace("raw", "times", 1)
    spans = json_object(_not_pickled(path.parent / times), "{video: [[start, end], ...]}")
    keys = (
        [line.strip() for _, line in read_lines(path.parent / videos)] if videos else list(captions)
    )

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        name = row["key"].removeprefix(PREFIX)
        return {
            "id": sample_id(SOURCE, name, str(row["index"])),
            "task": "grounding",
            "video": video_file("video", name, video_extension),
            "query": _sentence(row["words"]),
            "spans": [row["span"]],
            "duration": length_of(name, lengths, durations) if durations else None,
            "source": SOURCE,
            "split": split,
        }

    yield from samples(_rows(path, keys, captions, spans, on_error), on_error, convert)


def _not_pickled(path: Path) -> Path:
    if path.suffix in (".pkl", ".pickle"):
        raise AnnotationError(
            "a pickle is not read, since it can hold a program",
            where=str(path),
            allowed=".json",
            remedy="turn it into JSON where that can do no harm",
        )
    return path


def _rows(
    path: Path, keys: list[str], captions: dict, spans: dict, on_error: OnError
) -> Iterator[Row]:
    number = 0
    for key in keys:
        where = f"{path}: video {shown(key)}"
        try:
            words = check.items("captions", captions.get(key))
            pairs = check.items("times", spans.get(key))
            if len(words) != len(pairs):
                raise AnnotationError(
                    f"{len(words)} captions beside {len(pairs)} times", allowed="one for each"
                )
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        for index, (caption, span) in enumerate(zip(words, pairs, strict=True)):
            row = {"key": key, "index": index, "words": caption, "span": span}
            yield f"{where}, caption {index}", number, row
            number += 1


def _sentence(words: object) -> str:
    if isinstance(words, str):
        return words
    return " ".join(check.text("captions", word) for word in check.items("captions", words))
