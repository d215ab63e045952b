"""Curation's inference: `curate_difficulty` on training data, in shards, with a real lmms-eval."""

import json

import pytest

pytest.importorskip("lmms_eval")

from temporal_plugin.curation import boundary_log
from temporal_plugin.curation.difficulty import from_log
from temporal_plugin.integrations.lmms_eval_curation import BOUNDARIES, log_files, read_logs
from temporal_plugin.integrations.lmms_eval_source import Source

SETTING = "TEMPORAL_PLUGIN_CURATE_DATA"
KWARGS = {"format": "data_config", "annotations": f"${SETTING}"}


@pytest.fixture
def train_config(data_root, tmp_path):
    """A data config of training rows: the demo's five questions, as two sources."""
    lines = (data_root / "demo/test.jsonl").read_text("utf-8").split("\n")
    for number, part in enumerate((lines[:2], lines[2:5])):
        rows = [{**json.loads(line), "source": f"part{number}"} for line in part]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"part{number}.jsonl").write_text(text)
    entries = "".join(
        f"  - {{json_path: part{number}.jsonl, format: jsonl, data_folder: {data_root / 'demo'}}}\n"
        for number in range(2)
    )
    path = tmp_path / "train.yaml"
    path.write_text(f"datasets:\n{entries}")
    return path


def test_a_data_config_is_a_source(train_config, data_root, monkeypatch):
    monkeypatch.setenv(SETTING, str(train_config))
    found = Source.from_mapping(KWARGS, task="curate_difficulty").read()
    assert [sample.source for _, sample in found] == ["part0"] * 2 + ["part1"] * 3
    assert found[0][1].video == str(data_root / "demo/videos/V0.mp4")


def test_the_path_is_relative_to_where_the_command_is_given(train_config, monkeypatch):
    monkeypatch.chdir(train_config.parent)
    monkeypatch.setenv(SETTING, "train.yaml")
    assert len(Source.from_mapping(KWARGS, task="t").read()) == 5


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named(value, monkeypatch):
    monkeypatch.delenv(SETTING, raising=False)
    if value is not None:
        monkeypatch.setenv(SETTING, value)
    with pytest.raises(ValueError, match=f"task curate_difficulty: set .* {SETTING} to a data"):
        Source.from_mapping(KWARGS, task="curate_difficulty")


@pytest.mark.slow
def test_two_shards_of_a_run_are_measured_as_one(
    lmms_eval, train_config, tiny_model, sampling_settings
):
    model = {"pretrained": tiny_model("qwen2_5_vl"), "dtype": "float32", **sampling_settings}
    # steps short enough that each span leaves some to look at
    model |= {"draw_seed": 5, "fps": 2.0, "max_frames": 12}
    for shard in (("--limit", "2"), ("--offset", "2"), ()):
        output, out = lmms_eval(
            *("--model", "temporal_qwen_vl", "--device", "cpu", "--batch_size", "4"),
            *("--model_args", ",".join(f"{name}={value}" for name, value in model.items())),
            *("--tasks", "curate_difficulty,curate_boundaries", "--repeats", "3"),
            *("--gen_kwargs", "max_new_tokens=8", "--log_samples", *shard),
            **{SETTING: str(train_config)},
        )
    *shards, whole = log_files([out])
    assert len(shards) == 2, output[-3000:]
    rows = read_logs(shards)
    assert sorted(row["id"] for row in rows) == [
        f"demo_{name}" for name in ("V0_0", "V0_1", "V1_0", "V1_1", "V2_0")
    ]
    assert all(len(row["responses"]) == len(row["predictions"]) == 3 for row in rows)
    # each answer has its own draws: neither a cache nor a seed makes those of a question equal
    assert all(len(set(row["responses"])) > 1 for row in rows)
    found = from_log(rows)
    assert [len(row.ious) for row in found.rows] == [3] * 5 and not found.failed
    # and they do not depend on the shard
    assert from_log(read_logs([whole])).rows == found.rows
    assert from_log(read_logs([whole, *shards])).copies == 5

    *shards, whole = log_files([out], tasks=BOUNDARIES)
    found = boundary_log.from_log(read_logs(shards))
    assert found.rows == boundary_log.from_log(read_logs([whole])).rows
    assert [row.answers for row in found.rows] == [3] * 5
    assert found.answers["unparsable"] > 0, "random weights say nothing"
    assert not found.failed and not found.nothing_outside
