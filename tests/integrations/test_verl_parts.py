"""The parts of the verl integration that need no run."""

import asyncio
import json

import numpy as np
import pytest

pytest.importorskip("verl")

from temporal_plugin import answers, prompts
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.verl_agent_loop import collapse_videos, with_reordered
from temporal_plugin.integrations.verl_dataset import (
    TemporalDataset,
    chat,
    drop_bad_videos,
    temporal_settings,
)
from temporal_plugin.integrations.verl_reward import _headline, compute_score
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

    def test_options_and_weights_by_task(self):
        weights = {
            "grounding": {"tiou": 1.0, "length": {"weight": 0.1, "max_chars": 500}},
            "choice": {"choice": 1.0},
        }
        text = "<think>a</think><answer>1.00 to 3.00</answer>"
        grounding = compute_score("x", text, answers.encode_truth(SAMPLE), weights=weights)
        assert (grounding["score"], grounding["acc"]) == (pytest.approx(1.1),) * 2  # no IoU named
        truth = answers.Truth("c", task="choice", options=("x", "y"), answer="B")
        choice = compute_score("x", "B", answers.encode_truth(truth), weights=weights)
        assert (choice["score"], choice["acc"]) == (1.0, 1.0)
        assert set(choice) == set(grounding)
        metrics = reward_metrics([grounding, choice], ["a", "b"])
        assert metrics["reward/choice/mean"] == 1.0  # over the one row that has a choice
        assert metrics["reward/length/mean"] == 1.0
        assert not [name for name in metrics if "_applies" in name]
        assert "reward/choice/mean" not in reward_metrics([grounding], ["a"])

    @pytest.mark.parametrize(
        ("task", "row", "acc"),
        [
            ("grounding", {"iou": 0.5, "choice": 1.0}, 0.5),
            ("choice", {"iou": 0.0, "choice": 1.0}, 1.0),
            ("grounded_choice", {"iou": 0.5}, 0.5),
            ("grounded_choice", {"iou": 0.5, "choice": 1.0}, 1.0),
            ("grounding", {"tiou": 0.4}, 0.9),
            ("choice", {"choice": 0.0, "choice_applies": 0.0}, 0.9),
            ("open", {"iou": 0.0}, 0.0),
        ],
    )
    def test_the_headline(self, task, row, acc):
        assert _headline({"score": 0.9, **row}, answers.Truth("q", task)) == acc

    def test_compat_scores_as_its_authors_did(self):
        text = "<think>a</think><answer>1.0 to 2.0</answer>"
        row = compute_score("x", text, answers.encode_truth(SAMPLE), compat="timezero")
        assert (row["score"], row["iou"], row["acc"], row["video_failure"]) == (1.5, 0.5, 0.5, 0.0)
        weights = {"iou": 1.0}
        row = compute_score(
            "x", text, answers.encode_truth(SAMPLE), compat="timezero", weights=weights
        )
        assert row["score"] == 0.5

    def test_neither_weights_nor_compat(self):
        with pytest.raises(ValueError, match="neither weights nor compat"):
            compute_score("x", "", answers.encode_truth(SAMPLE))

    def test_the_answer_to_reordered_frames_counts_where_there_is_one(self):
        settings = {"weight": 0.5, "order": "reversed"}

        def score(**info):
            return compute_score(
                "x",
                "1 to 3",
                answers.encode_truth(SAMPLE),
                info,
                weights={"iou": 1.0},
                shuffle_consistency=settings,
            )

        for changed, expected in (("5 to 7", 1.0), ("1 to 3", 0.0), ("", 1.0)):
            row = score(changed_response=changed)
            assert (row["shuffle_consistency"], row["shuffle_consistency_applies"]) == (expected, 1)
            assert row["score"] == 1.0 + 0.5 * expected
        without = score()
        assert (without["shuffle_consistency_applies"], without["score"]) == (0.0, 1.0)
        assert set(without) == set(row)


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
            ValueError, match=r"\['promt'\]; allowed: \['curriculum', 'frame_store'"
        ):
            temporal_settings({"temporal": {"promt": "answer"}})
        with pytest.raises(ValueError, match="on_bad_video is 'ignore'; allowed"):
            temporal_settings({"temporal": {"on_bad_video": "ignore"}})
        with pytest.raises(ValueError, match="shuffle_consistency is 'mixed'; allowed: null, rev"):
            temporal_settings({"temporal": {"shuffle_consistency": "mixed"}})


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


def test_reordered_frames_of_a_message(clock_video):
    part = {"type": "video", "video": str(clock_video), "sampling": {"fps": 1.0}}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "hi"}]}]

    def read(messages):
        (video,) = asyncio.run(TemporalDataset.process_multi_modal_info(messages, 14, {}))[1]
        return video

    pixels, metadata = read(messages)
    backwards, same = read(with_reordered(messages, "reversed", "q"))
    assert "reorder" not in part
    assert backwards.equal(pixels.flip(0))
    assert dict(same) == dict(metadata) and same.key != metadata.key
    assert read(with_reordered(messages, "shuffled", "q"))[1].key != same.key


def test_masked_frames_of_a_message(clock_video):
    def read(**mask):
        sampling = {"fps": 2.0, "times": "exact"}  # a step per second
        part = {"type": "video", "video": str(clock_video), "sampling": sampling}
        if mask:
            part["mask"] = {"spans": [[2.0, 4.0]], "show": "curriculum", "seed": "q", **mask}
        messages = [{"role": "user", "content": [part, {"type": "text", "text": "hi"}]}]
        (video,) = asyncio.run(TemporalDataset.process_multi_modal_info(messages, 14, {}))[1]
        return video

    pixels, name = read()
    steps = len(pixels) // 2
    shown, dropped = read(fraction=0.5, mode="drop")
    others = steps - 2  # the truth takes two steps
    assert len(shown) == 2 * (2 + int(others / 2 + 0.5)) < len(pixels)
    ticks = name["frames_indices"]
    places = [ticks.index(tick) for tick in dropped["frames_indices"]]
    assert shown.equal(pixels[places]) and {4, 5, 6, 7} <= set(places)
    black, blank = read(fraction=0.5, mode="blank")
    assert dict(blank) == dict(name)
    assert [place for place in range(len(black)) if black[place].any()] == places
    assert black[places].equal(shown)
    keys = [name.key, dropped.key, blank.key, read(fraction=0.4, mode="drop")[1].key,
            read(fraction=0.5, mode="drop", seed="r")[1].key]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert read(fraction=0.5, mode="drop")[1].key == dropped.key
    with pytest.raises(VideoError, match=r"\.mp4: nothing of the .* steps .* is left to show"):
        read(show="outside", spans=[[0.0, 900.0]])


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
