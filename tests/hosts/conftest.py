"""Tiny clips, a tiny random model and the means to start real hosts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# tiny models need no GPU; verl must be told before anything imports it
os.environ.setdefault("VERL_PLATFORM", "cpu")
#: until a host is taken for hung; give more where others use the machine too
HOST_SECONDS = float(os.environ.get("TEMPORAL_PLUGIN_TEST_SECONDS", "900"))


@pytest.fixture(scope="session")
def sampling_settings() -> dict:
    """Few small frames, as arguments of a model class."""
    return {"fps": 1.0, "max_frames": 8, "min_pixels": 56 * 56, "max_pixels": 56 * 56}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """tiny_model("qwen2_5_vl" | "qwen3_vl"): the folder of a random checkpoint."""
    folders = {}

    def build(family: str) -> Path:
        if family not in folders:
            from temporal_plugin.demo.tiny_model import build as write

            folder = tmp_path_factory.mktemp("model") / family
            texts = ["the red square moves", "<answer>1.0 to 2.5</answer>", "0123456789"]
            write(family, folder, 0, texts)
            folders[family] = folder
        return folders[family]

    return build


@pytest.fixture(scope="session")
def data_root(tmp_path_factory, write_video):
    """A data root with a Charades-STA file and the demo's test split, five questions in each.

    The first two videos have two questions each, the third has one.
    """
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    charades, rows = {}, []
    for number, questions in enumerate((2, 2, 1)):
        name = f"V{number}"
        frames = rng.integers(0, 255, size=(60, 64, 64, 3), dtype=np.uint8)
        for folder in ("charades_sta/videos", "demo/videos"):
            write_video(root / folder / f"{name}.mp4", frames)
        spans = [[1.0, 3.5], [2.0, 5.0]][:questions]
        queries = ["the red square moves", "a {blue} circle \u2028 grows"][:questions]
        charades[name] = {"duration": 6.0, "timestamps": spans, "sentences": queries}
        rows += [
            {
                "id": f"demo_{name}_{index}",
                "task": "grounding",
                "video": f"videos/{name}.mp4",
                "query": query,
                "spans": [span],
                "duration": 6.0,
            }
            for index, (query, span) in enumerate(zip(queries, spans, strict=True))
        ]
    (root / "charades_sta/charades_sta_test.json").write_text(json.dumps(charades))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (root / "demo/test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def start_host(module: str, *arguments: str, folder: Path, **environment: str):
    """Run `python -m module arguments` in `folder`, offline; its output as one."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HOST_SECONDS,
        check=False,
    )


@pytest.fixture
def host():
    """host(module, *arguments, folder=..., **environment): `start_host`."""
    return start_host


@pytest.fixture
def lmms_eval(tmp_path):
    """lmms_eval(*arguments, **environment) -> (output text, results folder), a real run."""

    def run(*arguments: str, **environment: str) -> tuple[str, Path]:
        out = tmp_path / "results"
        settings = {
            "HF_HOME": str(tmp_path / "hf"),
            "CUDA_VISIBLE_DEVICES": "",
            "FORCE_QWENVL_VIDEO_READER": "decord",
            **environment,
        }
        found = start_host(
            "lmms_eval", *arguments, "--output_path", str(out), folder=tmp_path, **settings
        )
        return found.stdout, out

    return run


def _verl_command(folder: Path, *overrides: str) -> tuple[list[str], dict[str, str]]:
    few = ["data.train_batch_size=4", "actor_rollout_ref.actor.ppo_mini_batch_size=4",
           "actor_rollout_ref.rollout.n=2", "trainer.val_before_train=false",
           f"trainer.default_local_dir={folder / 'checkpoints'}"]  # fmt: skip
    arguments = ["verl.trainer.main_ppo", "--config-name", "tiny_cpu", *few, *overrides]
    log = folder / "metrics.jsonl"
    return arguments, {"VERL_PLATFORM": "cpu", "VERL_FILE_LOGGER_PATH": str(log)}


@pytest.fixture(scope="session")
def host_seconds() -> float:
    """How long a host may take."""
    return HOST_SECONDS


@pytest.fixture
def verl_command():
    """verl_command(run folder, *overrides) -> (module and arguments, environment) of a run."""
    return _verl_command


@pytest.fixture
def verl():
    """verl(run folder, *overrides, **environment) -> (status, output, metrics of every step)."""

    def run(folder: Path, *overrides: str, **variables: str) -> tuple[int, str, list[dict]]:
        folder.mkdir(exist_ok=True)
        log = folder / "metrics.jsonl"
        log.unlink(missing_ok=True)
        arguments, environment = _verl_command(folder, *overrides)
        found = start_host(*arguments, folder=folder, **environment, **variables)
        lines = log.read_text().splitlines() if log.exists() else []
        return found.returncode, found.stdout, [json.loads(line) for line in lines]

    return run
