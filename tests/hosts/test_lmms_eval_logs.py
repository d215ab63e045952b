"""Reading results folders of any run; no lmms-eval needed."""

import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "report"))

from result_files import our_line, random_scores, write_run, write_upstream_run

from temporal_plugin.integrations.lmms_eval_logs import find_runs
from temporal_plugin.integrations.lmms_eval_questions import read_questions


def test_a_run_is_read(tmp_path):
    results = write_run(tmp_path, scores=random_scores(4), questions=4)
    (run,) = find_runs(tmp_path)
    assert (run.task, run.model, run.date) == (
        "temporal_grounding_charades",
        "models/tiny",
        "20260101_000000",
    )
    assert (run.results, run.questions, run.available) == (results, 4, 12)
    assert run.metrics["miou"][1] == 0.01  # the clustered error before the others
    assert run.is_ours
    assert run.task_config["dataset_kwargs"]["prompt"] == "answer"
    assert find_runs(results) == [run]


def test_questions_are_in_the_order_of_the_file(tmp_path):
    write_run(tmp_path, scores=random_scores(3))
    questions = read_questions(find_runs(tmp_path)[0])
    assert list(questions) == ["q0", "q1", "q2"]
    question = questions["q1"]
    assert (question.video, question.prompt) == ("v0.mp4", "answer (0123)")
    assert question.category == {"type": "action"}
    assert question.scores == random_scores(3)[1]


def test_a_task_of_upstream_is_read_as_far_as_it_is_numbers(tmp_path):
    write_upstream_run(tmp_path)
    (run,) = find_runs(tmp_path)
    assert not run.is_ours
    assert run.metrics == {"mme_score": (0.5, 0.01)}
    questions = read_questions(run)
    assert list(questions)[:2] == ["0 hash0", "1 hash1"]
    assert questions["1 hash1"].scores == {"mme_score": 1.0}
    assert questions["1 hash1"].video is None


def test_what_is_no_number_is_left_out_by_name(tmp_path):
    table = {
        "alias": "t",
        "a,none": 0.5,
        "a_stderr,none": "N/A",
        "a_stderr_clustered,none": float("nan"),
        "a_stderr_clt,none": 0.25,
        "a,strict": 0.75,
        "b,none": [],
        "c,none": float("nan"),
        "d,none": None,
        "e,none": True,
        "f_stderr_sum,none": 3,
    }
    results = {"t": table, "group": {"alias": "group", " ,none": ""}, "odd": 3}
    (run,) = find_runs(write_run(tmp_path, results=results, task="t", samples=False))
    assert run.metrics == {
        "a": (0.5, 0.25),
        "a (strict)": (0.75, None),
        "f_stderr_sum": (3.0, None),
    }
    assert run.left_out == ("b", "c", "d", "e")


def test_the_newest_results_of_each_task_count(tmp_path, caplog):
    write_run(tmp_path, date="20260102_000000", task="a")
    write_run(tmp_path, date="20260101_000000", task="a")
    write_run(tmp_path, date="20260101_000001", task="b")
    write_run(tmp_path, date="20260101_000000", task="a", model="other")
    runs = find_runs(tmp_path)
    assert [(run.task, run.date, run.model) for run in runs] == [
        ("a", "20260102_000000", "models/tiny"),
        ("a", "20260101_000000", "other"),
        ("b", "20260101_000001", "models/tiny"),
    ]
    assert "is older than 20260102_000000_results.json and not shown" in caplog.text


def test_missing_and_empty_folders_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; name the folder"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="exits with 0 even then"):
        find_runs(tmp_path)
    file = write_run(tmp_path, results={"t": {"alias": "t"}})
    with pytest.raises(ValueError, match="no task in it has a metric that is a number"):
        find_runs(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"results": 3}', "[" * 100_000, "\x00"])
def test_other_files_are_refused_by_name(tmp_path, text):
    file = tmp_path / "x_results.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"x_results\.json"):
        find_runs(tmp_path)


def test_a_task_cannot_name_a_file_elsewhere(tmp_path):
    (tmp_path / "secret.jsonl").write_text("{}")
    file = write_run(tmp_path / "run", task="t", samples=False)
    content = json.loads(file.read_text())
    content["results"] = {"/../../../secret": {"x,none": 1.0}}
    file.write_text(json.dumps(content))
    assert find_runs(file)[0].samples is None


def test_a_run_without_a_sample_log(tmp_path):
    write_run(tmp_path, samples=False)
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        read_questions(find_runs(tmp_path)[0])


@pytest.mark.parametrize("text", ["nonsense", "[1]", '{"id": 1}', '{"doc_id": "1"}'])
def test_a_broken_line_is_named_with_its_number(tmp_path, text):
    write_run(tmp_path)
    (run,) = find_runs(tmp_path)
    run.samples.write_text('{"doc_id": 0}\n\n' + text + "\n")
    with pytest.raises(ValueError, match=r"samples_.*jsonl:3 is not"):
        read_questions(run)


def test_ids_that_are_not_unique_get_their_row(tmp_path):
    lines = [our_line(0, random_scores(1)[0]), our_line(0, random_scores(1)[0]) | {"doc_id": 1}]
    write_run(tmp_path, scores=random_scores(2), lines=lines)
    (run,) = find_runs(tmp_path)
    assert list(read_questions(run)) == ["q0 (row 0)", "q0 (row 1)"]
    text = run.samples.read_text(encoding="utf-8")
    run.samples.write_text(text + text, encoding="utf-8")  # a log that was written twice
    with pytest.raises(ValueError, match="holds a question twice"):
        read_questions(run)


def test_a_score_that_is_no_number_is_kept_as_nan(tmp_path):
    line = our_line(0, random_scores(1)[0])
    line["r1@0.3"]["score"] = "high"
    write_run(tmp_path, scores=random_scores(1), lines=[line])
    (question,) = read_questions(find_runs(tmp_path)[0]).values()
    assert math.isnan(question.scores["r1@0.3"])


def test_joint_metrics_have_no_score_per_question(tmp_path):
    line = our_line(0, random_scores(1)[0], joint={"precision": 1.0, "recall": 0.5, "video": "v"})
    write_run(tmp_path, scores=random_scores(1), lines=[line])
    (question,) = read_questions(find_runs(tmp_path)[0]).values()
    assert "joint" not in question.scores
