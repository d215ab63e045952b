"""HiREST, as published: all_data_{train,val}.json, read as moments or as steps.

`{query: {"video.mp4": {"relevant", "clip", "v_duration", "bounds": [start, end], "steps":
[{"index", "heading", "absolute_bounds": [start, end]}, ...]}}}`, times in seconds of the whole
video. Videos that are not `relevant`, or of which no part can be clipped, belong to the
dataset's retrieval task alone and are no rows here. In all_data_test.json the truth is kept
back (every bound is [0, 1], no steps): each of its videos is a `no_label` error. Fields checked
against the files of j-min/HiREST.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError, NoLabelError, shown
from temporal_plugin.annotations.reading import id_part, need, samples, video_file
from temporal_plugin.annotations.row_files import OnError, Row, json_object
from temporal_plugin.annotations.sample import Sample

GROUNDING = "hirest_grounding"
STEP = "hirest_step"
PLACEHOLDER = [0, 1]


def read_grounding(path: str | Path, *, on_error: OnError, split: str = "") -> Iterator[Sample]:
    """One grounding sample per query and clippable video: `hirest_grounding/<video>/<query>`.

    A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "v_duration", "bounds", "steps")
        return {
            "id": f"{GROUNDING}/{row['video']}/{row['query']}",
            "query": row["query"],
            "spans": [row["bounds"]],
            "extra": {"steps": len(check.items("steps", row["steps"]))},
            **_common(row, GROUNDING, split),
        }

    rows = _videos(Path(path), on_error)
    yield from samples(rows, on_error, convert, {"spans": "bounds", "duration": "v_duration"})


def read_step(path: str | Path, *, on_error: OnError, split: str = "") -> Iterator[Sample]:
    """One grounding sample per step: `hirest_step/<video>/<query>/<index of the step>`.

    The step's heading is what is looked for; the query it belongs to stays in `extra` as
    `goal`. A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "v_duration", "index", "heading", "absolute_bounds")
        index = id_part("index", row["index"])
        heading = row["heading"]
        return {
            "id": f"{STEP}/{row['video']}/{row['query']}/{index}",
            "query": heading.strip() if isinstance(heading, str) else heading,
            "spans": [row["absolute_bounds"]],
            "extra": {"goal": row["query"]},
            **_common(row, STEP, split),
        }

    rows = _steps(Path(path), on_error)
    names = {"query": "heading", "spans": "absolute_bounds", "duration": "v_duration"}
    yield from samples(rows, on_error, convert, names)


def _common(row: dict[str, Any], source: str, split: str) -> dict[str, Any]:
    return {
        "task": "grounding",
        "video": video_file("video", row["video"], ""),
        "duration": row["v_duration"],
        "source": source,
        "split": split,
    }


def _videos(path: Path, on_error: OnError) -> Iterator[Row]:
    table = json_object(path, "{query: {video: {relevant, clip, v_duration, bounds, steps}}}")
    number = 0
    for query, videos in table.items():
        for video, record in _items(path, query, videos, on_error):
            where = f"{path}: query {shown(query)}: video {shown(video)}"
            try:
                if not isinstance(record, dict):
                    raise AnnotationError("not an object", value=record, allowed="an object")
                need(record, "relevant", "clip")
                if not (record["relevant"] and record["clip"]):
                    continue
                if record.get("bounds") == PLACEHOLDER and not record.get("steps"):
                    raise NoLabelError("bounds")
            except AnnotationError as error:
                on_error(error.at(where))
                continue
            yield where, number, {**record, "query": query, "video": video}
            number += 1


def _items(path: Path, query: str, videos: Any, on_error: OnError) -> list[tuple[str, Any]]:
    if isinstance(videos, dict):
        return list(videos.items())
    on_error(
        AnnotationError(
            "not an object",
            where=f"{path}: query {shown(query)}",
            value=videos,
            allowed="{video: {...}, ...}",
        )
    )
    return []


def _steps(path: Path, on_error: OnError) -> Iterator[Row]:
    number = 0
    for where, _, row in _videos(path, on_error):
        about = {name: row.get(name) for name in ("query", "video", "v_duration")}
        try:
            need(row, "v_duration", "steps")
            steps = check.items("steps", row["steps"])
        except AnnotationError as error:
            on_error(error.at(where))
            continue
        for index, step in enumerate(steps):
            known = {**step, **about} if isinstance(step, dict) else step
            yield f"{where}, step {index}", number, known
            number += 1
