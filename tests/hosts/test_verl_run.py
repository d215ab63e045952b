"""Real GRPO on unmodified verl: two steps, a resume, and the real Charades clip."""

import json

import numpy as np
import pytest

pytest.importorskip("verl")

from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples

pytestmark = pytest.mark.slow
ROW = {"task": "grounding", "query": "the red square moves", "spans": [[1.0, 3.5]], "duration": 6.0}


@pytest.fixture(scope="module")
def clips(tmp_path_factory, write_video):
    """A data config of three good clips, one that breaks off in the middle and a missing one."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(4):
        video = folder / f"videos/v{number}.mp4"
        write_video(video, rng.integers(0, 255, size=(60, 64, 64, 3), dtype=np.uint8))
        rows.append({**ROW, "id": f"v{number}", "video": video.name})
    with video.open("r+b") as file:  # it opens, its last frames are missing
        file.truncate(video.stat().st_size // 3)
    rows.append({**ROW, "id": "gone", "video": "gone.mp4"})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = folder / "data.yaml"
    config.write_text("datasets:\n  - {json_path: train.jsonl, data_folder: videos}\n")
    return config


def steps(metrics: list[dict]) -> list[int]:
    return [line["step"] for line in metrics if "group/zero_variance_share" in line["data"]]


def test_two_steps_then_resume(verl, clips, tiny_model, tmp_path):
    run = [f"data.train_files={clips}", f"data.val_files={clips}",
           f"actor_rollout_ref.model.path={tiny_model('qwen2_5_vl')}"]  # fmt: skip
    status, output, metrics = verl(tmp_path / "run", *run, "trainer.total_training_steps=2")
    assert status == 0, output[-3000:]
    assert steps(metrics) == [1, 2]
    assert "1 missing or unreadable videos" in output and "gone.mp4" in output
    for data in (line["data"] for line in metrics if line["step"] in steps(metrics)):
        assert data["training/rollout_probs_diff_mean"] < 2e-3
        assert data["reward/video_failure/mean"] == 0.25, "the clip that breaks off"
        assert {"reward/iou/mean", "reward/format/mean", "reward/score/std"} <= set(data)
        assert 0 <= data["group/zero_variance_share"] <= 1
    checkpoint = tmp_path / "run/checkpoints/global_step_2/actor/huggingface"
    assert (checkpoint / "model.safetensors").is_file()

    status, output, metrics = verl(tmp_path / "run", *run, "trainer.total_training_steps=3")
    assert status == 0, output[-3000:]
    assert steps(metrics) == [3], "a resumed run starts after its checkpoint"


def test_a_missing_video_stops_the_run_before_a_model_loads_where_asked(
    verl, clips, tiny_model, tmp_path
):
    status, output, metrics = verl(
        tmp_path / "run",
        f"data.train_files={clips}",
        f"data.val_files={clips}",
        f"actor_rollout_ref.model.path={tiny_model('qwen2_5_vl')}",
        "data.temporal.on_bad_video=fail",
        "trainer.total_training_steps=1",
    )
    assert status != 0 and not steps(metrics)
    assert "gone.mp4" in output and "data.temporal.on_bad_video=skip" in output


@pytest.fixture(scope="module")
def charades_root(shared, tmp_path_factory):
    """A data root that holds the real Charades-STA test video OHOFG and its six sentences."""
    video = shared / "data/videos/charades_OHOFG.mp4"
    truth = shared / "data/annotations/charades_sta_test.json"
    if not (video.is_file() and truth.is_file()):
        pytest.skip("the real Charades clip is not there")
    root = tmp_path_factory.mktemp("charades")
    (root / "charades_sta/videos").mkdir(parents=True)
    (root / "charades_sta/videos/OHOFG.mp4").symlink_to(video)
    rows = {"OHOFG": json.loads(truth.read_text())["OHOFG"]}
    (root / "charades_sta/charades_sta_test.json").write_text(json.dumps(rows))
    (root / "charades.yaml").write_text(
        "datasets:\n  - json_path: charades_sta/charades_sta_test.json\n"
        "    data_folder: charades_sta/videos\n    format: charades_sta\n"
    )
    return root


def test_real_charades_clip_trains_and_evaluates(
    verl, charades_root, tiny_model, lmms_eval, tmp_path
):
    config = charades_root / "charades.yaml"
    status, output, metrics = verl(
        tmp_path / "run",
        f"data.train_files={config}",
        f"data.val_files={config}",
        f"actor_rollout_ref.model.path={tiny_model('qwen2_5_vl')}",
        "trainer.total_training_steps=2",
    )
    assert status == 0, output[-3000:]
    assert steps(metrics) == [1, 2]
    assert all(line["data"].get("reward/video_failure/mean", 0) == 0 for line in metrics), (
        "the real clip must decode"
    )
    trained = tmp_path / "run/checkpoints/global_step_2/actor/huggingface"
    text, out = lmms_eval(
        "--model", "temporal_qwen_vl", "--model_args",
        f"pretrained={trained},device=cpu,max_frames=16,min_pixels=3136,max_pixels=4096",
        "--tasks", "temporal_grounding_charades", "--batch_size", "6", "--log_samples",
        TEMPORAL_PLUGIN_DATA=str(charades_root),
    )  # fmt: skip
    results = read_results(out)
    assert results["questions"] == 6, text[-3000:]
    assert results["request_failure"] == 0
    assert {row["video"] for row in read_samples(out)} == {"OHOFG.mp4"}
