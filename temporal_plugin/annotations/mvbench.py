"""MVBench: one JSON file per task, twenty in all.

A row is `{"video", "question", "candidates": [...], "answer": the words of one, ...}`. In the
five tasks of `WINDOWED` the question is about the stretch `start` to `end` of the file, which
becomes the clip; copies whose stretches are cut already are the clip policy's question. No such
file was at hand: fields, folders and the five tasks are those of its authors' notebook
(OpenGVLab/Ask-Anything, video_chat2/mvbench.ipynb).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.choice_options import letter_of, option_list
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.reading import need, rest, samples, video_file, window
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "mvbench"
FOLDERS = {
    "action_antonym": "ssv2_video",
    "action_count": "perception/videos",
    "action_localization": "sta/sta_video",
    "action_prediction": "star/Charades_v1_480",
    "action_sequence": "star/Charades_v1_480",
    "character_order": "perception/videos",
    "counterfactual_inference": "clevrer/video_validation",
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "fine_grained_pose": "nturgbd",
    "moving_attribute": "clevrer/video_validation",
    "moving_count": "clevrer/video_validation",
    "moving_direction": "clevrer/video_validation",
    "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480",
    "object_shuffle": "perception/videos",
    "scene_transition": "scene_qa/video",
    "state_change": "perception/videos",
    "unexpected_action": "FunQA_test/test",
}
"""Task (the name of its file) -> where its videos lie; episodic_reasoning's are frame folders."""
WINDOWED = frozenset(
    {
        "action_localization",
        "action_prediction",
        "action_sequence",
        "episodic_reasoning",
        "object_interaction",
    }
)
TAKEN = ("video", "question", "candidates", "answer")


def read(
    path: str | Path,
    *,
    on_error: OnError,
    split: str = "test",
    task: str | None = None,
    video_folder: str | None = None,
    video_extension: str = "",
) -> Iterator[Sample]:
    """One multiple-choice sample per row, with the id `mvbench/<task>/<n>`, rows from 0.

    `answer` is the letter; the task's name stays in `extra`. The lengths of the videos are not
    in the file; a clip's duration is that of its window.

    Args:
        path: the JSON of one task.
        on_error: gets each bad row's error; reading goes on if it returns.
        split: written into each sample.
        task: a key of `FOLDERS`; by default the name of the file.
        video_folder: below the data folder; by default that of `FOLDERS`.
        video_extension: put behind names that come without (episodic_reasoning).
    """
    path = Path(path)
    task = path.stem if task is None else task
    if task not in FOLDERS:
        raise AnnotationError(
            "no task of MVBench",
            where=str(path),
            field="task",
            value=task,
            allowed=", ".join(FOLDERS),
            remedy="give `task`, or keep the file's published name",
        )
    folder = FOLDERS[task] if video_folder is None else video_folder

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, *TAKEN)
        options = option_list("candidates", row["candidates"])
        clip = window(row, "start", "end") if task in WINDOWED else None
        taken = (*TAKEN, "start", "end") if clip else TAKEN
        return {
            "id": f"{SOURCE}/{task}/{number}",
            "task": "choice",
            "video": f"{folder}/{video_file('video', row['video'], video_extension)}".lstrip("/"),
            "query": row["question"],
            "options": options,
            "answer": letter_of("answer", row["answer"], options),
            "clip": clip,
            "source": SOURCE,
            "split": split,
            "extra": {**rest(row, *taken), "mvbench_task": task},
        }

    kinds = (".json", ".jsonl", ".parquet")
    names = {"query": "question", "clip": "start"}
    yield from samples(rows(path, on_error, kinds), on_error, convert, names)
