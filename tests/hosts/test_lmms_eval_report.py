"""`temporal-plugin report` on what a real run left behind."""

import csv
import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("lmms_eval")

from temporal_plugin.cli import app
from temporal_plugin.integrations.lmms_eval_logs import find_runs
from temporal_plugin.integrations.lmms_eval_questions import read_questions
from temporal_plugin.integrations.lmms_eval_results import read_results

pytestmark = pytest.mark.slow


def test_a_real_run_is_reported(tiny_model, data_root, lmms_eval, sampling_settings, tmp_path):
    settings = {"pretrained": tiny_model("qwen2_5_vl"), "dtype": "float32", **sampling_settings}
    _, out = lmms_eval(
        *("--model", "temporal_qwen_vl", "--batch_size", "2", "--device", "cpu"),
        *("--model_args", ",".join(f"{name}={value}" for name, value in settings.items())),
        *("--tasks", "temporal_plugin_charades,temporal_plugin_charades_think"),
        *("--gen_kwargs", "max_new_tokens=8", "--log_samples"),
        TEMPORAL_PLUGIN_DATA=str(data_root),
    )
    runs = {run.task: run for run in find_runs(out)}
    for task, run in runs.items():
        known = read_results(out, task=task)
        assert run.is_ours and run.questions == run.available == known["questions"] == 5
        assert run.metrics["miou"] == (known["miou"], known["miou_stderr"])
        assert [question.video for question in read_questions(run).values()] == [
            *("V0.mp4", "V0.mp4", "V1.mp4", "V1.mp4", "V2.mp4")
        ]
    table = tmp_path / "out.csv"
    found = CliRunner().invoke(app, ["report", str(out), "--json", "--csv", str(table)])
    assert found.exit_code == 0, found.output
    (group,) = json.loads(found.stdout)["benchmarks"]
    assert group["benchmark"] == "charades_sta"
    assert {"prompt", "generation"} >= set(group["differing"]) >= {"prompt"}
    (difference,) = group["differences"]
    assert (difference["questions"], difference["refused"]) == (5, None)
    with table.open(newline="", encoding="utf-8") as file:
        assert {row["kind"] for row in csv.DictReader(file)} == {"run", "published"}
