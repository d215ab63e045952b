"""verl's own SFT trainer, two steps on traces of searches with a tiny model."""

import json
import math

import pytest

pytest.importorskip("verl")

pytestmark = pytest.mark.slow
TURNS = [
    '<think>a</think><tool_call>{"name": "seek_video_frames", "arguments": '
    '{"query": "it", "num_frames": 2}}</tool_call>',
    "<think>b</think><answer>A</answer>",
]
SIZE = "{min_pixels: 3136, max_pixels: 3136}"


def test_two_steps_of_the_trainer(host, tiny_model, clock_video, tmp_path):
    messages = [{"role": "assistant", "content": text} for text in TURNS]
    messages.insert(1, {"role": "tool", "seconds": [1.0, 5.0]})
    rows = [
        {
            "id": f"t{number}", "task": "choice", "video": str(clock_video), "query": "which?",
            "options": ["red", "blue"], "answer": "A", "duration": 8.0,
            # one row without a picture among them: their inputs differ
            "messages": messages[2:] if number == 2 else messages,
        }
        for number in range(8)
    ]  # fmt: skip
    traces, log = tmp_path / "traces.jsonl", tmp_path / "metrics.jsonl"
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = "pkg://temporal_plugin.integrations.verl_sft_traces"
    found = host(
        "torch.distributed.run", "--nproc_per_node=1", "--standalone", "-m",
        "verl.trainer.sft_trainer", "--config-name", "temporal_sft", "+experiment=tiny_sft",
        f"data.custom_cls={{path: '{path}', name: TemporalTraceDataset}}",
        f"data.train_files={traces}", f"data.val_files={traces}", "data.max_length=2048",
        f"model.path={tiny_model('qwen2_5_vl')}", "data.temporal.prompt=search_choice",
        f"+data.temporal.search={{frames: {{method: uniform, sampling: {SIZE}}}}}",
        "trainer.experiment_name=traces", "trainer.save_freq=-1",
        folder=tmp_path, VERL_PLATFORM="cpu", VERL_FILE_LOGGER_PATH=str(log), OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:]
    losses = [
        row["data"]["train/loss"]
        for row in map(json.loads, log.read_text().splitlines())
        if "train/loss" in row["data"]
    ]
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
