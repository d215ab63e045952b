"""Every recipe composes for every machine, and names only what exists."""

import pytest

pytest.importorskip("verl")

from omegaconf import OmegaConf
from recipe_names import FOLDERS, GRPO, MACHINES, METHODS, NAMES, SFT

from temporal_plugin import prompts, rewards
from temporal_plugin.annotations.config_entries import read_data_config
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.resources import located
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.sizes import pixel_limits

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests


def tokens(sampling: dict, patch_size: int, stamp: int) -> int:
    """Tokens of the longest video that a recipe shows: patches, and a time before every step."""
    sampling = Sampling.from_mapping(sampling)
    frames = sampling.max_frames
    area = (2 * patch_size) ** 2
    per_step = pixel_limits(frames, sampling, patch_size)[1] // area
    return round(frames / 2 * (per_step + stamp))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", GRPO)
def test_a_grpo_recipe_is_a_whole_config(name, machine):
    from verl.utils.config import omega_conf_to_dataclass

    config = compose(name, [f"machine={machine}"])
    assert not OmegaConf.missing_keys(config.actor_rollout_ref.model)
    for part in (config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout):
        omega_conf_to_dataclass(part)  # verl's own check of keys and values
    weights = config.reward.custom_reward_function.reward_kwargs.weights
    for reward in weights:
        rewards.resolve(reward)
    contract = prompts.load(config.data.temporal.prompt).contract
    assert "format" not in weights or contract != "free"
    assert config.actor_rollout_ref.actor.ppo_mini_batch_size == config.data.train_batch_size
    most = config.data.max_prompt_length + config.data.max_response_length
    assert config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu >= most


@pytest.mark.parametrize("name", GRPO)
def test_the_longest_video_of_either_family_fits_the_prompt(name):
    data = compose(name).data
    sampling = OmegaConf.to_container(data.temporal.sampling)
    if "charades" in name:
        sampling["max_frames"] = 390  # its longest video lasts 194 s
    for patch_size, stamp in ((14, 0), (16, 12)):
        assert tokens(sampling, patch_size, stamp) + 200 < data.max_prompt_length, patch_size


@pytest.mark.parametrize("training", ["full", "lora"])
@pytest.mark.parametrize("name", SFT)
def test_an_sft_recipe_is_a_whole_config(name, training):
    config = compose(name, [f"training={training}"])
    prompts.load(config.data.temporal.prompt)
    assert (config.model.lora_rank > 0) == (training == "lora")
    grpo = compose(name.removesuffix("_sft"))
    assert config.data.train_files == grpo.data.train_files
    assert config.data.temporal.sampling == grpo.data.temporal.sampling


@pytest.mark.parametrize("name", METHODS)
def test_the_data_of_a_recipe_lie_below_the_data_root(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    data = compose(name).data
    for file in filter(None, (data.train_files, data.val_files)):
        for entry in read_data_config(located(file)):
            assert entry.json_path.is_relative_to(tmp_path)
            if entry.format != "jsonl":  # our own rows name their videos themselves
                assert entry.data_folder.is_relative_to(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_tells_the_command(name):
    folder = next(folder for folder in FOLDERS if (folder / f"{name}.yaml").is_file())
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"--config-name {name}" in text
