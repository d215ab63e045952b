"""A data root with tiny clips and a tiny random model, for the tests that run lmms-eval."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# tiny models need no GPU; verl must be told before anything imports it
os.environ.setdefault("VERL_PLATFORM", "cpu")


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


@pytest.fixture
def lmms_eval(tmp_path):
    """lmms_eval(*arguments, **environment) -> (output text, results folder), a real run."""

    def run(*arguments: str, **environment: str) -> tuple[str, Path]:
        out = tmp_path / "results"
        command = [sys.executable, "-m", "lmms_eval", *arguments, "--output_path", str(out)]
        settings = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path / "hf"),
            "CUDA_VISIBLE_DEVICES": "",
            "FORCE_QWENVL_VIDEO_READER": "decord",
            **environment,
        }
        found = subprocess.run(
            command,
            cwd=tmp_path,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return found.stdout, out

    return run
