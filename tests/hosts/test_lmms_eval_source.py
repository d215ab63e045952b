"""From a task's settings to samples, and the errors on the way."""

import json
import re
from pathlib import Path

import pytest

from temporal_plugin.integrations.lmms_eval_source import (
    BAD_VIDEO_SETTING,
    DATA_SETTING,
    Source,
    data_root,
)
from temporal_plugin.resources import resource_dir

CHARADES = {
    "format": "charades_sta",
    "annotations": ["charades_sta/none.txt", "charades_sta/charades_sta_test.json"],
    "videos": "charades_sta/videos",
}


@pytest.fixture
def root(data_root, monkeypatch):
    monkeypatch.setenv(DATA_SETTING, str(data_root))
    return data_root


def test_the_data_root_is_data_below_the_working_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv(DATA_SETTING, raising=False)
    monkeypatch.chdir(tmp_path)
    assert data_root() == tmp_path / "data"


def test_charades_is_read_with_absolute_videos(root):
    found = Source.from_mapping(CHARADES, task="t").read()
    assert len(found) == 5
    assert {name for name, _ in found} == {"V0.mp4", "V1.mp4", "V2.mp4"}
    assert found[0][1].video == str(root / "charades_sta/videos/V0.mp4")


def test_videos_lie_beside_the_annotations_by_default(root):
    found = Source("jsonl", "demo/test.jsonl").read()
    assert found[0][1].video == str(root / "demo/videos/V0.mp4")


def test_the_data_of_a_recipe_can_be_asked_about(root, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_CURATE_DATA", "recipe:time_r1_charades/train.yaml")
    settings = {"format": "data_config", "annotations": "$TEMPORAL_PLUGIN_CURATE_DATA"}
    found = Source.from_mapping(settings, task="t").annotation_file()
    assert found == resource_dir("recipes") / "time_r1_charades/train.yaml"
    monkeypatch.setenv("TEMPORAL_PLUGIN_CURATE_DATA", "recipe:none/train.yaml")
    with pytest.raises(FileNotFoundError, match=r"recipe:none/train\.yaml is no file of the rec"):
        Source.from_mapping(settings, task="t")


def test_a_missing_file_names_the_places_and_the_setting(root):
    source = Source("charades_sta", ["a.json", "b.txt"])
    with pytest.raises(FileNotFoundError, match=DATA_SETTING) as error:
        source.read()
    assert str(root / "a.json") in str(error.value)
    assert str(root / "b.txt") in str(error.value)


@pytest.mark.parametrize("settings", [{**CHARADES, "video": "x"}, {"format": "jsonl"}, None])
def test_unknown_and_missing_keys_are_named(settings):
    with pytest.raises(ValueError, match=re.escape("task t: dataset_kwargs")):
        Source.from_mapping(settings, task="t")


def test_the_environment_overrules_what_happens_to_bad_videos(monkeypatch):
    assert Source.from_mapping(CHARADES, task="t").on_bad_video == "error"
    monkeypatch.setenv(BAD_VIDEO_SETTING, "count_as_failure")
    assert Source.from_mapping(CHARADES, task="t").on_bad_video == "count_as_failure"
    monkeypatch.setenv(BAD_VIDEO_SETTING, "skip")
    with pytest.raises(ValueError, match="allowed: error, count_as_failure"):
        Source.from_mapping(CHARADES, task="t")


def test_the_published_test_split_has_all_its_questions(shared, monkeypatch, tmp_path):
    monkeypatch.setenv(DATA_SETTING, str(tmp_path))
    path = shared / "data/annotations/charades_sta_test.json"
    assert len(Source("charades_sta", str(path)).read()) == 3720


def window(tmp_path, **kwargs):
    """A TVGBench-like source of one row that shows 2 s to 6 s of a video."""
    row = {
        "path": "a.mp4", "question": "q", "answer": "1-2", "start": 2, "end": 6, "duration": 4,
        "qsemtype": "x", "source": "s", "bins": 0,
    }  # fmt: skip
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    return Source("tvgbench", str(tmp_path / "rows.json"), **kwargs)


def test_a_clip_needs_a_policy(tmp_path):
    with pytest.raises(ValueError, match=r"dataset_kwargs.clip to one of precut, trim"):
        window(tmp_path).read()
    with pytest.raises(ValueError, match="clip is 'cut'; allowed: precut, trim or null"):
        window(tmp_path, clip="cut")


def test_the_clip_policy_is_followed_and_a_file_overrules_it(tmp_path, clock_video):
    assert window(tmp_path, clip="precut").read()[0][1].clip is None
    assert window(tmp_path, clip="trim").read()[0][1].clip.end_seconds == 6
    (tmp_path / "a.mp4").symlink_to(clock_video)  # 8 s long: not cut yet
    assert window(tmp_path, clip="precut").read()[0][1].clip.end_seconds == 6


def choices(tmp_path, *rows, **kwargs):
    """A source of Video-MME rows."""
    common = {"question": "q", "options": ["A. x", "B. y"], "answer": "B"}
    table = [
        {**common, "videoID": f"v{n}", "question_id": str(n), **row} for n, row in enumerate(rows)
    ]
    (tmp_path / "mme.json").write_text(json.dumps(table))
    return Source("video_mme", "mme.json", data_root=str(tmp_path), **kwargs)


def test_a_task_can_have_a_data_root_of_its_own(tmp_path, root):
    ((_, sample),) = choices(tmp_path, {"duration": "short"}).read()
    assert sample.video == str(tmp_path / "v0.mp4")


def test_only_the_rows_to_keep_are_asked(tmp_path):
    rows = ({"duration": "short"}, {"duration": "long", "domain": "x"}, {"duration": "long"})
    source = choices(tmp_path, *rows, keep={"duration_group": ["long"], "domain": ["x", "y"]})
    assert [sample.id for _, sample in source.read()] == ["video_mme/1"]
    with pytest.raises(ValueError, match="holds no question that can be asked"):
        choices(tmp_path, *rows, keep={"duration_group": ["medium"]}).read()


def test_subtitles_ride_along_where_there_are_some(tmp_path):
    (tmp_path / "srt").mkdir()
    (tmp_path / "srt/v1.srt").write_text("1\n00:00:02,000 --> 00:00:03,000\nHi\n")
    source = choices(tmp_path, {"duration": "short"}, {"duration": "short"}, subtitles="srt")
    assert [sample.extra.get("subtitles") for _, sample in source.read()] == [None, "[2] Hi"]


def test_rows_without_truth_are_left_out_and_counted(tmp_path, caplog):
    resources = Path(__file__).parents[1] / "resources/annotations/readers"
    rows = json.loads((resources / "egoschema.json").read_text())
    (tmp_path / "questions.json").write_text(json.dumps(rows))
    (tmp_path / "subset_answers.json").write_text(json.dumps({rows[0]["q_uid"]: 1}))
    found = Source("egoschema", "questions.json", data_root=str(tmp_path)).read()
    assert [sample.answer for _, sample in found] == ["B"]
    assert "2 rows left out (no_label)" in caplog.text


def test_a_malformed_row_stops_the_run(tmp_path):
    with pytest.raises(ValueError, match="duration"):
        choices(tmp_path, {}).read()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_args", "found"),
    [
        ("pretrained=/a/b,device=cpu", "/a/b"),
        ({"model": "m", "fps": 2}, "m"),
        ("fps=2", None),
        ("", None),
        (None, None),
    ],
)
def test_the_checkpoint_that_a_command_names(model_args, found):
    """By it the task finds the prompt that a model was trained with."""
    pytest.importorskip("lmms_eval")
    from types import SimpleNamespace

    from temporal_plugin.integrations.lmms_eval_task import checkpoint_of

    assert checkpoint_of(SimpleNamespace(model_args=model_args)) == found
    assert checkpoint_of(None) is None
