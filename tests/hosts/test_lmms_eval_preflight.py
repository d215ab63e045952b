"""Everything that is missing is said at once, before a model is loaded."""

import json
import shutil

import pytest

pytest.importorskip("lmms_eval")

from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import lmms_eval_preflight as preflight
from temporal_plugin.integrations.lmms_eval_config import complete, source_of
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.integrations.lmms_eval_source import BAD_VIDEO_SETTING, DATA_SETTING

CHARADES = {
    "task": "charades",
    "dataset_kwargs": {
        "format": "charades_sta",
        "annotations": "charades_sta/charades_sta_test.json",
        "videos": "charades_sta/videos",
    },
}
DEMO = {"task": "demo", "dataset_kwargs": {"format": "jsonl", "annotations": "demo/test.jsonl"}}


@pytest.fixture(autouse=True)
def root(data_root, tmp_path, monkeypatch):
    """A copy of the data root in which one video is missing and one is no video."""
    failures.clear()
    copy = shutil.copytree(data_root, tmp_path / "broken")
    (copy / "charades_sta/videos/V1.mp4").unlink()
    (copy / "charades_sta/videos/V2.mp4").write_text("no video")
    monkeypatch.setenv(DATA_SETTING, str(copy))
    monkeypatch.delenv(BAD_VIDEO_SETTING, raising=False)
    yield copy
    failures.clear()


def check(*tasks, **options):
    preflight.check_tasks([("grounding", dict(task)) for task in tasks], **options)


def test_all_is_listed_at_once(root):
    (root / "demo/videos/V0.mp4").unlink()
    lost = {"task": "lost", "dataset_kwargs": {"format": "jsonl", "annotations": "lost.jsonl"}}
    with pytest.raises(ValueError, match="cannot start") as error:
        check(CHARADES, DEMO, lost)
    text = str(error.value)
    assert f"lost: no annotation file at {root / 'lost.jsonl'}" in text
    assert "3 videos, needed by 5 questions, cannot be used" in text
    for name in ("charades_sta/videos/V1.mp4: missing", "demo/videos/V0.mp4: missing"):
        assert str(root / name) in text
    assert "V2.mp4: cannot be decoded" in text
    assert DATA_SETTING in text
    assert f"{BAD_VIDEO_SETTING}=count_as_failure" in text


def test_a_sound_run_is_silent():
    check(DEMO)


@pytest.mark.parametrize(
    ("limit", "offset", "fails"),
    [(2, 0, False), (0.4, 0, False), (0.5, 0, True), (None, 0, True), (-1, 0, True), (2, 1, True)],
)
def test_only_what_will_be_asked_counts(limit, offset, fails):
    if not fails:
        return check(CHARADES, limit=limit, offset=offset)
    with pytest.raises(ValueError, match="cannot be used"):
        check(CHARADES, limit=limit, offset=offset)


def test_bad_videos_can_count_as_failures(root, monkeypatch):
    monkeypatch.setenv(BAD_VIDEO_SETTING, "count_as_failure")
    check(CHARADES)
    assert failures.reason(str(root / "charades_sta/videos/V1.mp4")) == "missing"
    assert failures.reason(str(root / "charades_sta/videos/V0.mp4")) is None


def test_a_long_list_is_cut_and_counted(root, monkeypatch):
    monkeypatch.setattr(preflight, "LISTED", 1)
    with pytest.raises(ValueError, match="and 1 more"):
        check(CHARADES)


def test_a_file_is_looked_at_once(monkeypatch):
    looked = []
    survey = preflight.survey
    monkeypatch.setattr(preflight, "survey", lambda paths: looked.extend(paths) or survey(paths))
    check(DEMO)
    check(DEMO)
    assert len(looked) == 3


def test_a_malformed_annotation_file_is_named(root):
    (root / "demo/test.jsonl").write_text('{"id": 3}\n')
    with pytest.raises(ValueError, match=r"demo: .*test.jsonl"):
        check(DEMO)


def test_questions_of_another_kind_are_named():
    with pytest.raises(ValueError, match=r"5 of the 5 questions .* are none for a choice task"):
        preflight.check_tasks([("choice", dict(DEMO))])


def test_captions_need_a_judge(root, monkeypatch):
    monkeypatch.setattr(captions, "judge", lambda: None)
    row = {"id": "a", "task": "open", "video": "videos/V0.mp4", "query": "q", "answer": "x"}
    (root / "demo/test.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match="TEMPORAL_PLUGIN_JUDGE_URL"):
        preflight.check_tasks([("caption", dict(DEMO))])
    monkeypatch.setattr(captions, "judge", object)
    preflight.check_tasks([("caption", dict(DEMO))])


def prompt_of(config, kind="grounding"):
    return complete(config, kind)["dataset_kwargs"]["prompt"]


def test_the_prompt_of_each_style(monkeypatch, tmp_path):
    monkeypatch.delenv("TEMPORAL_PLUGIN_PROMPT", raising=False)
    assert prompt_of(DEMO) == "answer"
    assert prompt_of({**DEMO, "style": "think"}) == "think_answer"
    own = {**DEMO, "dataset_kwargs": {**DEMO["dataset_kwargs"], "prompt": "think_time"}}
    assert prompt_of(own) == "think_time"
    mine = tmp_path / "mine.yaml"
    mine.write_text("user: When does {query} happen?\n")
    monkeypatch.setenv("TEMPORAL_PLUGIN_PROMPT", str(mine))
    assert prompt_of(own) == prompt_of({**DEMO, "style": "think"}) == str(mine)
    with pytest.raises(ValueError, match=r"does not show the \{options\}"):
        prompt_of(DEMO, "choice")


def test_the_answer_gets_the_room_that_its_prompt_needs():
    def room(config):
        return complete(config, "grounding")["generation_kwargs"]["max_new_tokens"]

    assert room(DEMO) == 64
    assert room({**DEMO, "style": "think"}) == 1024
    assert room({**DEMO, "generation_kwargs": {"max_new_tokens": 7}}) == 7


def test_the_keys_of_our_own_end_here():
    completed = complete({**DEMO, "class": object, "style": "think"}, "moment")
    assert not {"class", "style", "prompts", "max_new_tokens"} & set(completed)
    with pytest.raises(ValueError, match="style is 'loud'; allowed: direct, think"):
        complete({**DEMO, "style": "loud"}, "moment")


def test_a_name_is_filled_in():
    config = {
        **DEMO,
        "dataset_name": "count",
        "dataset_kwargs": {"format": "mvbench", "annotations": ["{name}.json", "x/{name}.json"]},
    }
    assert source_of(complete(config, "choice")).annotations == ["count.json", "x/count.json"]


def test_kinds_have_their_defaults():
    for kind in KINDS:
        assert complete(dict(DEMO), kind)["doc_to_messages"]
