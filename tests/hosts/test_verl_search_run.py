"""Real GRPO with searches on unmodified verl: loss masks, log-probabilities, and faults.

Only what the random model writes is led (see scripted_rollout); rollout server, frame search,
agent loop, reward workers, queue and FSDP actor are the real ones.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from openai_server import Fault

pytest.importorskip("verl")

pytestmark = pytest.mark.slow
SIZE = "{min_pixels: 3136, max_pixels: 4096}"
REWARD = "reward.custom_reward_function.reward_kwargs"
FRAMES = f"{{method: uniform, replicas: 1, call_seconds: 300, sampling: {SIZE}}}"
THINK = "<think>*</think>"
ANSWER = THINK + "<answer>{}</answer>"
VERIFY = "*<answer>{}</answer>"


def call(query="red", **arguments) -> str:
    body = json.dumps({"name": "seek_video_frames", "arguments": {"query": query, **arguments}})
    return f"{THINK}<tool_call>{body}</tool_call>"


@pytest.fixture
def clips(tmp_path, write_video):
    """clips(rows) -> a Sample file; every row is a question about its own 6 s clip."""

    def write(rows: list[dict]) -> Path:
        rng = np.random.default_rng(0)
        for number, row in enumerate(rows):
            path = tmp_path / f"v{number}.mp4"
            write_video(path, rng.integers(0, 255, size=(60, 64, 64, 3), dtype=np.uint8))
            row |= {"id": f"q{number}", "video": str(path), "duration": 6.0}
        file = tmp_path / "train.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    return write


@pytest.fixture
def searching(verl, tiny_model, tmp_path, monkeypatch):
    """searching(family, data, turns by question, verify) -> (output, metrics, rows of arrays)."""

    def run(family, data, turns, verify, reward="{variant: code}"):
        out = tmp_path / "out"
        out.mkdir()
        here = str(Path(__file__).parent)
        script = {"turns": turns, "verify": [verify]}
        monkeypatch.setenv("SCRIPT", json.dumps(script))
        monkeypatch.setenv("SCRIPT_OUT", str(out))
        monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", "scripted_rollout")
        monkeypatch.setenv("PYTHONPATH", here, prepend=":")
        status, output, metrics = verl(
            tmp_path / "run",
            f"data.train_files={data}",
            f"data.val_files={data}",
            f"actor_rollout_ref.model.path={tiny_model(family)}",
            "data.temporal.prompt={choice: search_choice, open: search_text}",
            f"data.temporal.search={{frames: {FRAMES}}}",
            "data.max_prompt_length=1400",
            "data.max_response_length=1600",
            "actor_rollout_ref.rollout.max_model_len=3072",
            "actor_rollout_ref.rollout.top_p=1.0",
            "actor_rollout_ref.actor.optim.lr=0",
            "reward.custom_reward_function.path="
            "pkg://temporal_plugin.integrations.verl_search_reward",
            f"~{REWARD}",
            f"+{REWARD}={reward}",
            "trainer.total_training_steps=1",
        )
        assert status == 0, output[-5000:]
        rows = [dict(np.load(path)) for path in sorted(out.glob("*.npz"))]
        (data,) = [m["data"] for m in metrics if "group/zero_variance_share" in m["data"]]
        return output, data, rows

    return run


def turns_of(mask: np.ndarray) -> int:
    """How many runs of ones."""
    return int(((mask[1:] == 1) & (mask[:-1] == 0)).sum() + (mask[0] == 1))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_actor_sees_what_the_rollout_saw(clips, searching, family):
    choice = {"task": "choice", "options": ["a ball", "a car"], "answer": "B"}
    names = ["answers at once", "searches once", "searches in vain", "babbles"]
    data = clips([{**choice, "query": f"Who {name}?"} for name in names])
    turns = {
        "answers at once": [ANSWER.format("B")],
        "searches once": [call(num_frames=2), ANSWER.format("B")],
        "searches in vain": [
            call(start_time=3, num_frames=3),
            call(num_frames=99),
            call(end_time=3, num_frames=2),
            ANSWER.format("A"),
        ],
        "babbles": [THINK + "well", call(num_frames=4), ANSWER.format("(B)")],
    }
    _, metrics, rows = searching(family, data, turns, VERIFY.format("B"))
    assert len(rows) == 8
    counts, worst = [], 0.0
    for row in rows:
        mask = row["response_mask"]
        assert len(row["input_ids"]) == len(row["prompts"]) + len(mask)
        assert not row["rollout_log_probs"][mask == 0].any(), "nobody sampled these"
        written = mask == 1
        difference = np.abs(row["old_log_probs"] - row["rollout_log_probs"])[written]
        worst = max(worst, float(difference.max()))
        counts.append(turns_of(mask))
        assert (row["rollout_log_probs"][written] < 0).all()
    assert sorted(counts) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert worst < 2e-3, f"log-probabilities differ by {worst}"
    assert metrics["training/rollout_probs_diff_max"] < 2e-3
    # of four groups of two rollouts: what each of them did, averaged
    expected = {
        "searches": (0 + 1 + 2 + 1) / 4,
        "frames": (0 + 2 + 5 + 4) / 4,
        "failed_calls": 1 / 4,
        "malformed": 1 / 4,
        "retries": 1 / 4,
        "turns": (1 + 2 + 4 + 3) / 4,
        "answered": 1.0,
        "accuracy": 3 / 4,
        "completeness": 2 / 4,  # the first never searched, the third was wrong
        "format": 3 / 4,
    }
    for name, value in expected.items():
        assert metrics[f"reward/{name}/mean"] == pytest.approx(value), name


def test_faults(clips, searching, openai_server, tmp_path):
    """The judge fails half of the time, a search actor dies in mid-step, a video breaks off."""
    server = openai_server(lambda body, number: Fault(500) if number % 2 else "1")
    asked = {"task": "open", "answer": "a red car"}
    names = ["kills the search", "finds it broken", "asks a dead judge", "cannot look"]
    data = clips([{**asked, "query": f"Who {name}?"} for name in names])
    turns = {
        "kills the search": [call("die"), ANSWER.format("a car")],
        "finds it broken": [call("broken"), ANSWER.format("a red car")],
        "asks a dead judge": [call(), ANSWER.format("the car")],
        "cannot look": [ANSWER.format("a car that is red")],
    }
    judge = f"{{model: judge, base_url: '{server.url}', retries: 0, timeout_seconds: 20}}"
    output, metrics, rows = searching(
        "qwen2_5_vl",
        data,
        turns,
        VERIFY.format("nothing"),
        f"{{variant: code, judge: {judge}}}",
    )
    assert len(rows) == 8
    mean = {name: metrics[f"reward/{name}/mean"] for name in ("searches", "search_failures")}
    assert mean["search_failures"] == pytest.approx(1 / 4), "the broken video, both rollouts"
    assert mean["searches"] == pytest.approx(2 / 4), "the search was restarted"
    failures = metrics["reward/judge_failures/mean"]
    assert 0 < failures < metrics["reward/judge_asked/mean"]
    assert metrics["reward/completeness/mean"] <= metrics["reward/accuracy/mean"]
    assert (tmp_path / "out/died").exists()
    assert "an answer stays unjudged" in output
    assert "cut off (scripted)" in output
