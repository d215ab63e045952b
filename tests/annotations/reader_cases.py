"""The reader formats beside the fixture each one reads, for the tests of all of them."""

import json
from pathlib import Path

from temporal_plugin.annotations import read

READERS_FOLDER = Path(__file__).parents[1] / "resources" / "annotations" / "readers"
OWN_FOLDER = READERS_FOLDER.parent

# (format, fixture, options); options that name a file are relative to the fixtures' folder
CASES = [
    ("activitynet_captions", "activitynet_captions.json", {"split": "train"}),
    ("charades_sta", "../charades_sta.json", {"split": "train"}),
    ("charades_sta", "../charades_sta.txt", {"durations": "../durations.csv"}),
    ("cosmo_cap", "cosmo_cap.jsonl", {}),
    ("didemo", "didemo.json", {"split": "val"}),
    ("egoschema", "egoschema.json", {}),
    ("hirest_grounding", "hirest.json", {"split": "val"}),
    ("hirest_step", "hirest.json", {"split": "val"}),
    ("internvid_vtime", "internvid_vtime.jsonl", {}),
    ("jsonl", "../samples.jsonl", {}),
    ("long_video_bench", "long_video_bench.json", {"split": "val"}),
    ("long_video_haystack", "long_video_haystack.json", {"split": "test_tiny"}),
    ("mvbench", "action_sequence.json", {}),
    ("nextgqa", "nextgqa.csv", {"split": "test"}),
    ("nextgqa", "nextgqa.json", {"split": "test"}),
    ("queryd", "queryd_raw.json", {"videos": "queryd_list.txt"}),
    ("qvhighlights", "qvhighlights.jsonl", {"split": "val"}),
    ("rextime", "rextime.json", {"split": "val"}),
    ("tacos", "tacos.json", {"split": "test"}),
    ("tacos", "tacos.jsonl", {}),
    ("tempcompass", "caption_matching.json", {}),
    ("tempcompass", "captioning.json", {}),
    ("tempcompass", "multi-choice.json", {}),
    ("tempcompass", "yes_no.json", {}),
    ("temporal_r1", "temporal_r1.jsonl", {}),
    ("timelens_bench", "charades-timelens.json", {}),
    ("timerft", "timerft.json", {}),
    ("timesearch_r", "timesearch_r.jsonl", {}),
    ("tvgbench", "tvgbench.json", {}),
    ("verl", "verl.jsonl", {}),
    ("video_mme", "video_mme.json", {}),
]
IDS = [f"{format}-{Path(name).name}" for format, name, _ in CASES]
FILE_OPTIONS = ("durations", "videos", "spans", "video_map", "times", "answers")


def options_at(options, folder):
    """The reader's options with the files that they name below `folder`."""
    return {
        name: folder / value if name in FILE_OPTIONS else value for name, value in options.items()
    }


def fixture_samples(format, name, folder=READERS_FOLDER, on_error=None, **options):
    """The samples of a fixture."""
    known = options_at(options, folder)
    return list(read(format, folder / name, on_error=on_error, **known))


def to_parquet(name, path):
    """A fixture of JSON rows as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = (READERS_FOLDER / name).read_text()
    rows = json.loads(text) if name.endswith(".json") else map(json.loads, text.splitlines())
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path
