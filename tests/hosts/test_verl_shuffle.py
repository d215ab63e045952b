"""`data.temporal.shuffle_consistency` in verl's own agent loop, up to the engine and the queue."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("verl")
pytest.importorskip("vllm")

from omegaconf import open_dict
from parity import SMALL, sample_of

from temporal_plugin.integrations.verl_view import Rollout, rollout_config

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

    from unittest.mock import patch

    from verl.trainer.ppo.v1 import agent_loop_tq

    with patch.object(agent_loop_tq, "tq", made.queue):
        asyncio.run(group())
    assert len(made.prompts) == 5


def test_it_is_off_by_default(tiny_model, video):
    made = rollout(tiny_model, None)
    made.run(sample_of(video, duration=6.0))
    assert len(made.prompts) == 1
    assert "changed_response" not in made.queue.fields[0]["extra_fields"]
