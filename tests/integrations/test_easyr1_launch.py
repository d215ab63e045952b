"""The launcher's configs and rows, and the guard of its patches, without EasyR1."""

import json
import sys
import types

import pytest
from omegaconf import OmegaConf

from temporal_plugin.annotations import read
from temporal_plugin.integrations import easyr1_guard, easyr1_launch, easyr1_patches, easyr1_reward
from temporal_plugin.integrations.easyr1_rows import with_rows
from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.video.errors import VideoError

SAMPLE = {
    "id": "1", "task": "grounding", "video": "a.mp4", "query": "q", "spans": [[1.0, 2.0]],
    "duration": 8.0,
}  # fmt: skip


@pytest.mark.parametrize("name", ["timezero_charades", "time_r1_timerft", "temporal_r1_charades"])
def test_recipes_hold_what_the_launcher_needs(name):
    config, settings = easyr1_launch.split_config(
        easyr1_launch.read_config([f"config={name}", "temporal.on_bad_video=fail"])
    )
    assert "temporal" not in config
    assert settings.on_bad_video == "fail" and settings.sampling["max_frames"] == 768
    reward = config.worker.reward
    assert reward.reward_function == easyr1_reward.reference()
    row = {"response": "", "response_length": 0}
    truth = json.dumps({**SAMPLE, "contract": "answer"} | {"source": "s"})
    fields = ("id", "task", "spans", "duration", "query", "video", "contract", "source")
    truth = json.dumps({key: json.loads(truth)[key] for key in fields})
    found = easyr1_reward.compute_score(
        [{**row, "ground_truth": truth}], **OmegaConf.to_container(reward.reward_function_kwargs)
    )
    assert found[0]["overall"] == 0.0


def test_a_reward_of_the_users_own_stays():
    config, _ = easyr1_launch.split_config(
        OmegaConf.create({"worker": {"reward": {"reward_function": "mine.py:main"}}})
    )
    assert config.worker.reward.reward_function == "mine.py:main"


def test_a_config_that_is_nowhere():
    with pytest.raises(FileNotFoundError, match=r"our recipes: \['temporal_r1_charades', "):
        easyr1_launch.config_file("timezro")


def test_a_config_file_of_the_users_own(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data: {video_fps: 1.0}\ntemporal: {prompt: answer}\n")
    config = easyr1_launch.read_config([f"config={file}", "data.seed=3"])
    assert OmegaConf.to_container(config) == {
        "data": {"video_fps": 1.0, "seed": 3}, "temporal": {"prompt": "answer"},
    }  # fmt: skip


def test_samples_become_rows(tmp_path, clock_video):
    samples, rows = tmp_path / "samples.jsonl", tmp_path / "rows.jsonl"
    sample = {**SAMPLE, "video": str(clock_video), "clip": [1.0, 7.0], "duration": 6.0}
    samples.write_text(json.dumps(sample) + "\n")
    rows.write_text(json.dumps({"problem": "<video>q", "answer": "", "videos": ["a"]}) + "\n")
    config = OmegaConf.create(
        {
            "data": {"train_files": str(samples), "val_files": str(rows), "prompt_key": "x"},
            "trainer": {"save_checkpoint_path": str(tmp_path / "run")},
        }
    )
    found = with_rows(config, Settings(prompt="answer"))
    assert found.data.val_files == str(rows), "EasyR1's own rows are left alone"
    assert (found.data.prompt_key, found.data.answer_key) == ("problem", "answer")
    (back,) = read("verl", found.data.train_files)
    assert (back.clip.start_seconds, back.clip.end_seconds) == (1.0, 7.0)
    assert found.data.train_files.startswith(str(tmp_path / "run"))


def test_bad_videos_are_listed_before_anything_starts(tmp_path, clock_video):
    samples = tmp_path / "samples.jsonl"
    rows = [{**SAMPLE, "id": str(i), "video": v} for i, v in enumerate((str(clock_video), "b.mp4"))]
    samples.write_text("\n".join(map(json.dumps, rows)) + "\n")
    data = {"train_files": str(samples), "val_files": str(samples)}
    config = OmegaConf.create(
        {"data": data, "trainer": {"save_checkpoint_path": str(tmp_path / "run")}}
    )
    with pytest.raises(VideoError, match=r"1 missing or unreadable videos:\n  .*b\.mp4: "):
        with_rows(config, Settings(prompt="answer"))
    found = with_rows(config, Settings(prompt="answer", on_bad_video="skip"))
    assert [sample.id for sample in read("verl", found.data.train_files)] == ["0"]


@pytest.mark.parametrize("name", ["recipe:nothing/train.yaml", "recipe:../pyproject.toml"])
def test_a_file_that_no_recipe_has(name):
    with pytest.raises(FileNotFoundError, match="no file of the recipes; there are"):
        with_rows(OmegaConf.create({"data": {"train_files": name}}), Settings())


def test_every_worker_gets_the_settings_and_the_hook():
    found = easyr1_launch.runtime_env(easyr1_launch.environment(Settings(prompt="answer")))
    module, _, name = found["worker_process_setup_hook"].rpartition(".")
    assert getattr(sys.modules[module], name) is easyr1_patches.install
    assert json.loads(found["env_vars"]["TEMPORAL_PLUGIN_EASYR1"])["prompt"] == "answer"
    assert all(isinstance(value, str) for value in found["env_vars"].values())


def test_a_changed_function_is_refused():
    def process_video(video):
        return video

    known = easyr1_guard.fingerprint(process_video)
    assert easyr1_guard.checked(process_video, "process_video", known) is process_video
    with pytest.raises(easyr1_guard.EasyR1ChangedError, match=r"process_video .* commit b44b311"):
        easyr1_guard.checked(process_video, "process_video", "0" * 16)


def test_patches_wait_for_their_modules_and_are_applied_once(monkeypatch):
    applied = []
    module = types.ModuleType("an_easyr1_module")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def patch(found):
        if easyr1_patches._once(found, "one"):
            applied.append(found)

    table = {"one": (module.__name__, patch), "two": ("not_there", patch)}
    monkeypatch.setattr(easyr1_patches, "PATCHES", table)
    easyr1_patches.install(without=("two",))
    easyr1_patches.install(without=("one", "two"))
    easyr1_patches.install(without=("two",))
    assert applied == [module]
