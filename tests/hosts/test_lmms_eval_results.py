"""Reading the files of a run."""

import json

import pytest

from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples


def item(score, **details):
    return {"score": score, "video": "a.mp4", **details}


def write_run(folder, date, miou, *, samples=True):
    folder.mkdir(parents=True, exist_ok=True)
    table = {
        "alias": "t",
        "miou,none": miou,
        "miou_stderr,none": "N/A",
        "miou_stderr_clt,none": 0.1,
        "miou_stderr_clustered,none": 0.2,
        "r1@0.5,none": 0.25,
        "r1@0.5_stderr_clustered,none": "N/A",
    }
    counts = {"t": {"original": 9, "effective": 2}}
    run = {"results": {"t": table}, "n-samples": counts}
    (folder / f"{date}_results.json").write_text(json.dumps(run))
    if samples:
        rows = [
            {
                "doc_id": number,
                "doc": {"id": "none", "video": "none"},
                "miou": item(
                    0.5,
                    id=f"q{number}",
                    query="a \u2028 b",
                    prediction=[[1.0, 2.0]],
                    response="1 to 2",
                ),
                "miou/short": None,
                "miou/long": item(0.5),
                "visual_f1": {"precision": 1.0, "recall": 1.0, "video": "a.mp4"},
                "parse_failure": item(0.0),
                "request_failure": item(float(number)),
            }
            for number in (1, 0)
        ]
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"
        (folder / f"{date}_samples_t.jsonl").write_text(lines, encoding="utf-8")


def test_the_newest_run_is_read(tmp_path):
    write_run(tmp_path / "model", "20260102_000000", 0.75)
    write_run(tmp_path / "model", "20260101_000000", 0.25)
    assert read_results(tmp_path) == {
        "task": "t",
        "questions": 2,
        "miou": 0.75,
        "miou_stderr": 0.2,
        "r1@0.5": 0.25,
        "r1@0.5_stderr": None,
    }


def test_samples_come_in_the_order_of_the_annotations(tmp_path):
    write_run(tmp_path, "20260101_000000", 0.5)
    rows = read_samples(tmp_path)
    assert [row["id"] for row in rows] == ["q0", "q1"]
    assert rows[0] == {
        "iou": 0.5,
        "id": "q0",
        "video": "a.mp4",
        "query": "a \u2028 b",
        "prediction": [[1.0, 2.0]],
        "predictions": [[[1.0, 2.0]]],
        "response": "1 to 2",
        "responses": ["1 to 2"],
        "problems": [None],
        "parse_failed": False,
        "request_failed": False,
        "scores": {"miou": 0.5, "miou/long": 0.5, "parse_failure": 0.0, "request_failure": 0.0},
    }
    assert rows[1]["request_failed"]


def test_a_task_without_spans_has_no_iou(tmp_path):
    write_run(tmp_path, "20260101_000000", 0.5)
    (log,) = tmp_path.glob("*_samples_t.jsonl")
    row = {
        "doc_id": 0,
        "accuracy": item(1.0, id="q", choice="B"),
        "parse_failure": item(0.0),
        "request_failure": item(0.0),
    }
    log.write_text(json.dumps(row) + "\n")
    (found,) = read_samples(tmp_path)
    assert "iou" not in found
    assert (found["scores"]["accuracy"], found["choice"]) == (1.0, "B")


def test_a_log_of_another_task_is_refused(tmp_path):
    write_run(tmp_path, "20260101_000000", 0.5)
    (log,) = tmp_path.glob("*_samples_t.jsonl")
    log.write_text('{"doc_id": 7, "lvb_acc": {"score": 1}}\n')
    with pytest.raises(ValueError, match="document 7 is none of our tasks"):
        read_samples(tmp_path)


def test_a_group_has_its_pooled_metrics(tmp_path):
    write_run(tmp_path, "20260101_000000", 0.5)
    (path,) = tmp_path.glob("*_results.json")
    run = json.loads(path.read_text())
    run["results"]["g"] = {"alias": "g", "accuracy,none": 0.25, "samples": 4}
    path.write_text(json.dumps(run))
    found = read_results(tmp_path, task="g")
    assert found == {"task": "g", "questions": None, "accuracy": 0.25}


def test_no_results_say_where_to_look(tmp_path):
    with pytest.raises(FileNotFoundError, match="it exits with 0"):
        read_results(tmp_path)
    write_run(tmp_path, "20260101_000000", 0.5, samples=False)
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        read_samples(tmp_path)


def test_an_unknown_task_names_those_there(tmp_path):
    write_run(tmp_path, "20260101_000000", 0.5)
    with pytest.raises(ValueError, match="it holds: t"):
        read_results(tmp_path, task="other")
