"""Runs side by side: labels, marks, published rows, differences, breakdowns."""

import json

import pytest
from result_files import grounding_scores, our_line, random_scores, write_run, write_upstream_run

from temporal_plugin.metrics import UNNAMED
from temporal_plugin.report.comparable import sampling, settings_of
from temporal_plugin.report.differences import compare_entries
from temporal_plugin.report.entries import read_entries
from temporal_plugin.report.evaluation import groups_of
from temporal_plugin.report.evaluation_tables import breakdown_table


@pytest.fixture
def folders(tmp_path):
    """folders(**settings of either run) -> the two folders of two runs."""

    def write(first=(), second=()):
        write_run(tmp_path / "a", **dict(first))
        write_run(tmp_path / "b", **dict(second))
        return [str(tmp_path / "a"), str(tmp_path / "b")]

    return write


def labels(arguments):
    return [entry.label for entry in read_entries(arguments)]


def test_a_run_goes_by_its_model(folders):
    assert labels(folders({"model": "x/one"}, {"model": "two"})) == ["one", "two"]


def test_a_run_can_be_given_a_name(folders):
    first, second = folders()
    assert labels([f"before={first}", second]) == ["before", "tiny"]


def test_equal_models_go_by_their_folders(folders):
    assert labels(folders()) == ["tiny [a]", "tiny [b]"]


def test_equal_names_go_by_folder_and_date(folders, tmp_path):
    paths = [f"x={path}" for path in folders()]
    assert labels(paths) == ["x [a/models__tiny]", "x [b/models__tiny]"]
    write_run(tmp_path / "a", date="20260202_000000")
    files = sorted(map(str, (tmp_path / "a").rglob("*_results.json")))
    assert labels(files)[0].startswith("tiny [2026")


def test_a_path_with_an_equals_sign_is_a_path(tmp_path):
    write_run(tmp_path / "lr=1")
    assert labels([str(tmp_path / "lr=1")]) == ["tiny"]


def test_the_same_file_twice_is_refused(folders):
    path = folders()[0]
    with pytest.raises(ValueError, match="named twice"):
        read_entries([path, path])


def test_tasks_of_one_benchmark_stand_together(tmp_path):
    for date, task in enumerate(
        ("temporal_grounding_charades", "temporal_plugin_charades_think", "mine")
    ):
        write_run(tmp_path, task=task, date=f"2026010{date}_000000")
    write_upstream_run(tmp_path)
    groups = groups_of(read_entries([str(tmp_path)]))
    assert {group.name: len(group.entries) for group in groups} == {
        "mine": 1,
        "mvbench_action": 1,
        "charades_sta": 2,
    }
    assert [group.title for group in groups] == ["mine", "MVBench: mvbench_action", "Charades-STA"]


def group(arguments, **settings):
    (found,) = groups_of(read_entries(arguments), **settings)
    return found


def test_equal_runs_differ_in_nothing(folders):
    assert (
        group(folders({}, {"model": "other", "scores": random_scores(12, seed=1)})).differing == {}
    )


@pytest.mark.parametrize(
    ("changed", "name", "values"),
    [
        ({"prompt": "think"}, "prompt", ["answer (0123)", "think (0123)"]),
        (
            {"model_args": "pretrained=x,fps=4.0,max_frames=64"},
            "frame sampling",
            ["fps=2.0", "fps=4.0"],
        ),
        ({"limit": 12}, "limit", ["limit None, offset 0", "limit 12, offset 0"]),
        ({"questions": 8}, "questions", ["12 of 12", "8 of 12"]),
        ({"versions": {"temporal_grounding_charades": 2}}, "task version", ["1.0", "2"]),
    ],
)
def test_what_is_not_alike_is_found(folders, changed, name, values):
    assert group(folders({}, changed)).differing == {name: values}


def test_only_what_differs_of_a_setting_is_told(folders):
    second = {"fps": 2.0, "max_frames": 8, "min_pixels": 3}
    arguments = ",".join(f"{name}={value}" for name, value in second.items())
    found = group(folders({}, {"model_args": arguments})).differing
    assert found == {"frame sampling": ["max_frames=64", "max_frames=8, min_pixels=3"]}


def test_sampling_knows_what_is_only_about_speed():
    given = "pretrained=a,fps=2,device=cpu,dtype=float32,max_pixels=10,api_key=sk-1,hf_Token=t"
    assert sampling(given) == {"fps": "2", "max_pixels": "10"}
    assert sampling({"max_pixels": 10, "fps": 2, "batch_size": 3}) == sampling(given)
    assert sampling(None) == sampling("") == sampling(3) == {}


def test_settings_of_a_task_of_upstream_are_there(tmp_path):
    write_upstream_run(tmp_path)
    (entry,) = read_entries([str(tmp_path)])
    found = settings_of(entry)
    assert found["data"] == {"path": "OpenGVLab/MVBench"}
    assert found["prompt"] == "-"


def test_published_rows_are_those_with_a_common_metric(folders):
    found = group(folders()).published
    assert {row.benchmark for row in found} == {"charades_sta"}
    assert "Time-R1-7B" in {row.model for row in found}
    assert group(folders(), published=False).published == []


def test_raw_numbers_stand_beside_no_published_row(tmp_path):
    write_upstream_run(tmp_path)
    assert group([str(tmp_path)]).published == []


# --- differences


def compared(arguments, **settings):
    return compare_entries(*read_entries(arguments), **settings)


def test_the_same_questions_are_compared(folders):
    low, high = (
        [grounding_scores(0.2 + 0.01 * k) for k in range(12)],
        [grounding_scores(0.6 + 0.01 * k) for k in range(12)],
    )
    found = compared(folders({"scores": low}, {"scores": high}))
    assert (found.shared, found.only_first, found.only_second, found.refused) == (12, 0, 0, "")
    rows = {row.metric: row for row in found.rows}
    assert rows["miou"].difference == pytest.approx(0.4)
    assert (rows["miou"].low, rows["miou"].high) == pytest.approx((0.4, 0.4))
    assert rows["r1@0.5"].before == 0.0 and rows["r1@0.5"].after == 1.0
    assert found.questions == "12 questions, the same in both"
    assert found.over == "videos"


def test_other_questions_are_refused_unless_asked(folders):
    paths = folders({}, {"scores": random_scores(8)})
    found = compared(paths)
    assert found.rows == ()
    assert "12 only in" not in found.refused
    assert "8 questions shared; 4 only in tiny [a], 0 only in tiny [b]" in found.refused
    assert "--intersection" in found.refused
    shared = compared(paths, intersection=True)
    assert (shared.shared, shared.only_first, shared.only_second) == (8, 4, 0)
    assert shared.rows[0].before == pytest.approx(sum(s["miou"] for s in random_scores(12)[:8]) / 8)


def test_no_common_question_is_refused_even_when_asked(folders):
    lines = [our_line(k, s, prefix="other") for k, s in enumerate(random_scores(12))]
    found = compared(folders({}, {"lines": lines}), intersection=True)
    assert found.refused.startswith("no common question")


def test_no_sample_log_is_said(folders):
    found = compared(folders({}, {"samples": False}))
    assert found.refused == "tiny [b] has no sample log; run lmms-eval with --log_samples"


def test_the_clusters_are_videos(folders):
    """Two questions a video, always alike: the interval is wider than of single questions."""
    first = [grounding_scores(0.0) for _ in range(40)]
    second = [grounding_scores(float(k // 2 % 2)) for k in range(40)]
    clustered = compared(folders({"scores": first}, {"scores": second})).rows[0]
    lines = [our_line(k, s) for k, s in enumerate(second)]
    for line in lines:
        for item in line.values():
            if isinstance(item, dict):
                item["video"] = f"alone{line['doc_id']}"
    alone_first = [our_line(k, s) | {} for k, s in enumerate(first)]
    for line in alone_first:
        for item in line.values():
            if isinstance(item, dict):
                item["video"] = f"alone{line['doc_id']}"
    alone = compared(
        folders({"scores": first, "lines": alone_first}, {"scores": second, "lines": lines})
    ).rows[0]
    assert clustered.difference == alone.difference == 0.5
    assert clustered.high - clustered.low > 1.2 * (alone.high - alone.low)


def test_a_metric_without_a_number_everywhere_is_left_out(folders):
    lines = [our_line(k, s) for k, s in enumerate(random_scores(12))]
    lines[3]["miou"]["score"] = None
    del lines[4]["refusal"]
    found = compared(folders({}, {"lines": lines}))
    assert set(found.left_out) == {"miou", "refusal"}
    assert {row.metric for row in found.rows} == {
        "r1@0.3",
        "r1@0.5",
        "r1@0.7",
        "parse_failure",
        "request_failure",
    }


def test_tasks_of_upstream_are_compared_by_document(tmp_path):
    write_upstream_run(tmp_path / "a")
    write_upstream_run(tmp_path / "b")
    found = compared([str(tmp_path / "a"), str(tmp_path / "b")])
    assert (found.shared, [row.metric for row in found.rows]) == (6, ["mme_score"])
    assert found.over == "questions"


# --- breakdowns


def test_a_breakdown_holds_every_question(folders):
    found = group(folders())
    assert found.category_fields == ["type"]
    parts = found.breakdown(found.entries[0], "type")
    assert {name: part["questions"] for name, part in parts.items()} == dict.fromkeys(
        ("pose", "action", "state"), 4.0
    )
    scores = random_scores(12)
    assert parts["pose"]["miou"] == pytest.approx(sum(scores[k]["miou"] for k in (0, 3, 6, 9)) / 4)
    assert parts["pose"]["request_failure"] == 0.0


def test_a_question_without_the_field_is_counted_by_name(folders):
    lines = [our_line(k, s) for k, s in enumerate(random_scores(12))]
    lines[0]["miou"]["category"] = {}
    del lines[1]["miou"]["category"]
    found = group(folders({"lines": lines}))
    parts = found.breakdown(found.entries[0], "type")
    assert parts[UNNAMED]["questions"] == 2.0
    assert sum(part["questions"] for part in parts.values()) == 12.0


def test_without_a_log_there_is_no_breakdown(folders):
    found = group(folders({}, {"samples": False}))
    assert found.breakdown(found.entries[1], "type") == {}


# --- several tasks


def test_styles_of_one_task_are_compared_and_named(tmp_path):
    write_run(tmp_path, task="temporal_grounding_charades")
    write_run(
        tmp_path, task="temporal_grounding_charades_think", date="20260102_000000", prompt="t"
    )
    found = group([str(tmp_path)])
    names = ["tiny, temporal_grounding_charades", "tiny, temporal_grounding_charades_think"]
    assert [entry.label for entry in found.entries] == names
    (difference,) = found.differences
    assert [difference.first, difference.second, difference.refused] == [*names, ""]
    assert list(found.differing) == ["prompt"]


def test_tasks_with_questions_of_their_own_are_not_compared(tmp_path):
    lines = [our_line(k, s, prefix="other") for k, s in enumerate(random_scores(12))]
    write_run(tmp_path / "a", task="temporal_grounding_charades")
    write_run(tmp_path / "b", task="charades_of_upstream", lines=lines)
    assert group([str(tmp_path / "a"), str(tmp_path / "b")]).differences == []


def test_parts_of_a_split_benchmark_stand_alone(tmp_path):
    for number, part in enumerate(("action_count", "pose", "pose_think")):
        write_run(tmp_path, task=f"temporal_qa_mvbench_{part}", date=f"2026010{number}_000000")
    groups = groups_of(read_entries([str(tmp_path)]))
    assert [(g.name, len(g.entries), len(g.published)) for g in groups] == [
        ("temporal_qa_mvbench_action_count", 1, 0),
        ("temporal_qa_mvbench_pose", 2, 0),
    ]


def test_metrics_of_categories_stand_apart(tmp_path):
    """As our tasks log them: `miou/pose` beside `miou`, null for other categories."""
    scores = [s | {"miou/pose": 0.5, "questions/pose": 4} for s in random_scores(12)]
    lines = []
    for number, plain in enumerate(random_scores(12)):
        mine = {"score": plain["miou"], "video": f"v{number // 2}.mp4"}
        part = {"miou/pose": mine if number % 3 == 0 else None}
        lines.append(our_line(number, plain) | part)
    write_run(tmp_path, scores=scores, lines=lines)
    found = group([str(tmp_path)])
    assert not [name for name in found.names if "/" in name]
    assert found.entries[0].run.parts == {"pose": {"miou": (0.5, 0.01), "questions": (4.0, 0.01)}}
    assert found.breakdown(found.entries[0], "type")["pose"]["questions"] == 4.0
    assert not [name for name in found.entries[0].questions["q0"].scores if "/" in name]


def test_a_group_of_our_tasks_is_in_percent_too(tmp_path):
    task = "temporal_qa_mvbench_pose"
    file = write_run(tmp_path, task=task, scores=[{"accuracy": 0.5}], samples=False)
    content = json.loads(file.read_text())
    content["results"]["temporal_qa_mvbench"] = {"alias": "x", "accuracy,none": 0.5, " ": ""}
    content["group_subtasks"] = {"temporal_qa_mvbench": [task], task: []}
    file.write_text(json.dumps(content))
    whole, part = groups_of(read_entries([str(tmp_path)]))
    assert whole.entries[0].run.is_ours and whole.entries[0].run.questions is None
    assert "Temporal-R1-3B, base model" in {row.model for row in whole.published}
    assert part.published == []


def test_published_parts_stand_in_the_breakdown(tmp_path):
    scores = [{"accuracy": float(k % 2)} for k in range(12)]
    lines = [
        our_line(k, s, details="accuracy", category={"duration": ("short", "long")[k % 2]})
        for k, s in enumerate(scores)
    ]
    write_run(tmp_path, task="temporal_qa_videomme", scores=scores, lines=lines)
    table = breakdown_table(group([str(tmp_path)]), "duration")
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert rows["short", "tiny"][0] == "6"
    assert rows["short", "TimeSearch-R-7B"][:2] == ("", "76.8")
    assert rows["long", "TimeSearch-R-7B"][:2] == ("", "56.0")
