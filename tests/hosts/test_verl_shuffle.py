"""`data.temporal.shuffle_consistency` in verl's own agent loop, up to the engine and the queue."""

import asyncio
import json
from unittest.mock import patch

import numpy as np
import pytest

pytest.importorskip("verl")
pytest.importorskip("vllm")

from omegaconf import open_dict
from parity import SMALL, sample_of
from verl.trainer.ppo.v1 import agent_loop_tq

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

    with patch.object(agent_loop_tq, "tq", made.queue):
        asyncio.run(group())
    assert len(made.prompts) == 5


def test_it_is_off_by_default(tiny_model, video):
    made = rollout(tiny_model, None)
    made.run(sample_of(video, duration=6.0))
    assert len(made.prompts) == 1
    assert "changed_response" not in made.queue.fields[0]["extra_fields"]


def test_a_step_of_training_logs_it_and_weighs_by_task(verl, video, tiny_model, tmp_path):
    row = {"task": "grounding", "query": "it grows light", "spans": [[1.0, 3.5]], "duration": 6.0}
    choice = {**row, "task": "choice", "options": ["light", "dark"], "answer": "A", "spans": []}
    rows = [{**(choice if i % 2 else row), "id": f"v{i}", "video": str(video)} for i in range(4)]
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kwargs = "reward.custom_reward_function.reward_kwargs"
    status, output, metrics = verl(
        tmp_path / "run",
        f"data.train_files={data}",
        f"data.val_files={data}",
        f"actor_rollout_ref.model.path={tiny_model('qwen2_5_vl')}",
        "trainer.total_training_steps=1",
        "trainer.save_freq=-1",
        "trainer.test_freq=-1",
        "+data.temporal.shuffle_consistency=reversed",
        f"~{kwargs}.weights",
        f"+{kwargs}.weights={{grounding: {{iou: 1.0, length: {{weight: 0.1, max_chars: 500}}}}, "
        "choice: {choice: 1.0}}",
        f"+{kwargs}.shuffle_consistency={{weight: 0.2, order: reversed}}",
    )
    assert status == 0, output[-3000:]
    (step,) = [line["data"] for line in metrics if "group/zero_variance_share" in line["data"]]
    parts = {"iou", "length", "choice", "shuffle_consistency", "score", "parse_failure"}
    assert {f"reward/{part}/mean" for part in parts} <= set(step)
    assert step["reward/length/mean"] == 1.0  # over the grounding rows only
    assert not [name for name in step if "_applies" in name]
