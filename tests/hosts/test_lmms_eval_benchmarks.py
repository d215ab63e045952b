"""Every task in real runs: a model that knows the truth scores 1, the tiny model runs them all."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval")

import benchmarks
from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples

pytestmark = pytest.mark.slow

CAPTIONS = "temporal_qa_tempcompass_captioning"
LOWER = ("parse_failure", "refusal", "request_failure")
GOLD_MODEL = """
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest

from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.answers import contract_named, render
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations.lmms_eval_keyframes import true_seconds
from temporal_plugin.spans import Span


class Gold(lmms):
    is_simple = False

    def __init__(self, **arguments):
        super().__init__()

    def generate_until(self, requests):
        answers = []
        for request in requests:
            _, doc_to_messages, _, doc_id, task, split = request.args
            doc = self.task_dict[task][split][doc_id]
            assert doc_to_messages(doc)[-1]["content"]
            answers.append(answer(doc))
        return answers

    def generate_until_multi_round(self, requests):
        raise NotImplementedError

    def loglikelihood(self, requests):
        raise NotImplementedError


def answer(doc):
    sample, contract = docs.to_sample(doc), docs.load_prompt(doc["prompt"]).contract
    if doc["kind"] == "search":
        moments = [Span(second, second) for second in true_seconds(sample)]
        return render(contract, spans=moments, choice=sample.answer, reasoning="so")
    return gold_answer(sample, contract)


def manifests():
    return [ModelManifest(model_id="gold", chat_class_path="gold_model.Gold")]
"""


@pytest.fixture(scope="session")
def all_data(tmp_path_factory, write_video):
    """A data root with three questions or so of every benchmark."""
    root = benchmarks.write_annotations(tmp_path_factory.mktemp("benchmarks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_PLUGIN_DATA", str(root))
        paths = sorted(benchmarks.video_paths())
    benchmarks.write_videos(paths, write_video, tmp_path_factory.mktemp("made"))
    return root


@pytest.fixture
def gold_path(tmp_path):
    """A folder for PYTHONPATH that brings the model class `gold`, as an installed package would."""
    folder = tmp_path / "gold"
    about = folder / "gold_model-1.dist-info"
    about.mkdir(parents=True)
    (folder / "gold_model.py").write_text(GOLD_MODEL)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: gold-model\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[lmms_eval.models]\ngold = gold_model:manifests\n")
    return str(folder)


@pytest.fixture
def users_tasks(all_data, tmp_path):
    """A folder with the YAML that docs/tasks.md shows and one that repeats it, with their data."""
    text = (Path(__file__).parents[2] / "docs/tasks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(task: .*?)^```", text, re.M | re.S)
    (row,) = re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "my_videos.yaml").write_text(example)
    (folder / "my_repeats.yaml").write_text(
        "include: my_videos.yaml\ntask: my_repeats\nrepeats: 3\n"
    )
    (all_data / "my_videos").mkdir(exist_ok=True)
    (all_data / "my_videos/test.jsonl").write_text(row)
    shutil.copy(all_data / "charades_sta/videos/AB123.mp4", all_data / "my_videos/a.mp4")
    return str(folder)


def python_path(*folders):
    return ":".join([*folders, str(Path(__file__).parents[2])])


def task_results(out):
    (path,) = out.rglob("*_results.json")
    run = json.loads(path.read_text())
    return {name: read_results(out, task=name) for name in run["n-samples"]}


def judge_by_equality(body, _):
    """1 where the answer to check is the reference, as the words of the last message."""
    asked = json.loads(body["messages"][-1]["content"])
    values = list(asked.values())
    return "1" if values[-1] == values[-2] else "0"


@pytest.fixture
def judge(openai_server):
    server = openai_server(judge_by_equality)
    return {
        "TEMPORAL_PLUGIN_JUDGE_URL": server.url,
        "TEMPORAL_PLUGIN_JUDGE_MODEL": "judge",
        "OPENAI_API_KEY": "none",
    }


def test_the_truth_scores_one_in_every_task_and_style(
    lmms_eval, all_data, gold_path, judge, users_tasks
):
    mine = "my_videos,my_repeats"
    tasks = f"temporal_all,temporal_all_think,{CAPTIONS},temporal_grounding_charades,{mine}"
    output, out = lmms_eval(
        *("--model", "gold", "--tasks", tasks, "--log_samples"),
        TEMPORAL_PLUGIN_DATA=str(all_data),
        TEMPORAL_PLUGIN_TASKS=users_tasks,
        PYTHONPATH=python_path(gold_path),
        **judge,
    )
    assert list(out.rglob("*_results.json")), output[-6000:]
    found = task_results(out)
    assert len(found) == 40 * 2 + 4
    for task, scores in found.items():
        for name, value in scores.items():
            if name in ("task", "questions") or name.startswith("questions/"):
                continue
            if name.endswith("_stderr"):
                assert value is None or value == 0, (task, name, value)
                continue
            best = 0.0 if name in LOWER else 1.0
            assert value == pytest.approx(best, abs=1e-6), (task, name, value)
        assert scores["questions"] >= 1
        assert len(read_samples(out, task=task)) == scores["questions"]
    check_breakdowns(found)
    assert found["my_videos"]["miou/kitchen"] == 1.0
    (row,) = read_samples(out, task="my_repeats")
    assert len(row["responses"]) == len(row["predictions"]) == 3
    assert read_results(out, task="temporal_qa_mvbench")["accuracy"] == 1.0


def check_breakdowns(found):
    """Each category has its questions, and they are all of them."""
    assert found["temporal_qa_videomme"]["accuracy/short"] == 1.0
    expected = {
        "temporal_qa_videomme": ["short", "medium", "long"],
        "temporal_qa_longvideobench": ["15", "3600"],
        "temporal_grounding_tvgbench": [
            "Human_Pose",
            "Object_Transition",
            "Object_Existence_Simple",
        ],
        "temporal_grounded_qa_nextgqa": ["TN", "CW", "CH"],
        "temporal_grounded_qa_rextime": ["sequential", "cause_effect", "means_end"],
        "temporal_qa_tempcompass_yes_no": ["action", "speed"],
    }
    for task, names in expected.items():
        counts = {k: v for k, v in found[task].items() if k.startswith("questions/")}
        assert set(counts) == {f"questions/{name}" for name in names}
        assert sum(counts.values()) == found[task]["questions"]
    assert found["temporal_search_haystack_lvbench"]["questions"] == 1
    assert found["temporal_grounding_tvgbench"]["miou/Human_Pose"] == 1.0


def test_the_tiny_model_runs_every_task(lmms_eval, all_data, tiny_model, sampling_settings):
    settings = {"pretrained": tiny_model("qwen2_5_vl"), "dtype": "float32", **sampling_settings}
    arguments = ",".join(f"{name}={value}" for name, value in settings.items())
    output, out = lmms_eval(
        *("--model", "temporal_qwen_vl", "--model_args", arguments, "--tasks", "temporal_all"),
        *("--device", "cpu", "--gen_kwargs", "max_new_tokens=4", "--batch_size", "8"),
        *("--log_samples", "--limit", "1"),
        TEMPORAL_PLUGIN_DATA=str(all_data),
        PYTHONPATH=python_path(),
    )
    assert list(out.rglob("*_results.json")), output[-6000:]
    found = task_results(out)
    assert len(found) == 40
    for task, scores in found.items():
        assert scores["questions"] == 1
        assert scores["request_failure"] == 0, (task, read_samples(out, task=task)[0]["problem"])
        values = [value for name, value in scores.items() if name not in ("task", "questions")]
        assert all(value is None or math.isfinite(value) for value in values), (task, scores)
    (row,) = read_samples(out, task="temporal_qa_videomme_subtitles")
    assert row["category"] == {"duration": "short"}
    assert re.fullmatch(r"[A-E]", row["letter"])
