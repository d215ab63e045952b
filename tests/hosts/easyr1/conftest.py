"""A real EasyR1 in processes of its own: its package is called verl too.

EASYR1_SRC names its checkout, EASYR1_PYTHON an interpreter with what docs/easyr1.md lists; tests
that need them are skipped by name without. A stub stands for vLLM, since nothing here generates;
EASYR1_VLLM_PYTHON may name an interpreter with the real one, which then reads the prompts.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
STUBS = Path(__file__).parent / "stubs"
TOKENS = ("image_token", "video_token", "vision_start_token", "vision_end_token")


class EasyR1:
    """Starts programs beside EasyR1."""

    def __init__(self, source: Path, python: str, home: Path) -> None:
        self.source, self.python, self.home = source, python, home

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        python: str | None = None,
        beside: tuple[Path, ...] | None = None,
        **environment: str,
    ) -> str:
        """Output of `python arguments`; an error with it where that fails.

        Args:
            folder: where to start it.
            python: another interpreter than EASYR1_PYTHON.
            beside: what it can import beside our package; EasyR1 and the stub of vLLM if None.
        """
        beside = (self.source, STUBS) if beside is None else beside
        path = os.pathsep.join(map(str, (ROOT, *beside)))
        found = subprocess.run(
            [python or self.python, *arguments],
            cwd=folder or self.home,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "HF_HOME": str(self.home / "hf"),
                "HF_HUB_OFFLINE": "1",
                "CUDA_VISIBLE_DEVICES": "",
                "RAY_USAGE_STATS_ENABLED": "0",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
            check=False,
        )
        if found.returncode:
            raise AssertionError(f"exit status {found.returncode}\n{found.stdout[-6000:]}")
        return found.stdout

    def program(self, name: str, *arguments: str, **settings) -> str:
        """Output of one of the programs beside this file."""
        return self.run(str(Path(__file__).parent / "programs" / name), *arguments, **settings)


@pytest.fixture(scope="session")
def easyr1(tmp_path_factory) -> EasyR1:
    source, python = os.environ.get("EASYR1_SRC"), os.environ.get("EASYR1_PYTHON")
    if not source or not python:
        pytest.skip("set EASYR1_SRC (a checkout of EasyR1) and EASYR1_PYTHON (see docs/easyr1.md)")
    return EasyR1(Path(source), python, tmp_path_factory.mktemp("easyr1"))


@pytest.fixture(scope="session")
def old_model(tiny_model, tmp_path_factory):
    """old_model(family): the tiny checkpoint as transformers 4.57 reads it."""
    folders = {}

    def build(family: str) -> Path:
        if family not in folders:
            folders[family] = tmp_path_factory.mktemp("old") / family
            convert(tiny_model(family), folders[family])
        return folders[family]

    return build


def convert(new: Path, old: Path) -> None:
    """transformers 5 writes processors into one file and names classes that 4 does not have."""
    shutil.copytree(new, old)
    tokenizer = json.loads((new / "tokenizer_config.json").read_text())
    for name in ("backend", "extra_special_tokens"):
        tokenizer.pop(name, None)
    tokenizer["tokenizer_class"] = "Qwen2TokenizerFast"
    tokenizer["extra_special_tokens"] = {name: tokenizer.pop(name) for name in TOKENS}
    (old / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    config = json.loads((new / "config.json").read_text())
    text = config["text_config"]
    rotary = text.pop("rope_parameters")
    text |= {"rope_theta": rotary.pop("rope_theta"), "rope_scaling": rotary}
    if config["model_type"] == "qwen2_5_vl":  # whose text settings lie flat in released checkpoints
        config = {**config.pop("text_config"), **config}
    (old / "config.json").write_text(json.dumps(config))
    settings = json.loads((new / "processor_config.json").read_text())
    for part, file in (
        ("image_processor", "preprocessor_config.json"),
        ("video_processor", "video_preprocessor_config.json"),
    ):
        values = {**settings[part], "processor_class": settings["processor_class"]}
        (old / file).write_text(json.dumps(values))
    (old / "processor_config.json").unlink()


@pytest.fixture(scope="session")
def noise(tmp_path_factory, write_video):
    """noise(name, seconds, fps): a video of noise, in which every frame differs from all others."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)

    def write(name: str, seconds: float, fps: int = 10, edge: int = 64) -> Path:
        frames = rng.integers(0, 255, (round(seconds * fps), edge, edge, 3), dtype=np.uint8)
        return write_video(folder / name, frames, fps)

    return write
