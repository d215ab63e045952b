"""The launcher in front of the real EasyR1: configs, data, bad videos and two steps of `fit()`."""

import json
import re

import numpy as np
import pytest

from temporal_plugin.integrations import easyr1_reward
from temporal_plugin.resources import resource_dir

pytestmark = pytest.mark.slow
RECIPES = sorted(path.parent.name for path in resource_dir("recipes").glob("*/easyr1.yaml"))


OVERRIDES = ["worker.rollout.n=4", "temporal.sampling.fps=1.5"]
MISTAKES = {"temporal.promt=answer": r"unknown temporal setting \['promt'\]",
            "worker.rolout.n=4": "Key 'rolout' not in"}  # fmt: skip


@pytest.fixture(scope="module")
def parsed(easyr1, tmp_path_factory):
    """What EasyR1's parser says of each recipe with OVERRIDES, and of each mistake, by its name."""
    folder = tmp_path_factory.mktemp("parsed")
    asked = {name: [f"config={name}", *OVERRIDES] for name in RECIPES}
    asked |= {mistake: [f"config={RECIPES[0]}", mistake] for mistake in MISTAKES}
    request, out = folder / "request.json", folder / "out.json"
    request.write_text(json.dumps(list(asked.values())))
    easyr1.program("parse.py", str(request), str(out))
    return dict(zip(asked, json.loads(out.read_text()), strict=True))


def test_three_systems():
    assert RECIPES == ["temporal_r1_charades", "time_r1_timerft", "timezero_charades"]


@pytest.mark.parametrize("name", RECIPES)
def test_easyr1_accepts_the_recipe(parsed, name):
    config, temporal = parsed[name]["config"], parsed[name]["temporal"]
    actor, rollout = config["worker"]["actor"], config["worker"]["rollout"]
    assert config["algorithm"]["adv_estimator"] == "grpo"
    assert (rollout["n"], temporal["sampling"]["fps"]) == (4, 1.5), "the command line wins"
    assert temporal["sampling"]["max_frames"] == 768, "and leaves the rest"
    assert (
        rollout["max_num_batched_tokens"] >= rollout["prompt_length"] + rollout["response_length"]
    )
    # what the workers check when they start, with the machine that the recipe names
    per_device = actor["global_batch_size"] * 8 // config["trainer"]["n_gpus_per_node"]
    assert per_device % actor["micro_batch_size_per_device_for_update"] == 0
    assert config["data"]["rollout_batch_size"] % config["trainer"]["n_gpus_per_node"] == 0
    assert config["data"]["rollout_batch_size"] % actor["global_batch_size"] == 0
    reward = config["worker"]["reward"]
    path = f"{reward['reward_function']}:{reward['reward_function_name']}"
    assert path == easyr1_reward.reference()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_typing_error_is_refused(parsed, mistake):
    assert re.search(MISTAKES[mistake], parsed[mistake]["error"])


@pytest.fixture(scope="module")
def data(noise, tmp_path_factory):
    """Samples of four videos, one of them cut to a clip, and two that cannot be used."""
    folder = tmp_path_factory.mktemp("data")
    videos = [noise(f"{name}.mp4", 4) for name in "abc"]
    cut = folder / "cut.mp4"  # opens, and breaks where it is decoded
    content = noise("whole.mp4", 8).read_bytes()
    cut.write_bytes(content[: len(content) // 3])
    videos += [cut, folder / "missing.mp4"]
    rows = [
        {
            "id": video.stem, "task": "grounding", "video": str(video), "duration": 4.0,
            "query": "the red square moves", "spans": [[1.0, 2.0]],
            "clip": [0.5, 3.5] if video.stem == "b" else None,
        }
        for video in videos
    ]  # fmt: skip
    lines = [json.dumps(row) for row in rows]
    (folder / "good.jsonl").write_text("\n".join(lines[:3]))
    (folder / "all.jsonl").write_text("\n".join(lines))
    return folder


def fit(easyr1, old_model, data, folder, rows, *arguments, family="qwen3_vl"):
    folder.mkdir(exist_ok=True)
    out = folder / "seen.json"
    text = easyr1.program(
        "fit.py", str(out), f"config={RECIPES[-1]}",
        f"data.train_files={data / rows}", f"data.val_files={data / 'good.jsonl'}",
        "temporal.prompt=answer",
        "temporal.sampling={fps: 2.0, min_pixels: 3136, max_pixels: 9216}",
        f"worker.actor.model.model_path={old_model(family)}",
        "data.rollout_batch_size=2", "data.val_batch_size=3", "data.max_response_length=64",
        "data.max_prompt_length=2048",
        "worker.actor.global_batch_size=2", "worker.rollout.n=4", "trainer.max_steps=2",
        "trainer.val_freq=1", "trainer.save_freq=-1", "trainer.n_gpus_per_node=1",
        f"trainer.save_checkpoint_path={folder / 'checkpoints'}", "trainer.logger=[file]",
        *arguments, folder=folder,
    )  # fmt: skip
    return json.loads(out.read_text()), text


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_two_steps(easyr1, old_model, data, tmp_path, family):
    store = tmp_path / "store"
    seen, text = fit(
        easyr1, old_model, data, tmp_path, "good.jsonl", f"temporal.frame_store={store}",
        family=family,
    )  # fmt: skip
    assert len(seen["advantages"]) == 2
    assert all(value > 0 for value in seen["advantages"]), "the reward tells answers apart"
    frames = {shape[0] for shape in seen["videos"]}
    assert frames == {8, 6}, "the whole file and the clip of three seconds at 2 frames a second"
    edge = {"qwen2_5_vl": 56, "qwen3_vl": 64}[family]
    assert {tuple(shape[2:]) for shape in seen["videos"]} == {(edge, edge)}
    assert [len(row) for row in seen["actor"]] == [8] * 4, "two steps, actor and reference"
    entries = list(store.rglob("*.safetensors"))
    assert len(entries) == 3, f"each video is decoded once: {entries}"
    assert "Reward name: temporal_plugin, reward type: batch" in text


def test_bad_videos_stop_the_run_before_a_model_loads(easyr1, old_model, data, tmp_path):
    with pytest.raises(
        AssertionError, match=r"VideoError: 1 missing or unreadable videos:"
    ) as error:
        fit(easyr1, old_model, data, tmp_path, "all.jsonl", "temporal.on_bad_video=fail")
    assert "missing.mp4" in str(error.value)
    assert not (tmp_path / "seen.json").exists()


def test_bad_videos_are_left_out_and_counted(easyr1, old_model, data, tmp_path):
    seen, text = fit(easyr1, old_model, data, tmp_path, "all.jsonl", "temporal.on_bad_video=skip")
    assert len(seen["advantages"]) == 2
    assert "missing.mp4" in text and "1 samples skipped" in text
    assert re.search(r"(dropped|video failure 1 of this process).*cut\.mp4", text)
    assert np.isfinite(seen["advantages"]).all()
