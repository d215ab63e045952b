"""The data file of published results: schema, bounds, and which task belongs where."""

import pytest
import yaml

from temporal_plugin import metrics
from temporal_plugin.report import published
from temporal_plugin.report.evaluation import HEADINGS

CONTENT = yaml.safe_load(published.FILE.read_text(encoding="utf-8"))
BENCHMARKS, ROWS = published.load()
PARTS = {"accuracy/short", "accuracy/medium", "accuracy/long"}


def test_the_file_has_its_parts_only():
    assert set(CONTENT) == {"benchmarks", "sources", "rows"}
    for entry in CONTENT["benchmarks"].values():
        assert {"title", "task", "tasks"} <= set(entry) <= {"title", "task", "tasks", "split"}
        assert entry["task"] in ("grounding", "moments", "choice", "grounded_choice", "search")
        assert all(word == word.lower() for words in entry["tasks"] for word in words)


@pytest.mark.parametrize("entry", CONTENT["rows"], ids=lambda entry: entry["model"])
def test_a_row_keeps_the_schema(entry):
    assert {"model", "setting", "source", "metrics"} <= set(entry)
    assert set(entry) <= {"model", "setting", "source", "metrics", "second_hand", "note"}
    assert entry["setting"] in published.SETTINGS
    assert entry["source"] in CONTENT["sources"]
    assert entry.get("second_hand", True) is True  # absent or true
    assert entry["metrics"], "a row without numbers"
    for benchmark, found in entry["metrics"].items():
        assert benchmark in CONTENT["benchmarks"]
        for name, percent in found.items():
            assert name in HEADINGS or name in PARTS
            assert isinstance(percent, float), "percent as printed, with its point"
            assert 1.0 < percent < 100.0, "a share instead of a percentage?"


def test_what_a_third_party_lists_is_second_hand():
    for entry in CONTENT["rows"]:
        if entry["source"] in ("third_party", "videoauto_r1_tables", "videochat_r1"):
            assert entry["second_hand"], entry["model"]


def test_no_row_is_there_twice():
    keys = [(row.benchmark, row.model, row.setting, row.source) for row in ROWS]
    assert len(set(keys)) == len(keys)
    assert set(CONTENT["sources"]) == {entry["source"] for entry in CONTENT["rows"]}


def test_numbers_that_must_agree_do():
    for row in ROWS:
        levels = [row.metrics[key] for key in ("r1@0.3", "r1@0.5", "r1@0.7") if key in row.metrics]
        assert levels == sorted(levels, reverse=True), row
        for kind in ("temporal", "visual"):
            if f"{kind}_precision" in row.metrics:
                pair = [row.metrics[f"{kind}_{part}"] for part in ("precision", "recall")]
                assert min(pair) <= row.metrics[f"{kind}_f1"] <= max(pair), row
    (ours,) = [row for row in ROWS if row.model == "TimeSearch-R-7B, 8.8 frames"][:1]
    pair = ours.metrics["visual_precision"], ours.metrics["visual_recall"]
    assert ours.metrics["visual_f1"] == pytest.approx(metrics.visual_f1(*pair), abs=0.0006)


def test_known_rows_have_their_numbers():
    (row,) = [
        r
        for r in published.rows_of(BENCHMARKS["charades_sta"], "any")
        if r.model == "Time-R1-7B" and r.setting == "zero-shot"
    ]
    assert row.metrics == pytest.approx({"r1@0.3": 0.781, "r1@0.5": 0.608, "r1@0.7": 0.353})
    assert (row.source, row.second_hand) == ("Time-R1, repository", False)
    assert published.rows_of(BENCHMARKS["tacos"], "temporal_grounding_tacos") == []


@pytest.mark.parametrize(
    ("task", "benchmark"),
    [
        ("temporal_grounding_charades", "charades_sta"),
        ("temporal_plugin_charades_think", "charades_sta"),
        ("temporal_grounding_activitynet", "activitynet_captions"),
        ("temporal_timelens_charades", "charades_timelens"),
        ("charades_timelens_think", "charades_timelens"),
        ("temporal_grounding_qvhighlights", "qvhighlights"),
        ("temporal_grounding_timelens_activitynet", "activitynet_timelens"),
        ("temporal_qa_videomme", "videomme"),
        ("temporal_qa_videomme_subtitles_think", "videomme_subtitles"),
        ("videomme_w_subtitle", "videomme_subtitles"),
        ("temporal_qa_tempcompass_multi_choice", "tempcompass_multi_choice"),
        ("temporal_qa_tempcompass_yes_no", "tempcompass"),
        ("temporal_grounded_qa_rextime", "rextime"),
        ("mvbench_action_sequence", "mvbench"),
        ("longvideobench_val_v", "longvideobench"),
        ("temporal_haystack_lvbench", "haystack_lvbench"),
        ("Temporal_NextGQA", "nextgqa"),
        ("gsm8k", None),
        ("", None),
    ],
)
def test_a_task_belongs_to_its_benchmark(task, benchmark):
    found = published.benchmark_of(task)
    assert (found and found.name) == benchmark


def test_a_part_of_a_split_benchmark_stands_beside_no_published_row():
    mvbench = BENCHMARKS["mvbench"]
    assert published.rows_of(mvbench, "temporal_qa_mvbench")
    assert published.rows_of(mvbench, "temporal_qa_mvbench_action_count") == []


def test_metadata_can_name_the_benchmark():
    found = published.benchmark_of("my_task", {"benchmark": "rextime", "version": 1.0})
    assert found is BENCHMARKS["rextime"]
    assert published.benchmark_of("my_task", {"benchmark": "no such benchmark"}) is None
