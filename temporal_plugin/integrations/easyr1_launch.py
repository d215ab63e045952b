"""EasyR1 with real times.

`python -m temporal_plugin.integrations.easyr1_launch config=x.yaml a.b=c`

The arguments are those of EasyR1's own `verl.trainer.main`, and further
- `temporal.*`: our settings, see `easyr1_settings.Settings` (a key of the config file too);
- `config` may be the name of one of our recipes (`timezero_charades`);
- `data.train_files` and `data.val_files` may name a data config (.yaml) or samples (.jsonl), of
  which the rows are written below the checkpoints;
- `worker.reward.reward_function` is ours where it is not set.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from temporal_plugin.integrations import easyr1_patches, easyr1_reward
from temporal_plugin.integrations.easyr1_rows import with_rows
from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.resources import resource_dir
from temporal_plugin.video.source import STORE_VARIABLE

HOOK = "temporal_plugin.integrations.easyr1_patches.install"
RECIPE_FILE = "easyr1.yaml"
FAMILIES = ("Qwen2_5_VLProcessor", "Qwen3VLProcessor")


def read_config(arguments: Sequence[str]) -> DictConfig:
    """The config file with the command line over it, as EasyR1 merges them, `temporal` included.

    Raises:
        FileNotFoundError: `config` is neither a file nor one of our recipes.
    """
    given = OmegaConf.from_cli(list(arguments))
    name = given.pop("config", None)
    merged = OmegaConf.load(config_file(name)) if name is not None else OmegaConf.create()
    merged = OmegaConf.merge(merged, given)
    assert isinstance(merged, DictConfig)  # a config file with a list at its top
    return merged


def config_file(name: str) -> Path:
    """The file at a path, or the recipe of that name.

    Raises:
        FileNotFoundError: there is neither; names the recipes.
    """
    recipes = resource_dir("recipes")
    for path in (Path(name), recipes / name / RECIPE_FILE):
        if path.is_file():
            return path
    known = sorted(file.parent.name for file in recipes.glob(f"*/{RECIPE_FILE}"))
    raise FileNotFoundError(f"config {name!r} is neither a file nor one of our recipes: {known}")


def split_config(config: DictConfig) -> tuple[DictConfig, Settings]:
    """EasyR1's own part of a config with our reward filled in, and our settings.

    Raises:
        ValueError: an unknown key or a wrong value below `temporal`.
    """
    own = config.copy()
    ours = own.pop("temporal", None)
    settings = Settings.from_mapping(OmegaConf.to_container(ours, resolve=True) if ours else None)
    if OmegaConf.select(own, "worker.reward.reward_function") is None:
        OmegaConf.update(own, "worker.reward.reward_function", easyr1_reward.reference())
    return own, settings


def patch_size_of(config: DictConfig) -> int:
    """Edge of the vision patches of the config's model, in pixels.

    Raises:
        ValueError: the model is not of a family whose times are known here.
    """
    from transformers import AutoProcessor

    model = OmegaConf.select(config, "worker.actor.model.model_path")
    if model is None:
        raise ValueError("worker.actor.model.model_path is not set: give the model to train")
    trust = OmegaConf.select(config, "worker.actor.model.trust_remote_code", default=True)
    processor = AutoProcessor.from_pretrained(model, trust_remote_code=trust)
    if type(processor).__name__ not in FAMILIES:
        raise ValueError(
            f"{model} has a {type(processor).__name__}; this launcher knows {FAMILIES}: "
            "start other models with EasyR1's own verl.trainer.main"
        )
    return processor.video_processor.patch_size


def environment(settings: Settings) -> dict[str, str]:
    """Environment variables of every process of the run; EasyR1 sets the rest in its workers."""
    return {
        **settings.to_environment(),
        # what EasyR1's main gives to a Ray that it starts itself
        "TOKENIZERS_PARALLELISM": "true",
        "NCCL_DEBUG": "WARN",
        "VLLM_LOGGING_LEVEL": "WARN",
        "TORCH_NCCL_AVOID_RECORD_STREAMS": "1",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False",
        "CUDA_DEVICE_MAX_CONNECTIONS": "1",
        "VLLM_ALLREDUCE_USE_SYMM_MEM": "0",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare the config, start Ray with our hook in every worker, and run EasyR1's own `main`."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    config, settings = split_config(read_config(sys.argv[1:] if arguments is None else arguments))
    store = settings.frame_store or os.environ.get(STORE_VARIABLE)  # for other machines too
    settings = replace(
        settings,
        patch_size=patch_size_of(config),
        frame_store=str(Path(store).absolute()) if store else None,
    )
    config = with_rows(config, settings)
    os.environ.update(settings.to_environment())
    easyr1_patches.install()
    import ray
    import verl.trainer.main as host

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        OmegaConf.save(config, file)
        sys.argv = [sys.argv[0], f"config={file}"]
        if not ray.is_initialized():
            # EasyR1 starts Ray only where there is none, so that the hook is in all its workers
            ray.init(runtime_env=runtime_env(environment(settings)))
        host.main()


def runtime_env(variables: Mapping[str, str]) -> dict[str, Any]:
    """Ray's description of a worker of the run."""
    return {"env_vars": dict(variables), "worker_process_setup_hook": HOOK}


if __name__ == "__main__":
    main()
