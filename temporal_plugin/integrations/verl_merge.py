"""From a checkpoint of verl's trainers to a model folder that transformers, vLLM and verl load.

verl's own merger gathers the shards of all ranks. Where adapters (LoRA) were trained it leaves
them beside the base model, and the `huggingface` folder of such a checkpoint holds names that no
model class knows; here they are added into the weights.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from temporal_plugin import prompts

logger = logging.getLogger(__name__)
ADAPTER = "lora_adapter"  # the folder that verl's merger writes adapters to


class MergeFailed(RuntimeError):
    """verl's merger ended with an error; the message holds the end of its output."""


def merge(checkpoint: str | Path, out: str | Path) -> bool:
    """Write the model of a checkpoint to a new folder, its prompt record with it.

    Weights are bfloat16, as verl's merger writes them.

    Args:
        checkpoint: a `global_step_N` folder of SFT, or `global_step_N/actor` of GRPO.
        out: folder to write; must not exist.

    Returns:
        Whether adapters were merged.

    Raises:
        FileNotFoundError: `checkpoint` is no checkpoint of verl's FSDP trainers.
        FileExistsError: `out` is there already.
        MergeFailed: verl's merger failed.
    """
    checkpoint, out = _shards_of(Path(checkpoint)), Path(out).absolute()
    if out.exists():
        raise FileExistsError(f"{out} is there already; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        gathered, whole = Path(folder) / "gathered", Path(folder) / "whole"
        _gather(checkpoint, gathered)
        adapted = (gathered / ADAPTER).is_dir()
        if adapted:
            _add_adapter(gathered, whole)
        else:
            gathered.rename(whole)
        record = prompts.read_record(checkpoint)
        if record is not None:
            prompts.write_record(whole, record)
        whole.rename(out)  # whole or not at all
    return adapted


def _shards_of(checkpoint: Path) -> Path:
    """The folder that holds the shards."""
    for folder in (checkpoint, checkpoint / "actor"):
        if (folder / "fsdp_config.json").is_file():
            return folder
    raise FileNotFoundError(
        f"{checkpoint} holds no fsdp_config.json; name the `global_step_N` folder that verl's "
        "SFT or GRPO trainer wrote"
    )


def _gather(checkpoint: Path, out: Path) -> None:
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    found = subprocess.run(
        [*command, "--local_dir", str(checkpoint), "--target_dir", str(out)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if found.returncode or not (out / "config.json").is_file():
        raise MergeFailed(f"verl.model_merger failed on {checkpoint}:\n{found.stdout[-2000:]}")


def _add_adapter(gathered: Path, out: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    adapter = gathered / ADAPTER
    model = AutoModelForImageTextToText.from_pretrained(gathered, dtype="auto")
    dtype = next(model.parameters()).dtype
    # added in float32: a sum in bfloat16 would lose most of a small adapter
    merged = PeftModel.from_pretrained(model.to(torch.float32), adapter).merge_and_unload()
    merged.to(dtype).save_pretrained(out)
    weights = ("model.safetensors", "model-", "config.json", "pytorch_model")
    for file in gathered.iterdir():  # processor, tokenizer, chat template
        if file.is_file() and not file.name.startswith(weights):
            shutil.copy2(file, out / file.name)
