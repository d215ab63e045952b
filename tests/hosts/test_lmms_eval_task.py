"""The task classes inside lmms-eval: documents, requests, repeats, categories, prediction only."""

import json

import pytest

pytest.importorskip("lmms_eval")

from lmms_eval.api.metrics import bypass_agg  # noqa: F401, registers the metric

from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_task import CLASSES, ChoiceTask, GroundingTask

ROWS = [
    {"id": "1", "video": "a.mp4", "answer": "A", "length": "short"},
    {"id": "2", "video": "a.mp4", "answer": "B", "length": "long"},
    {"id": "3", "video": "b.mp4", "answer": "A", "length": "short"},
    {"id": "4", "video": "b.mp4", "answer": "B"},
]


@pytest.fixture(autouse=True)
def forget():
    failures.clear()
    yield
    failures.clear()


@pytest.fixture
def config(tmp_path, clock_video, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    shared = {"task": "choice", "query": "which?", "options": ["red", "green"]}
    lines = [json.dumps({**shared, **row}) for row in ROWS]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).symlink_to(clock_video)
    return {
        "task": "mine",
        "dataset_kwargs": {
            "format": "jsonl",
            "annotations": "rows.jsonl",
            "categories": {"length": "length"},
        },
    }


def answered(task, *texts):
    """The items of every document after each request got its texts."""
    for instance, given in zip(task.instances, texts, strict=True):
        instance.resps.extend(given)
    task.apply_filters()
    return [
        task.process_results(task.test_docs()[i.doc_id], [i.filtered_resps["none"]])
        for i in task.instances
    ]


@pytest.mark.slow
def test_each_question_is_one_request_with_messages(config):
    task = ChoiceTask(config)
    task.build_all_requests()
    assert [instance.doc_id for instance in task.instances] == [0, 1, 2, 3]
    _, doc_to_messages, generation, doc_id, name, split = task.instances[1].args
    text = doc_to_messages(task.dataset[split][doc_id])[0]["content"][1]["text"]
    assert "(B) green" in text
    assert (name, generation["max_new_tokens"], generation["until"]) == ("mine", 32, [])


@pytest.mark.slow
def test_categories_have_metrics_of_their_own_rows(config):
    task = ChoiceTask(config)
    task.build_all_requests()
    rows = answered(task, ["A"], ["A"], ["B"], ["B"])
    for name in ("accuracy/short", "accuracy/long", "questions/short"):
        assert (
            task.aggregation()[name]([row[name] for row in rows])
            == {
                "accuracy/short": 0.5,
                "accuracy/long": 0.0,
                "questions/short": 2,
            }[name]
        )
    assert all(set(row) == set(rows[0]) for row in rows)
    assert set(rows[0]) == set(task.aggregation())
    assert rows[3]["accuracy/short"] is None
    assert rows[3]["accuracy"]["category"] == {}
    assert task.higher_is_better()["accuracy/short"]
    assert not task.higher_is_better()["refusal"]


@pytest.mark.slow
def test_a_limited_run_knows_no_category_that_it_does_not_ask(config):
    task = ChoiceTask(config)
    task.build_all_requests(limit=1)
    assert task.categories == ["short"]
    assert "accuracy/long" not in task.aggregation()


@pytest.mark.slow
def test_repeats_are_all_scored(config):
    task = ChoiceTask({**config, "repeats": 2})
    task.build_all_requests(limit=2)
    assert task.instances[0].repeats == 2
    first, second = answered(task, ["A", "B"], ["B", "B"])
    assert (first["accuracy"]["score"], second["accuracy"]["score"]) == (0.5, 1.0)
    assert first["accuracy"]["responses"] == ["A", "B"]


@pytest.mark.slow
def test_prediction_only_scores_nothing(config):
    task = ChoiceTask(config)
    task.override_metric("bypass")
    task.build_all_requests(limit=1)
    (row,) = answered(task, ["A"])
    assert set(row) == {"bypass"}


@pytest.mark.slow
def test_a_bad_video_stops_the_requests_too(config, tmp_path):
    (tmp_path / "b.mp4").unlink()
    task = ChoiceTask(config)
    task.build_all_requests(limit=2)
    with pytest.raises(ValueError, match=r"b\.mp4: missing"):
        task.build_all_requests()


@pytest.mark.slow
def test_rows_of_another_kind_are_refused(config):
    with pytest.raises(ValueError, match="none for a grounding task, first 1: no true span"):
        GroundingTask(config)


@pytest.mark.slow
def test_a_task_can_bring_metrics_of_its_own(config):
    own = {
        **config,
        "process_results": lambda doc, results: {"length": len(results[0])},
        "metric_list": [{"metric": "length", "aggregation": max, "higher_is_better": True}],
    }
    task = ChoiceTask(own)
    task.build_all_requests(limit=1)
    assert answered(task, ["four"]) == [{"length": 4}]
    assert task.aggregation()["length"]([4]) == 4


def test_every_class_has_its_kind():
    assert sorted(each.KIND for each in CLASSES.values()) == [
        *("caption", "choice", "grounded_choice", "grounding", "moment", "reflection", "search")
    ]
