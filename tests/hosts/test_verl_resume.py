"""SIGKILL in the middle of an epoch: the resumed run draws and earns what the unbroken one does."""

import json

import numpy as np
import pytest

pytest.importorskip("verl")

from killing import run_until

from temporal_plugin.integrations.verl_curriculum import STATE_FILE, STEPS_FILE, read_steps

pytestmark = pytest.mark.slow
STEPS, SAVED, KILLED_AFTER = 6, 2, 3
# a reward that the random tiny model earns some of, so that it learns and the draws depend on it
REWARD = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):
    share = sum(letter in "aeiou0123456789" for letter in solution_str) / max(1, len(solution_str))
    return {"score": share, "acc": share, "progress": extra_info["progress"], "video_failure": 0.0}
"""
CURRICULUM = "{order: success, newest_share: 0.7, solved_above: 0.6, hopeless_below: 0.05}"


@pytest.fixture(scope="module")
def overrides(tmp_path_factory, write_video, tiny_model):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(10):
        video = folder / f"v{number % 3}.mp4"
        if not video.exists():
            write_video(video, rng.integers(0, 255, size=(40, 64, 64, 3), dtype=np.uint8))
        row = {"task": "grounding", "spans": [[1.0, 3.5]], "duration": 4.0, "video": video.name}
        rows.append({**row, "id": f"s{number}", "query": f"the number {number} moves"})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "reward.py").write_text(REWARD)
    return [
        f"data.train_files={folder / 'train.jsonl'}", f"data.val_files={folder / 'train.jsonl'}",
        f"actor_rollout_ref.model.path={tiny_model('qwen2_5_vl')}",
        f"reward.custom_reward_function.path={folder / 'reward.py'}",
        "actor_rollout_ref.actor.optim.lr=1e-2",
        f"data.temporal.curriculum={CURRICULUM}", "data.temporal.rollout_seed=7",
        f"trainer.total_training_steps={STEPS}", f"trainer.save_freq={SAVED}",
        "trainer.test_freq=-1",
    ]  # fmt: skip


def drawn_and_earned(step):
    return [(sample["id"], sample["scores"]) for sample in step["samples"]]


def test_a_killed_run_resumes_exactly(verl, verl_command, host_seconds, overrides, tmp_path):
    status, output, metrics = verl(tmp_path / "unbroken", *overrides)
    assert status == 0, output[-3000:]
    unbroken = read_steps(tmp_path / "unbroken/checkpoints")
    assert list(unbroken) == list(range(1, STEPS + 1))

    (tmp_path / "broken").mkdir()
    command = verl_command(tmp_path / "broken", *overrides)
    checkpoints = tmp_path / "broken/checkpoints"

    def reached():  # a step after the checkpoint is done
        if not (checkpoints / STEPS_FILE).exists():
            return False
        return max(read_steps(checkpoints), default=0) >= KILLED_AFTER

    run_until(tmp_path / "broken", *command, reached=reached, seconds=host_seconds)
    assert (checkpoints / "latest_checkpointed_iteration.txt").read_text() == str(SAVED)
    assert (checkpoints / f"global_step_{SAVED}" / STATE_FILE).is_file()
    before = read_steps(checkpoints)
    status, output, resumed_metrics = verl(tmp_path / "broken", *overrides)
    assert status == 0, output[-3000:]
    logged = [line["step"] for line in resumed_metrics if "curriculum/epoch" in line["data"]]
    assert logged == list(range(SAVED + 1, STEPS + 1)), "it goes on after the checkpoint"
    resumed = read_steps(checkpoints)

    for step in range(1, STEPS + 1):
        assert drawn_and_earned(resumed[step]) == drawn_and_earned(unbroken[step]), step
    assert drawn_and_earned(before[KILLED_AFTER]) == drawn_and_earned(unbroken[KILLED_AFTER])
    earned = [score for step in unbroken.values() for s in step["samples"] for score in s["scores"]]
    assert len(set(earned)) > STEPS, "the rewards differ, or the comparison would say nothing"
    final = [folder / f"global_step_{STEPS}" / STATE_FILE for folder in (
        tmp_path / "unbroken/checkpoints", checkpoints)]  # fmt: skip
    assert final[0].read_text() == final[1].read_text()

    data = [line["data"] for line in metrics if "curriculum/epoch" in line["data"]]
    assert [round(row["curriculum/progress"] * STEPS) for row in data] == list(range(STEPS))
    # the reward function saw it, so the agent loop does
    assert [row["reward/progress/mean"] for row in data] == pytest.approx(
        [row["curriculum/progress"] for row in data]
    )
    assert data[-1]["curriculum/seen_share"] > 0.5
    assert any(row["curriculum/epoch"] > 1 for row in data)
