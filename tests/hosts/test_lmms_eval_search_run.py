"""Real lmms-eval runs of the search tasks with a tiny random model."""

import json
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval")

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples

pytestmark = pytest.mark.slow
TASK = "temporal_search_loop_haystack_ego4d"
SMALL = (
    "fps=1,max_frames=4,min_pixels=3136,max_pixels=3136,frame_min_pixels=3136,frame_max_pixels=3136"
)
LIMITS = "turns=2,tokens_per_turn=16"


@pytest.fixture
def haystack(tmp_path, clock_video):
    """A data root with three questions about one short video."""
    root = tmp_path / "data"
    videos = root / "haystack_ego4d/videos"
    videos.mkdir(parents=True)
    (videos / "v0.mp4").write_bytes(Path(clock_video).read_bytes())
    rows = [
        {
            "video_id": "v0", "question": f"Which colour is number {number}?",
            "options": {"A": "red", "B": "blue", "C": None}, "answer": "AB"[number % 2],
            "frame_indexes_video": [10 * number, 45], "frame_indexes_vclip": [0],
            "video_metadata": {"frame_rate": 10.0, "video_duration": 8.0},
        }
        for number in range(3)
    ]  # fmt: skip
    path = root / "haystack_ego4d/data/test_tiny-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), path)
    lines = [
        {
            "id": f"s{number}", "task": "choice", "video": "haystack_ego4d/videos/v0.mp4",
            "query": row["question"], "options": ["red", "blue"], "answer": row["answer"],
            "duration": 8.0,
        }
        for number, row in enumerate(rows)
    ]  # fmt: skip
    lines.append({**lines[0], "id": "event", "task": "grounding", "options": [], "spans": [[1, 2]]})
    (root / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def test_search_filter_and_scores_of_real_runs(lmms_eval, haystack, tiny_model, tmp_path):
    model = f"pretrained={tiny_model('qwen2_5_vl')},dtype=float32,{SMALL}"
    settings = {
        "TEMPORAL_PLUGIN_DATA": str(haystack),
        "TEMPORAL_PLUGIN_CURATE_DATA": str(haystack / "train.jsonl"),
    }
    common = ("--model", "temporal_search", "--device", "cpu", "--batch_size", "4")
    arguments = f"{model},method=uniform,completeness=true,{LIMITS}"
    text, out = lmms_eval(*common, "--model_args", arguments, "--log_samples",
                          "--tasks", f"{TASK},curate_search", **settings)  # fmt: skip
    found = read_results(out, task=TASK)
    assert found["questions"] == 3, text[-3000:]
    assert {"accuracy", "completeness", "searched", "temporal_f1", "visual_f1"} <= set(found)
    rows = read_samples(out, task=TASK)
    assert len(rows) == 3 and not any(row["request_failed"] for row in rows)
    for row in rows:
        assert set(row["scores"]) >= {"accuracy", "completeness", "searched", "temporal_f1"}
        (only,) = row["tries"]
        assert only["turns"][0]["role"] == "assistant" and only["counters"]["turns"] >= 1
    tries = read_samples(out, task="curate_search")
    assert [len(row["tries"]) for row in tries] == [4] * 4
    assert {row["prompt"] for row in tries} == {"search_brief_choice", "search_brief"}

    arguments = f"{model},search=uniform,uniform_frames=4,preview=false,{LIMITS}"
    lmms_eval(*common, "--model_args", arguments, "--tasks", "curate_uniform", "--log_samples",
              **settings)  # fmt: skip
    data, kept = str(haystack / "train.jsonl"), str(tmp_path / "kept.jsonl")
    command = ["curate", "search-filter", data, "--uniform", str(out), "--out", kept, "--json"]
    report = json.loads(CliRunner().invoke(app, command).output)
    assert report["kept"] + sum(each["count"] for each in report["dropped"].values()) == 4
    assert report["not_asked"]["count"] == 0
    # a random model solves nothing: all that uniform frames leave, search leaves out
    both = CliRunner().invoke(app, [*command, "--search", str(out)])
    assert json.loads(both.output)["error"].startswith("no sample is left")


def test_a_model_that_does_not_search_is_refused(lmms_eval, haystack, tiny_model):
    text, out = lmms_eval(
        *("--model", "temporal_qwen_vl", "--model_args", f"pretrained={tiny_model('qwen2_5_vl')}"),
        *("--device", "cpu", "--tasks", TASK),
        TEMPORAL_PLUGIN_DATA=str(haystack),
    )
    assert "scores searches, and --model temporal_qwen_vl does not search" in text
    assert not list(out.rglob("*_results.json"))
