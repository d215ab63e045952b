"""Which rows are masked in training, how, and what is said about the others."""

import copy
import json
import logging
from types import SimpleNamespace

import pytest

pytest.importorskip("verl")

from temporal_plugin.curation.masking_schedule import MaskingSettings
from temporal_plugin.integrations.verl_agent_loop import with_reordered
from temporal_plugin.integrations.verl_dataset import temporal_settings, with_video_settings
from temporal_plugin.integrations.verl_masking import TrainingMasks, masking_of
from temporal_plugin.spans import Span
from temporal_plugin.video.masking import Mask

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
Qwen2_5_VLProcessor = type("Qwen2_5_VLProcessor", (SimpleNamespace,), {})
Qwen3VLProcessor = type("Qwen3VLProcessor", (SimpleNamespace,), {})
DIFFICULTY = (0.1, 0.7, 0.71, 0.9, None)


def rows(difficulty=DIFFICULTY):
    return [
        {"id": f"s{n}", "spans": [[1.0, 2.0 + n]], "extra": {} if d is None else {"difficulty": d}}
        for n, d in enumerate(difficulty)
    ]


def masks(given=None, processor=None, data=None, **settings):
    found = MaskingSettings(**settings) if given is None else given
    return TrainingMasks(rows() if data is None else data, found, processor or Qwen3VLProcessor())


def test_only_hard_samples_are_masked():
    found = masks()
    assert {place: id for place, (id, _) in found.masked.items()} == {2: "s2", 3: "s3"}
    assert found.mask(1, 0.0) is None and found.mask(4, 0.0) is None
    assert found.mask(3, 0.1) == Mask((Span(1, 5),), "curriculum", 0.2, "0/s3", "drop")
    assert found.mask(3, 0.5) is None, "everything is shown"
    assert {*masks(hard_above=0.0).masked} == {0, 1, 2, 3}


def test_a_file_of_difficulties_decides(tmp_path):
    path = tmp_path / "difficulty.jsonl"
    lines = [
        {"id": "s0", "source": "a", "ious": [0.0, 0.2]},
        {"id": "s4", "source": "a", "ious": [0.8]},
    ]
    lines = [{**line, "spread": 0.0, "level": "", "predictions": []} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert {*masks(difficulty=str(path)).masked} == {0}
    with pytest.raises(ValueError, match=r"^masking\.difficulty: .* names no sample of the train"):
        masks(difficulty=str(path), data=[{**row, "id": "x" + row["id"]} for row in rows()])


def test_without_any_difficulty_nothing_is_hard():
    with pytest.raises(ValueError, match="none has one: train on the output of `temporal-plugin"):
        masks(data=rows([None, None]))
    assert {*masks(data=rows([None, None]), hard_above=None).masked} == {0, 1}, "asked for"
    assert {*masks(hard_above=None).masked} == {0, 1, 2, 3, 4}


def test_what_is_shown_whole_is_said(caplog):
    data = [*rows(), {"id": "choice", "spans": [], "extra": {"difficulty": 1.0}}]
    with caplog.at_level(logging.INFO):
        masks(data=data)
    assert "masking (drop) 2 of 6 samples" in caplog.text
    assert "1 of 6 samples have no difficulty and are shown whole, such as s4" in caplog.text
    assert "1 hard samples have no span and are shown whole" in caplog.text
    masks(hard_above=1.0)
    assert "no sample is hard, so nothing is masked" in caplog.text


def test_the_mode_follows_the_model():
    assert masks(processor=Qwen3VLProcessor()).mode == "drop"
    assert masks(processor=Qwen2_5_VLProcessor()).mode == "blank"
    assert masks(processor=Qwen3VLProcessor(), mode="blank").mode == "blank"
    with pytest.raises(ValueError, match=r"mode 'drop' needs .* such as Qwen3-VL; .*use 'blank'"):
        masks(processor=Qwen2_5_VLProcessor(), mode="drop")


def test_prompts_of_a_step():
    found = masks()
    video = {"type": "video", "video": "a.mp4", "sampling": {"fps": 2.0}}
    prompt = [
        {"role": "system", "content": "<video> is only a word here"},
        {"role": "user", "content": [video, {"type": "text", "text": "when?"}]},
    ]
    before = copy.deepcopy(prompt)
    shown = found.apply([prompt, prompt], [0, 3], step=1, progress=0.0)
    assert prompt == before
    assert shown[0] == prompt
    entry = shown[1][1]["content"][0]
    assert entry.pop("mask") == found.mask(3, 0.0).to_mapping()
    assert shown[1] == prompt
    assert found.metrics(0.0) == {"masking/fraction": 0.0, "masking/masked_share": 0.5}
    found.apply([prompt] * 2, [3, 3], step=1, progress=0.0)  # a step may fetch several times
    assert found.metrics(0.0)["masking/masked_share"] == 0.75
    found.apply([prompt], [0], step=2, progress=0.25)
    assert found.metrics(0.25) == {"masking/fraction": 0.5, "masking/masked_share": 0.0}


def test_the_seed_is_the_run_s_where_none_is_named():
    assert masking_of({}, None).seed == 0
    assert masking_of({}, 7).seed == 7
    assert masking_of({"seed": 3}, 7).seed == 3
    with pytest.raises(ValueError, match="masking has unknown keys"):
        masking_of({"fraction": 0.5}, 7)


def test_masks_and_reordered_frames_exclude_each_other():
    both = {"masking": {"schedule": "linear"}, "shuffle_consistency": "reversed"}
    with pytest.raises(ValueError, match="has masking and shuffle_consistency; give one of them"):
        temporal_settings({"temporal": both})
    assert temporal_settings({"temporal": {"masking": {}}})["masking"] == {}


def test_a_search_would_bring_what_a_mask_hides():
    with pytest.raises(ValueError, match="has masking and search; give one of them"):
        temporal_settings({"temporal": {"masking": {}, "search": {}}})


def test_settings_go_into_video_entries_only():
    messages = [
        {"role": "user", "content": "text"},
        {"role": "user", "content": [{"type": "video", "video": "a"}, {"type": "text"}]},
    ]
    changed = with_video_settings(messages, reorder=["reversed", "s"])
    assert changed == with_reordered(messages, "reversed", "s")
    assert changed[1]["content"] == [
        {"type": "video", "video": "a", "reorder": ["reversed", "s"]},
        {"type": "text"},
    ]
    assert messages[1]["content"][0] == {"type": "video", "video": "a"}
