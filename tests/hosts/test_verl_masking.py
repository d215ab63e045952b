"""The masking curriculum in real runs: what rollout, log-prob pass and validation are shown."""

import json
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("verl")

from killing import run_until
from transformers import AutoProcessor

from temporal_plugin.spans import Span
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.masking import kept_steps, masked
from temporal_plugin.video.model_view import true_step_seconds
from temporal_plugin.video.sampling import Sampling

pytestmark = pytest.mark.slow
RECORDERS = Path(__file__).parent / "recorders"
STEPS, SAVED, KILLED_IN = 4, 2, 3
SECONDS, SPAN, ROLLOUTS = 8, (3.0, 4.0), 2
HARD = {"t1", "t2", "t3", "v0"}
SAMPLING = {"fps": 2.0, "min_frames": 4, "max_frames": 16, "min_pixels": 3136, "max_pixels": 4096}
PATCH_SIZE = {"qwen2_5_vl": 14, "qwen3_vl": 16}
TIMESTAMP = re.compile(r"<(\d+\.\d) seconds>")


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_video):
    """Four training samples, of which three are hard, and a hard one of validation."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = {"train": [], "validation": []}
    for name in ("t0", "t1", "t2", "t3", "v0"):
        frames = rng.integers(0, 255, size=(SECONDS * 10, 64, 64, 3), dtype=np.uint8)
        write_video(folder / f"{name}.mp4", frames)
        extra = {"difficulty": 0.9 if name in HARD else 0.4}
        row = {"id": name, "task": "grounding", "video": f"{name}.mp4", "query": "it moves",
               "spans": [SPAN], "duration": SECONDS, "extra": extra}  # fmt: skip
        rows["train" if name[0] == "t" else "validation"].append(row)
    for name, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


class Expected:
    """What a model of the family should be shown, without any code of the verl integration."""

    def __init__(self, data, model, family, mode):
        self.data, self.mode = data, mode
        self.processor, self.patch_size = AutoProcessor.from_pretrained(model), PATCH_SIZE[family]
        import shown_frames

        self.digests = shown_frames.digests

    def frames(self, id, fraction):
        path = self.data / f"{id}.mp4"
        whole = load_frames(path, Sampling.from_mapping(SAMPLING), patch_size=self.patch_size)
        if fraction is None:
            return whole
        keep = kept_steps(
            whole.pts_seconds, [Span(*SPAN)], show="curriculum", fraction=fraction, seed=f"5/{id}"
        )
        return masked(whole, keep, self.mode)

    def video(self, id, fraction=None):
        """A digest per step of the patches that transformers' own processor makes."""
        found = self.processor.video_processor(
            videos=[self.frames(id, fraction).pixels], do_resize=False, do_sample_frames=False,
            return_tensors="pt",
        )  # fmt: skip
        return self.digests(found["pixel_values_videos"], torch.as_tensor(found["video_grid_thw"]))[
            0
        ]

    def times(self, id, fraction):
        return true_step_seconds(self.frames(id, fraction).pts_seconds, None)


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """recorded(run folder, kind) -> records; the environment makes runs write them."""
    monkeypatch.syspath_prepend(str(RECORDERS))
    monkeypatch.setenv("SHOWN_FRAMES", str(tmp_path / "own"))
    import shown_frames

    def environment(folder):
        path = os.pathsep.join([str(RECORDERS), os.environ.get("PYTHONPATH", "")])
        return {"VERL_USE_EXTERNAL_MODULES": "shown_frames", "PYTHONPATH": path.rstrip(os.pathsep),
                "SHOWN_FRAMES": str(folder / "shown"), "OMP_NUM_THREADS": "1"}  # fmt: skip

    def read(folder, kind):
        return shown_frames.read(folder / "shown", kind)

    read.environment = environment
    return read


def overrides(data, model, masking, *more):
    return [
        f"data.train_files={data / 'train.jsonl'}", f"data.val_files={data / 'validation.jsonl'}",
        f"actor_rollout_ref.model.path={model}", f"actor_rollout_ref.rollout.n={ROLLOUTS}",
        "data.temporal.rollout_seed=7", "data.seed=5", f"data.temporal.masking={masking}",
        f"data.temporal.sampling={json.dumps(SAMPLING).replace(chr(34), '')}",
        f"trainer.total_training_steps={STEPS}", f"trainer.save_freq={SAVED}",
        f"trainer.test_freq={SAVED}", *more,
    ]  # fmt: skip


def as_key(video):
    return tuple(video)


def check(recorded, folder, expected, fractions):
    """Every step shows what it should, to the rollout and to the log-prob pass alike."""
    queue = recorded(folder, "queue")
    assert {row["step"] for row in queue} == set(fractions)
    for row in queue:
        fraction = fractions[row["step"]] if row["id"] in HARD else None
        assert row["video"] == expected.video(row["id"], fraction), (row["step"], row["id"])
    for step, fraction in fractions.items():
        own = {row["key"]: row for row in queue if row["step"] == step}
        assert Counter(row["id"] for row in own.values()) == dict.fromkeys(
            ("t0", "t1", "t2", "t3"), ROLLOUTS
        ), "all rollouts of every group"
        if fraction < 1:
            assert own and all(
                row["video"] != expected.video(row["id"])
                for row in own.values()
                if row["id"] in HARD
            )

    def shown(rows):
        return {(as_key(row["video"]), as_key(row["prompt"])) for row in rows}

    rollout = recorded(folder, "rollout")
    trained = [row for row in rollout if not row["greedy"]]
    assert shown(trained) == shown(queue), "pixels and tokens, rollout against log-prob"
    tower = {as_key(row["video"]) for row in recorded(folder, "tower")}
    assert tower == {as_key(row["video"]) for row in queue}, "the model of the log-prob pass"
    validated = [row for row in rollout if row["greedy"]]
    assert validated and all(row["video"] == expected.video("v0") for row in validated)
    return queue


def logged(metrics):
    return {
        line["step"]: (line["data"]["masking/fraction"], line["data"]["masking/masked_share"])
        for line in metrics
        if "masking/fraction" in line["data"]
    }


def test_dropped_steps_through_a_kill(
    verl, verl_command, host_seconds, data, tiny_model, recorded, tmp_path
):
    """Qwen3-VL: rollout and log-prob see the same, true times, and a resumed run goes on so."""
    model = tiny_model("qwen3_vl")
    masking = "{schedule: linear, full_at: 1.0}"
    settings, environment = overrides(data, model, masking), recorded.environment(tmp_path)
    arguments, variables = verl_command(tmp_path, *settings)

    def reached():
        return any(row["step"] == KILLED_IN for row in recorded(tmp_path, "queue"))

    run_until(tmp_path, arguments, variables | environment, reached=reached, seconds=host_seconds)
    latest = tmp_path / "checkpoints/latest_checkpointed_iteration.txt"
    assert latest.read_text() == str(SAVED)
    before = [row for row in recorded(tmp_path, "queue") if row["step"] == KILLED_IN]
    status, output, metrics = verl(tmp_path, *settings, **environment)
    assert status == 0, output[-3000:]

    fractions = {step: (step - 1) / STEPS for step in range(1, STEPS + 1)}
    expected = Expected(data, model, "qwen3_vl", "drop")
    queue = check(recorded, tmp_path, expected, fractions)
    again = [row for row in queue if row["step"] == KILLED_IN]
    assert len(again) > len(before) > 0, "the step was done twice"
    assert {(row["id"], *row["video"]) for row in again} >= {
        (row["id"], *row["video"]) for row in before
    }
    lengths = {step: {len(r["video"]) for r in queue if r["step"] == step and r["id"] in HARD}
               for step in fractions}  # fmt: skip
    assert lengths == {1: {2}, 2: {4}, 3: {5}, 4: {7}}, "of eight steps, two of them the truth"
    tokenizer = expected.processor.tokenizer
    for row in queue:
        fraction = fractions[row["step"]] if row["id"] in HARD else None
        times = [float(found) for found in TIMESTAMP.findall(tokenizer.decode(row["prompt"]))]
        assert times == expected.times(row["id"], fraction)
    assert logged(metrics) == {3: (0.5, 0.75), 4: (0.75, 0.75)}


def test_blank_steps_with_a_curriculum(verl, data, tiny_model, recorded, tmp_path):
    """Qwen2.5-VL: black steps in the places of hidden ones, so that nothing moves."""
    model = tiny_model("qwen2_5_vl")
    masking = "{schedule: step, steps: 2, full_at: 1.0, start: 0.25}"
    curriculum = "data.temporal.curriculum={order: easy_to_hard}"
    settings = overrides(data, model, masking, curriculum, "trainer.total_training_steps=2")
    status, output, metrics = verl(tmp_path, *settings, **recorded.environment(tmp_path))
    assert status == 0, output[-3000:]
    expected = Expected(data, model, "qwen2_5_vl", "blank")
    queue = check(recorded, tmp_path, expected, {1: 0.25, 2: 0.625})
    assert {len(row["video"]) for row in queue} == {SECONDS}
    assert logged(metrics) == {1: (0.25, 0.75), 2: (0.625, 0.75)}
