"""`data.temporal.shuffle_consistency` in verl's own agent loop, up to the engine and the queue."""

import asyncio
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest

pytest.importorskip("verl")
pytest.importorskip("vllm")

import torch
from omegaconf import OmegaConf, open_dict
from parity import SMALL, sample_of
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.v1 import agent_loop_tq

from temporal_plugin.answers import Truth, encode_truth
from temporal_plugin.integrations.verl_reward import compute_score
from temporal_plugin.integrations.verl_view import Rollout, rollout_config
from temporal_plugin.spans import Span

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def video(tmp_path_factory, write_video):
    levels = np.arange(60) * 4
    frames = np.broadcast_to(levels[:, None, None, None], (60, 64, 64, 3)).astype(np.uint8)
    return write_video(tmp_path_factory.mktemp("shuffle") / "rising.mp4", frames)


def rollout(tiny_model, order):
    config = rollout_config(str(tiny_model("qwen2_5_vl")), "answer", {"fps": 2.0, **SMALL})
    with open_dict(config):
        config.data.temporal.shuffle_consistency = order
    made = Rollout(config)
    made.prompts = []
    generate = made.engine.generate

    async def remember(prompt, **settings):
        made.prompts.append((dict(prompt), settings["sampling_params"]))
        async for output in generate(prompt, **settings):
            yield output

    made.engine.generate = remember
    return made


def levels_of(prompt):
    ((pixels, _),) = prompt["multi_modal_data"]["video"]
    return np.asarray(pixels, dtype=float).mean(axis=(1, 2, 3))


def test_the_prompt_is_answered_on_reversed_frames_as_well(tiny_model, video):
    made = rollout(tiny_model, "reversed")
    made.run(sample_of(video, duration=6.0))
    rising = [bool((np.diff(levels_of(prompt)) > 0).all()) for prompt, _ in made.prompts]
    assert sorted(rising) == [False, True]
    backwards, settings = made.prompts[rising.index(False)]
    forwards, _ = made.prompts[rising.index(True)]
    assert np.allclose(levels_of(backwards), levels_of(forwards)[::-1])
    assert (
        backwards["prompt_token_ids"] == forwards["prompt_token_ids"]
    )  # words and clock are the same
    assert settings.temperature == 0.0
    # the reward function gets every extra field; the batch holds the real rollout only
    assert made.queue.fields[0]["extra_fields"]["changed_response"] == ""


def test_the_rollouts_of_a_prompt_share_the_second_answer(tiny_model, video):
    made = rollout(tiny_model, "shuffled")
    row = made._row(sample_of(video, duration=6.0))

    async def group():
        await asyncio.gather(*(made._run(dict(row)) for _ in range(4)))

    with patch.object(agent_loop_tq, "tq", made.queue):
        asyncio.run(group())
    assert len(made.prompts) == 5


def test_it_is_off_by_default(tiny_model, video):
    made = rollout(tiny_model, None)
    made.run(sample_of(video, duration=6.0))
    assert len(made.prompts) == 1
    assert "changed_response" not in made.queue.fields[0]["extra_fields"]


def test_verls_reward_manager_hands_the_second_answer_over(tiny_model):
    model = AutoTokenizer.from_pretrained(tiny_model("qwen2_5_vl"))
    ids = torch.tensor([model.encode("<answer>1.0 to 2.5</answer>")])
    truth = Truth("a", spans=(Span(1.0, 2.5),), duration=6.0)
    config = OmegaConf.create({})

    def reward(changed):
        data = DataProto.from_dict(
            {"responses": ids, "attention_mask": torch.ones_like(ids)},
            non_tensors={
                "data_source": np.array(["x"], dtype=object),
                "reward_model": np.array([{"ground_truth": encode_truth(truth)}], dtype=object),
                "extra_info": np.array([{"contract": "answer"}], dtype=object),
                "tool_extra_fields": np.array([{"changed_response": changed}], dtype=object),
            },
        )
        score = partial(
            compute_score,
            weights={"iou": 1.0},
            shuffle_consistency={"weight": 0.5, "order": "reversed"},
        )

        async def run():
            return await NaiveRewardManager(config, model, score).run_single(data)

        return asyncio.run(run())

    moved, stayed = reward("3.5 to 5"), reward("1.0 to 2.5")
    assert (moved["reward_score"], stayed["reward_score"]) == (1.5, 1.0)
    assert moved["reward_extra_info"]["shuffle_consistency"] == 1.0
    assert moved["reward_extra_info"]["acc"] == 1.0
