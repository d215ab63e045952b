"""A data root with three questions or so of every benchmark, in the layout of its release.

The annotation files are the fixtures of the readers; the videos are short and small.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from temporal_plugin.integrations.lmms_eval_source import Source
from temporal_plugin.resources import resource_dir

READERS_FOLDER = Path(__file__).parents[1] / "resources" / "annotations" / "readers"

# file below the data root -> the fixture that it is a copy of
COPIES = {
    "activitynet/val_2.json": "activitynet_captions.json",
    "qvhighlights/highlight_val_release.jsonl": "qvhighlights.jsonl",
    "timelens_bench/charades-timelens.json": "charades-timelens.json",
    "timelens_bench/activitynet-timelens.json": "charades-timelens.json",
    "timelens_bench/qvhighlights-timelens.json": "charades-timelens.json",
    "tacos/test.json": "tacos.json",
    "didemo/test_data.json": "didemo.json",
    "tempcompass/questions/multi-choice.json": "multi-choice.json",
    "tempcompass/questions/yes_no.json": "yes_no.json",
    "tempcompass/questions/caption_matching.json": "caption_matching.json",
    "tempcompass/questions/captioning.json": "captioning.json",
    "egoschema/questions.json": "egoschema.json",
    "egoschema/subset_answers.json": "subset_answers.json",
    "nextgqa/test.csv": "nextgqa.csv",
    "nextgqa/gsub_test.json": "gsub_nextgqa.json",
    "nextgqa/map_vid_vidorID.json": "map_vid_vidorID.json",
    "rextime/rextime_val.json": "rextime.json",
}
PARQUETS = {
    "video_mme/videomme/test-00000-of-00001.parquet": "video_mme.json",
    "haystack_ego4d/data/test_tiny-00000-of-00001.parquet": "long_video_haystack.json",
}
MVBENCH = (
    *("action_antonym", "action_count", "action_localization", "action_prediction"),
    *("action_sequence", "character_order", "counterfactual_inference", "egocentric_navigation"),
    *("episodic_reasoning", "fine_grained_action", "fine_grained_pose", "moving_attribute"),
    *("moving_count", "moving_direction", "object_existence", "object_interaction"),
    *("object_shuffle", "scene_transition", "state_change", "unexpected_action"),
)
CHARADES = {
    "AB123": {"duration": 12.0, "timestamps": [[0, 4.5], [6, 12]], "sentences": ["a", "b"]},
    "CD456": {"duration": 11.5, "timestamps": [[2.5, 9.25]], "sentences": ["a person {waves}."]},
}
SRT = """1
00:00:01,500 --> 00:00:03,000
<i>Three</i> pans &amp; a lid

2
00:01:00,000 --> 00:01:02,000
Well
"""
DEMOS = ("temporal_grounding_demo", "temporal_search_demo")  # their data come from the demos
SECONDS = {
    **dict.fromkeys(("KT004", "KT005", "11@N01_1_aa", "11@N01_2_bb", "22@N02_3_cc"), 31),
    "tinyfilm007": 154,
    "tinyfilm008": 41,
}
"""Lengths in seconds of videos of which the annotations tell only parts; others have 12."""


def rows_of(name):
    return json.loads((READERS_FOLDER / name).read_text())


def write_annotations(root: Path) -> Path:
    """All annotation files, as a user finds them after unpacking the releases."""
    for name, fixture in COPIES.items():
        _place(root / name)
        shutil.copy(READERS_FOLDER / fixture, root / name)
    for name, fixture in PARQUETS.items():
        pq.write_table(pa.Table.from_pylist(rows_of(fixture)), _place(root / name))
    _write(root / "charades_sta/charades_sta_test.json", CHARADES)
    _write(root / "tvgbench/tvgbench.json", tvgbench())
    _write(root / "longvideobench/lvb_val.json", long_video_bench())
    for task in MVBENCH:
        _write(root / f"mvbench/json/{task}.json", mvbench(task))
    _place(root / "video_mme/subtitle/tinyfilm27.srt").write_text(SRT)
    return root


def tvgbench():
    """Its paths begin with a folder of Time-R1's checkout."""
    rows = rows_of("tvgbench.json")
    start = "./dataset/timer1/videos/tvgbench_data/"
    return [{**row, "path": row["path"].replace("./videos/", start)} for row in rows]


def long_video_bench():
    """One question of 15 s, and two of an hour of which one is about the subtitles."""
    kinds = ((15, "S2A"), (3600, "E2O"), (3600, "T2A"))
    rows = zip(rows_of("long_video_bench.json"), kinds, strict=True)
    return [{**row, "duration_group": g, "question_category": c} for row, (g, c) in rows]


def mvbench(task):
    """Episodic reasoning names folders of frames."""
    rows = rows_of("action_sequence.json")
    if task == "episodic_reasoning":
        rows = [{**row, "video": row["video"].removesuffix(".mp4")} for row in rows]
    return rows


class _Yaml(yaml.SafeLoader):
    """Reads `!function a.b.c` as the string a.b.c."""


_Yaml.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def load_task(path: Path) -> dict:
    """A task's YAML with what it includes, as text: nothing is imported."""
    config = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    if "include" in config:
        config = {**load_task(path.parent / config.pop("include")), **config}
    return config


def benchmark_tasks() -> list[dict]:
    """The YAML of our tasks; groups, those of no benchmark and those of a search are left out."""
    found = map(load_task, sorted(resource_dir("lmms_tasks").rglob("*.yaml")))
    names = ("temporal_grounding_", "temporal_qa_", "temporal_grounded_", "temporal_search_")
    tasks = [it for it in found if str(it["task"]).startswith(names) and it["task"] not in DEMOS]
    return [it for it in tasks if not it["task"].startswith("temporal_search_loop_")]


def source(config: dict) -> Source:
    """Where a task's questions come from."""
    text = json.dumps(config["dataset_kwargs"]).replace("{name}", config.get("dataset_name", ""))
    return Source.from_mapping(json.loads(text), task=config["task"])


def video_paths() -> set[str]:
    """The videos of all benchmarks below the data root."""
    sources = map(source, benchmark_tasks())
    return {sample.video for each in sources for _, sample in each.read()}


def write_videos(paths, write_video, folder: Path) -> None:
    """A video at each path, of 12 s at one frame a second unless `SECONDS` knows better."""
    made: dict[int, Path] = {}
    rng = np.random.default_rng(0)
    for path in map(Path, paths):
        seconds = SECONDS.get(path.stem, 12)
        if seconds not in made:
            frames = rng.integers(0, 255, size=(seconds, 32, 32, 3), dtype=np.uint8)
            frames = frames.repeat(2, axis=1).repeat(2, axis=2)
            made[seconds] = write_video(folder / f"{seconds}.mp4", frames, fps=1)
        shutil.copy(made[seconds], _place(path))


def _write(path: Path, rows) -> None:
    _place(path).write_text(json.dumps(rows))


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
