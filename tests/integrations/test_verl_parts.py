"""The parts of the verl integration that need no run."""

import asyncio
import json

import numpy as np
import pytest

pytest.importorskip("verl")

from temporal_plugin import answers, prompts
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.verl_agent_loop import collapse_videos
from temporal_plugin.integrations.verl_dataset import (
    TemporalDataset,
    chat,
    drop_bad_videos,
    temporal_settings,
)
from temporal_plugin.integrations.verl_reward import compute_score
from temporal_plugin.integrations.verl_trainer import reward_metrics
from temporal_plugin.spans import Span
from temporal_plugin.video.decode import VideoError

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests

SAMPLE = Sample(
    id="a/0",
    task="grounding",
    video="a.mp4",
    query="a {door} opens",
    spans=(Span(1.0, 3.0),),
    duration=8.0,
)
START, END, PAD, TEXT = 1, 2, 3, 9
FRAME = [TEXT, TEXT, START, PAD, PAD, END]


class TestReward:
    def score(self, text, **info):
        return compute_score(
            "demo",
            text,
            answers.encode_truth(SAMPLE),
            {"contract": "answer", **info},
            weights={"iou": 1.0, "format": 0.2},
        )

    def test_gold_answer_scores_all_it_can(self):
        result = self.score("<answer>1.00 to 3.00</answer>")
        assert result["score"] == pytest.approx(1.2)
        assert (result["acc"], result["format"], result["video_failure"]) == (1.0, 1.0, 0.0)

    def test_same_keys_whatever_the_model_writes(self):
        keys = set(self.score("<answer>1.00 to 3.00</answer>"))
        for text in ("", "no idea", "<answer>", "<answer>3 to 1</answer>", "\ud800" * 50):
            result = self.score(text)
            assert set(result) == keys
            assert result["score"] <= 0.2

    def test_a_failed_video_is_counted(self):
        assert self.score("", video_failure=1.0)["video_failure"] == 1.0

    def test_the_contract_comes_from_the_prompt(self):
        text = "<think>hm</think><answer>1.00 to 3.00</answer>"
        assert self.score(text)["format"] == 0.0
        assert self.score(text, contract="think_answer")["format"] == 1.0


class TestGroupStatistics:
    def test_parts_and_groups(self):
        rows = [{"score": s, "iou": s} for s in (0.0, 1.0, 0.5, 0.5)]
        metrics = reward_metrics(rows, ["a", "a", "b", "b"])
        assert metrics["reward/iou/mean"] == pytest.approx(0.5)
        assert metrics["group/zero_variance_share"] == 0.5
        assert metrics["group/score_std_mean"] == pytest.approx(0.25)

    def test_nothing_to_say_of_nothing(self):
        assert reward_metrics([], []) == {}


class TestCollapse:
    def collapse(self, ids):
        return collapse_videos(ids, START, END, PAD)

    def test_expanded_video_becomes_the_placeholder(self):
        video = [START, *FRAME * 3, END]
        assert self.collapse([7, *video, 8]) == [7, START, PAD, END, 8]
        assert self.collapse(video + video) == [START, PAD, END] * 2

    @pytest.mark.parametrize(
        "ids",
        [
            [],
            [7, 8],
            [START, PAD, END],  # never expanded, and an image
            [START, PAD, PAD, PAD, END],  # Qwen2.5-VL
            [START, *FRAME],  # cut off
            [START, TEXT, TEXT, END],
        ],
    )
    def test_anything_else_is_left_alone(self, ids):
        assert self.collapse(ids) == ids


class TestSettings:
    def test_defaults(self):
        assert temporal_settings({})["on_bad_video"] == "fail"

    def test_typo_names_what_is_allowed(self):
        with pytest.raises(
            ValueError, match=r"\['promt'\]; allowed: \['frame_store', 'on_bad_video'"
        ):
            temporal_settings({"temporal": {"promt": "answer"}})
        with pytest.raises(ValueError, match="on_bad_video is 'ignore'; allowed"):
            temporal_settings({"temporal": {"on_bad_video": "ignore"}})


def test_chat_names_file_clip_and_sampling():
    sample = Sample.from_dict({**SAMPLE.to_dict(), "clip": [2.0, 10.0]})
    (message,) = chat(prompts.load("answer"), sample, {"fps": 1.0})
    video, text = message["content"]
    assert video == {
        "type": "video",
        "video": "a.mp4",
        "clip": [2.0, 10.0],
        "sampling": {"fps": 1.0},
    }
    assert "a {door} opens" in text["text"]


def test_frames_of_a_message_and_a_video_that_fails(clock_video):
    def process(path, **entry):
        part = {"type": "video", "video": str(path), **entry}
        messages = [{"role": "user", "content": [part, {"type": "text", "text": "hi"}]}]
        return asyncio.run(TemporalDataset.process_multi_modal_info(messages, 14, {}))

    images, videos, audios = process(clock_video, clip=[2.0, 6.0], sampling={"fps": 1.0})
    ((pixels, metadata),) = videos
    assert images is None and audios is None
    assert len(pixels) == 4 and str(pixels.dtype) == "torch.uint8"
    assert np.diff(metadata["frames_indices"]).min() > 0
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        process(clock_video.with_name("gone.mp4"))


def test_bad_videos_fail_or_are_skipped(clock_video, tmp_path, caplog):
    good = Sample.from_dict({**SAMPLE.to_dict(), "video": str(clock_video)})
    gone = Sample.from_dict({**SAMPLE.to_dict(), "id": "b", "video": str(tmp_path / "gone.mp4")})
    with pytest.raises(VideoError, match=r"1 missing or unreadable.*\n.*gone\.mp4(.|\n)*=skip"):
        drop_bad_videos([good, gone], "fail")
    assert drop_bad_videos([good, gone], "skip") == [good]
    assert "skipping their 1 samples" in caplog.text


def test_truth_travels_as_json():
    truth = answers.decode_truth(answers.encode_truth(SAMPLE))
    assert truth.spans == SAMPLE.spans
    assert json.loads(answers.encode_truth(SAMPLE))["query"] == "a {door} opens"
