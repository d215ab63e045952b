"""Real runs of `python -m lmms_eval` on CPU. lmms-eval exits with 0 even after an error."""

import json
import math
import shutil

import pytest

pytest.importorskip("lmms_eval")

from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples

pytestmark = pytest.mark.slow
METRICS = (
    *("miou", "r1@0.3", "r1@0.5", "r1@0.7"),
    *("parse_failure", "refusal", "request_failure"),
)
COMMON = ("--device", "cpu", "--gen_kwargs", "max_new_tokens=8", "--log_samples")


def as_arguments(**settings):
    return ",".join(f"{name}={value}" for name, value in settings.items())


@pytest.fixture
def ours(tiny_model, lmms_eval, sampling_settings):
    def run(task, data_root, *arguments, **environment):
        model_args = as_arguments(
            pretrained=tiny_model("qwen2_5_vl"), dtype="float32", **sampling_settings
        )
        return lmms_eval(
            *("--model", "temporal_qwen_vl", "--model_args", model_args),
            *("--tasks", task, "--batch_size", "2", *COMMON, *arguments),
            TEMPORAL_PLUGIN_DATA=str(data_root),
            **environment,
        )

    return run


@pytest.fixture
def broken_root(data_root, tmp_path):
    """A data root where one video is missing and one is no video: 3 of 5 questions fail."""
    root = shutil.copytree(data_root, tmp_path / "broken")
    (root / "charades_sta/videos/V1.mp4").unlink()
    (root / "charades_sta/videos/V2.mp4").write_text("no video")
    return root


def test_our_task_runs_under_the_name_that_upstream_has(ours, data_root):
    output, out = ours("temporal_grounding_charades", data_root)
    assert "temporal-plugin's task runs in place of lmms-eval's own" in output
    results = read_results(out)
    assert (results["task"], results["questions"]) == ("temporal_grounding_charades", 5)
    for metric in METRICS:
        assert 0 <= results[metric] <= 1
        assert math.isfinite(results[f"{metric}_stderr"])
    assert results["request_failure"] == 0
    samples = read_samples(out)
    assert [row["id"] for row in samples] == [
        f"charades_sta/{name}" for name in ("V0/0", "V0/1", "V1/0", "V1/1", "V2/0")
    ]
    assert samples[1]["query"] == "a {blue} circle \u2028 grows"
    assert samples[1]["truth"] == [[2.0, 5.0]]
    assert samples[0]["video"] == "V0.mp4"


def test_the_opt_out_gives_upstreams_own_task(ours, data_root):
    """Its data lie on the hub, so that it stops; but it is the one that was found."""
    output, out = ours("temporal_grounding_charades", data_root, TEMPORAL_PLUGIN_LMMS_OVERRIDE="0")
    assert "lmms-eval's own task, as TEMPORAL_PLUGIN_LMMS_OVERRIDE=0" in output
    assert "lmms-eval/charades_sta" in output
    with pytest.raises(FileNotFoundError, match="it exits with 0"):
        read_results(out)


def test_bad_videos_stop_the_run_and_are_all_listed_before_a_model_loads(lmms_eval, broken_root):
    output, out = lmms_eval(
        *("--model", "temporal_qwen_vl", "--model_args", "pretrained=/no/such/model"),
        *("--tasks", "temporal_plugin_charades"),
        TEMPORAL_PLUGIN_DATA=str(broken_root),
    )
    assert "2 videos, needed by 3 questions, cannot be used" in output
    assert "V1.mp4: missing" in output
    assert "V2.mp4: " in output
    assert "/no/such/model" not in output
    assert not list(out.rglob("*_results.json"))


def test_bad_videos_count_as_failures_and_no_denominator_shrinks(ours, broken_root):
    _, out = ours(
        "temporal_plugin_charades", broken_root, TEMPORAL_PLUGIN_ON_BAD_VIDEO="count_as_failure"
    )
    results = read_results(out)
    assert results["questions"] == len(read_samples(out)) == 5
    assert results["request_failure"] == 0.6
    assert results["parse_failure"] <= 0.4
    assert [row["request_failed"] for row in read_samples(out)] == [False, False, True, True, True]


def test_a_task_of_the_users_own(ours, data_root, tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mine.yaml").write_text(
        "task: mine\n"
        "class: !function temporal_plugin.integrations.lmms_eval_task.GroundingTask\n"
        "dataset_kwargs:\n"
        "  format: jsonl\n"
        "  annotations: demo/test.jsonl\n"
        "  prompt: think_answer\n"
    )
    _, out = ours(
        "mine,temporal_grounding_demo", data_root, "--include_path", str(tmp_path / "tasks")
    )
    assert read_results(out, task="mine")["questions"] == 5
    assert len(read_samples(out, task="temporal_grounding_demo")) == 5
    with pytest.raises(ValueError, match="it holds: mine, temporal_grounding_demo"):
        read_results(out)


@pytest.fixture
def a_choice(broken_root, tmp_path):
    """A folder with a task of one multiple-choice question."""
    row = {"id": "c", "task": "choice", "video": "V0.mp4", "query": "which?", "answer": "B"}
    (broken_root / "choice.jsonl").write_text(json.dumps({**row, "options": ["a cat", "a dog"]}))
    (tmp_path / "choices").mkdir()
    (tmp_path / "choices/a_choice.yaml").write_text(
        "task: a_choice\n"
        "class: !function temporal_plugin.integrations.lmms_eval_task.ChoiceTask\n"
        "dataset_kwargs:\n"
        "  format: jsonl\n"
        "  annotations: choice.jsonl\n"
        "  videos: demo/videos\n"
    )
    return str(tmp_path / "choices")


@pytest.mark.parametrize("flags", [(), ("--force_simple",)], ids=["chat", "simple"])
def test_upstreams_model_class_runs_our_tasks(
    tiny_model, lmms_eval, broken_root, sampling_settings, a_choice, flags
):
    settings = {name: value for name, value in sampling_settings.items() if name != "max_frames"}
    model_args = as_arguments(pretrained=tiny_model("qwen2_5_vl"), device_map="cpu", **settings)
    _, out = lmms_eval(
        *("--model", "qwen2_5_vl", "--model_args", model_args, "--include_path", a_choice),
        *("--tasks", "temporal_plugin_charades,a_choice", *COMMON, *flags),
        TEMPORAL_PLUGIN_DATA=str(broken_root),
        TEMPORAL_PLUGIN_ON_BAD_VIDEO="count_as_failure",
    )
    results = read_results(out, task="temporal_plugin_charades")
    assert results["questions"] == 5
    assert results["request_failure"] == 0.6
    (row,) = read_samples(out, task="a_choice")
    assert (row["request_failed"], row["letter"]) == (False, "B")
