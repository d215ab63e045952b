"""Two steps of every recipe on a CPU with a tiny model, as its README says: `+experiment=tiny`."""

import json
import math

import pytest

pytest.importorskip("verl")

from recipe_names import GRPO, SFT
from safetensors.torch import load_file
from transformers import AutoProcessor

from temporal_plugin.demo import clips, tiny_model
from temporal_plugin.demo.settings import ClipSettings, DemoSettings
from temporal_plugin.integrations.verl_merge import merge

pytestmark = pytest.mark.slow
STEPS = [1, 2]
#: of a recipe whose samples need a difficulty, which the demo's have not; its README says so
MORE = {"videotg_r1": ["data.temporal.masking.hard_above=null"]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """What `temporal-plugin demo --step clips --step model --out tiny` writes, of fewer clips."""
    settings = DemoSettings(
        out=tmp_path_factory.mktemp("recipes") / "tiny", clips=ClipSettings(8, 2, 2)
    )
    clips.write(settings.clips_dir, settings.clips, settings.seed, progress=False)
    tiny_model.build_for_demo(settings)
    return settings.out


@pytest.fixture
def train(host, tiny, tmp_path):
    """train(module, *arguments): the metrics, by step, of a run that ended well in `tmp_path`."""

    def run(module, *arguments):
        log = tmp_path / "metrics.jsonl"
        found = host(
            module, *arguments, folder=tmp_path, VERL_PLATFORM="cpu",
            VERL_FILE_LOGGER_PATH=str(log), TEMPORAL_PLUGIN_TINY=str(tiny), OMP_NUM_THREADS="2",
        )  # fmt: skip
        assert found.returncode == 0, found.stdout[-4000:]
        steps = {}
        for line in log.read_text().splitlines():
            row = json.loads(line)
            steps.setdefault(row["step"], {}).update(row["data"])
        return steps

    return run


def sft(train, name, *overrides):
    launcher = ["--nproc_per_node=1", "--standalone", "-m", "verl.trainer.sft_trainer"]
    arguments = ["--config-name", name, "+experiment=tiny_sft", *overrides]
    return train("torch.distributed.run", *launcher, *arguments)


@pytest.mark.parametrize("name", GRPO)
def test_two_grpo_steps(name, train, tiny, tmp_path):
    saved = ["trainer.save_freq=2"] if name == "time_r1_timerft" else []
    arguments = ["--config-name", name, "+experiment=tiny", *saved, *MORE.get(name, [])]
    steps = train("verl.trainer.main_ppo", *arguments)
    assert sorted(steps) == STEPS
    for row in steps.values():
        assert math.isfinite(row["actor/pg_loss"])
        assert 0.0 <= row["reward/format/mean"] <= 1.0
        assert row["reward/video_failure/mean"] == 0.0
        assert row["training/rollout_probs_diff_mean"] < 1e-3
    if "actor/kl_loss" in steps[1]:  # the policy is still its own reference
        assert abs(steps[1]["actor/kl_loss"]) < 1e-6
    if name in MORE:
        assert [steps[step]["masking/fraction"] for step in STEPS] == [0.0, 1.0]
        assert [steps[step]["masking/masked_share"] for step in STEPS] == [1.0, 0.0]
    if saved:
        only_the_merger_of_the_tower_learned(tiny, tmp_path)


def only_the_merger_of_the_tower_learned(tiny, folder):
    before = load_file(tiny / "model/model.safetensors")
    (after,) = folder.glob("outputs/*/global_step_2/actor/huggingface/model.safetensors")
    after = load_file(after)
    moved = {name for name in before if not before[name].equal(after[name])}
    tower = {name for name in before if "visual." in name}
    mergers = {name for name in tower if ".merger." in name}
    assert tower - mergers and mergers
    assert not moved & (tower - mergers)
    assert moved & mergers
    assert moved - tower


@pytest.mark.parametrize("name", SFT)
def test_two_sft_steps(name, train):
    steps = sft(train, name)
    assert all(math.isfinite(steps[step]["train/loss"]) for step in STEPS)


def test_adapters_are_merged(train, tiny, tmp_path):
    sft(train, "timezero_charades_sft", "training=lora")
    (checkpoint,) = tmp_path.glob("outputs/*/global_step_2")
    assert merge(checkpoint, tmp_path / "merged")
    before = load_file(tiny / "model/model.safetensors")
    after = load_file(tmp_path / "merged/model.safetensors")
    assert after.keys() == before.keys()
    # verl's merger writes bfloat16, which rounds every weight
    moved = {name for name in before if not before[name].bfloat16().equal(after[name])}
    assert moved
    assert all(name.startswith("model.layers.") for name in moved)
    AutoProcessor.from_pretrained(tmp_path / "merged")
    with pytest.raises(FileExistsError, match="is there already; name a new folder"):
        merge(checkpoint, tmp_path / "merged")


def test_only_a_checkpoint_is_merged(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no fsdp_config\.json; name the"):
        merge(tmp_path, tmp_path / "out")
