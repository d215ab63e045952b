"""`temporal-plugin curate boundaries`, `plant`, and `select` without the partial samples."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from test_curate_command import as_json, run, write_log

from temporal_plugin.annotations import load_samples
from temporal_plugin.curation import boundary_rows

COUNT = 12
TRUTH = [[2.0, 6.0]]
FOUND = [[12.0, 15.0]]


def log_line(number, *, answers=(FOUND, FOUND, []), failed=False, **change):
    """A line of lmms-eval's sample log, as `curate_boundaries` writes it."""
    details = {
        "score": 1.0, "video": f"v{number}", "id": f"s{number}", "query": "q", "source": "log",
        "duration": 20.0, "truth": TRUTH, "prediction": answers[0], "predictions": list(answers),
        "problem": None, "problems": [None if answer else "refusal" for answer in answers],
        "response": "r", "responses": [json.dumps(answer) for answer in answers], **change,
    }  # fmt: skip
    item = {"video": f"v{number}"}
    return {
        "doc_id": number,
        "doc": {},
        "named": details,
        "parse_failure": {"score": 0.0, **item},
        "request_failure": {"score": float(failed), **item},
    }


def is_partial(number):
    return number % 3 == 0


def log_lines():
    return [
        log_line(number, answers=(FOUND, FOUND, []) if is_partial(number) else ([], FOUND, []))
        for number in range(COUNT)
    ]


@pytest.fixture
def results(tmp_path):
    write_log(tmp_path / "results/model", log_lines(), "curate_boundaries")
    return tmp_path / "results"


@pytest.fixture
def data(tmp_path, write_video):
    rows = [
        {
            "id": f"s{number}", "task": "grounding", "video": f"v{number}.mp4", "query": "q",
            "spans": TRUTH, "duration": 20.0, "source": "even" if number % 2 == 0 else "odd",
        }
        for number in range(COUNT)
    ]  # fmt: skip
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def difficulty(tmp_path):
    path = tmp_path / "difficulty.jsonl"
    rows = [{"id": f"s{n}", "ious": [n / COUNT, n / COUNT / 2]} for n in range(COUNT)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_from_logs_to_rows(results, data, tmp_path):
    out = tmp_path / "b.jsonl"
    report = as_json("boundaries", results, "--out", out, "--data", data, "--max-listed", 2)
    assert report["partial"] == {"count": 4, "ids": ["s0", "s3"]}
    assert report["asked"] == report["samples"] == COUNT
    assert report["partial_share_of_asked"] == pytest.approx(1 / 3)
    assert report["answers"] == {"all": 36, "named": 16, "none": 20, "unparsable": 0}
    assert report["answers_per_sample"] == {"3": COUNT}
    assert report["settings"]["agree"] == 2
    rows = boundary_rows.read(out)
    assert rows["s3"].outside == ((12.0, 15.0),) and rows["s3"].source == "odd"
    as_json("boundaries", results, "--out", out)
    assert boundary_rows.read(out)["s3"].source == "log"


@pytest.mark.parametrize(
    ("option", "value", "partial"),
    [
        ("--agree", 1, COUNT),
        ("--agree", 3, 0),
        ("--margin-seconds", 7, 4),  # 13 to 15 is left
        ("--margin-seconds", 8.5, 0),
        ("--margin-share", 0.45, 0),  # 9 of 20 s
        ("--least-seconds", 3, 4),
        ("--least-seconds", 3.1, 0),
    ],
)
def test_every_constant_is_an_option(results, tmp_path, option, value, partial):
    report = as_json("boundaries", results, "--out", tmp_path / "b.jsonl", option, value)
    assert report["partial"]["count"] == partial


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_in_any_order_give_the_same_bytes(results, tmp_path, shards):
    whole, merged = tmp_path / "whole.jsonl", tmp_path / "merged.jsonl"
    run("boundaries", results, "--out", whole)
    lines = log_lines()
    random.Random(shards).shuffle(lines)
    folders = []
    for number in range(shards):
        folders.append(tmp_path / f"shard{number % 2}")
        write_log(folders[-1] / "model", lines[number::shards], "curate_boundaries",
                  date=f"2026010{number}_000000")  # fmt: skip
    assert as_json("boundaries", *folders, "--out", merged)["logs"] == shards
    assert merged.read_bytes() == whole.read_bytes()


def test_copies_count_once_and_other_answers_are_an_error(results, tmp_path):
    out = tmp_path / "b.jsonl"
    write_log(tmp_path / "copy", log_lines()[:3], "curate_boundaries")
    assert as_json("boundaries", results, tmp_path / "copy", "--out", out)["copies"] == 3
    write_log(tmp_path / "again", [log_line(3, answers=([], [], []))], "curate_boundaries")
    error = as_json("boundaries", results, tmp_path / "again", "--out", out, status=1)["error"]
    assert "'s3' was answered twice, differently" in error


def test_what_could_not_be_asked_is_named(data, tmp_path):
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    rows += [
        {**rows[0], "id": "c", "task": "choice", "options": ["a", "b"], "answer": "a"},
        {**rows[0], "id": "none", "spans": []},  # the load itself drops and names it
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [
        log_line(0, problems=[None, None, "no time found"]),
        log_line(1, failed=True),
        log_line(2, answers=([],), not_asked="nothing outside", duration=1.5),
        log_line(99),
    ]
    write_log(tmp_path / "results", lines, "curate_boundaries")
    report = as_json("boundaries", tmp_path / "results", "--out", tmp_path / "b", "--data", data)
    assert report["failed_videos"]["ids"] == ["s1"]
    assert report["nothing_outside"]["ids"] == report["under_2_seconds"]["ids"] == ["s2"]
    assert report["with_unparsable_answers"]["ids"] == ["s0"]
    assert report["other_tasks"] == {"count": 1, "ids": ["c"]}
    assert report["not_asked"]["count"] == COUNT - 3
    assert report["not_in_data"]["ids"] == ["s99"]
    assert report["asked"] == 2 and report["samples"] == 4


def test_the_flag_against_a_known_truth(results, tmp_path):
    truth = tmp_path / "truth.jsonl"
    planted = [json.dumps({"id": f"s{n}", "planted": n in (0, 3, 5)}) + "\n" for n in range(7)]
    truth.write_text("".join(planted))
    report = as_json("boundaries", results, "--out", tmp_path / "b.jsonl", "--truth", truth)
    assert report["against_truth"] == {
        "known": 7, "planted": 3, "flagged": 3, "right": 2, "precision": 2 / 3, "recall": 2 / 3,
        "unknown_flagged": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--agree", 0, "agree is 0; allowed: a whole number from 1"),
        ("--agree", 4, "s0: 3 answers, and 4 must agree"),
        ("--least-seconds", 0, "least_seconds is 0"),
        ("--margin-share", 2, "margin_share is 2"),
        ("--truth", "no.jsonl", "no.jsonl: cannot be read"),
        ("--task", "curate_difficulty", "no sample log of curate_difficulty"),
    ],
)
def test_what_the_user_can_mend_is_one_line(results, tmp_path, option, value, message):
    out = tmp_path / "b.jsonl"
    error = as_json("boundaries", results, "--out", out, option, value, status=1)["error"]
    assert message in error and not out.exists()


def test_logs_of_difficulty_are_told_apart(results, tmp_path):
    out = tmp_path / "b.jsonl"
    write_log(results / "model", [], "curate_difficulty")
    assert as_json("boundaries", results, "--out", out)["logs"] == 1
    write_log(results / "model", [], "curate_boundaries_think")
    error = as_json("boundaries", results, "--out", out, status=1)["error"]
    assert "logs of several tasks: curate_boundaries, curate_boundaries_think" in error


def test_logs_without_any_sample(tmp_path):
    out = tmp_path / "b.jsonl"
    write_log(tmp_path / "results", [log_line(0, failed=True)], "curate_boundaries")
    error = as_json("boundaries", tmp_path / "results", "--out", out, status=1)["error"]
    assert "no sample was looked at: 1 videos failed" in error and not out.exists()


def test_partial_samples_are_dropped_before_the_method_chooses(results, data, difficulty, tmp_path):
    boundaries, out = tmp_path / "b.jsonl", tmp_path / "selected.jsonl"
    run("boundaries", results, "--out", boundaries)
    command = ("select", data, "--difficulty", difficulty, "--method", "stratified", "--out", out)
    report = as_json(*command, "--share", 0.5, "--boundaries", boundaries)
    assert report["dropped"] == {"partial": 4, "not_drawn": 4}
    assert report["selected"] == 4, "half of the eight complete ones"
    assert report["without_boundaries"]["count"] == 0
    chosen = {sample.id for sample in load_samples(out)}
    assert not any(is_partial(int(id[1:])) for id in chosen)
    first = out.read_bytes()
    as_json(*command, "--share", 0.5, "--boundaries", boundaries)
    assert out.read_bytes() == first
    assert "partial" not in as_json(*command, "--share", 1.0)["dropped"]


def test_samples_without_reflection_stay_and_are_named(results, data, difficulty, tmp_path):
    boundaries = tmp_path / "b.jsonl"
    run("boundaries", results, "--out", boundaries)
    lines = boundaries.read_text().splitlines(keepends=True)
    boundaries.write_text("".join(line for line in lines if '"s0"' not in line))
    report = as_json(
        "select", data, "--difficulty", difficulty, "--method", "random",
        "--boundaries", boundaries, "--out", tmp_path / "s.jsonl",
    )  # fmt: skip
    assert report["without_boundaries"] == {"count": 1, "ids": ["s0"]}
    assert report["selected"] == COUNT - 3


def test_boundaries_of_other_spans_and_of_nothing_complete(results, data, difficulty, tmp_path):
    boundaries = tmp_path / "b.jsonl"
    command = ("select", data, "--difficulty", difficulty, "--method", "random",
               "--boundaries", boundaries, "--out", tmp_path / "s.jsonl")  # fmt: skip
    run("boundaries", results, "--out", boundaries, "--agree", 1)
    error = as_json(*command, status=1)["error"]
    assert f"all {COUNT} measured samples are partial" in error
    run("boundaries", results, "--out", boundaries)
    data.write_text(data.read_text().replace("[[2.0, 6.0]]", "[[2.0, 7.0]]", 1))
    error = as_json(*command, status=1)["error"]
    assert "1 samples whose spans are others than in the data, such as 's0'" in error


def test_the_report_draws_counts_and_strips(results, data, difficulty, tmp_path, write_video):
    frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)
    for number in (0, 3, 6):  # the video of s9 is missing
        write_video(tmp_path / f"v{number}.mp4", frames, fps=2)
    boundaries, folder = tmp_path / "b.jsonl", tmp_path / "deep/report"
    run("boundaries", results, "--out", boundaries)
    command = ("select", data, "--difficulty", difficulty, "--method", "stratified", "--share", 0.5,
               "--boundaries", boundaries, "--report", folder)  # fmt: skip
    report = as_json(*command, "--out", tmp_path / "s.jsonl")
    assert report["report"] == [str(folder / name) for name in ("selection.png", "selection.json")]
    picture = folder / "selection.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    numbers = json.loads((folder / "selection.json").read_text())
    assert sorted(numbers["examples"]) == ["s0", "s3", "s6"]
    assert numbers["dropped"]["partial"] == ["s0", "s3", "s6", "s9"]
    for name in ("difficulty", "spread"):
        counts = numbers[name]
        assert len(counts["edges"]) == len(counts["before"]) + 1
        assert sum(counts["before"]) == COUNT and sum(counts["after"]) == 4
        pairs = zip(counts["before"], counts["after"], strict=True)
        assert all(before >= after for before, after in pairs)
    assert {name: sum(fates.values()) for name, fates in numbers["sources"].items()} == {
        "even": 6, "odd": 6,
    }  # fmt: skip
    assert sum(fates["partial"] for fates in numbers["sources"].values()) == 4
    assert len(numbers["ids"]) == 4

    with_strips = size(picture)
    as_json(*command, "--out", tmp_path / "s.jsonl", "--examples", 0)
    assert json.loads((folder / "selection.json").read_text())["examples"] == []
    assert size(picture)[1] < with_strips[1] and size(picture)[0] == with_strips[0]


def test_a_report_without_reflection(data, difficulty, tmp_path):
    as_json(
        "select", data, "--difficulty", difficulty, "--method", "gaussian", "--count", 3,
        "--out", tmp_path / "s.jsonl", "--report", tmp_path / "report",
    )  # fmt: skip
    numbers = json.loads((tmp_path / "report/selection.json").read_text())
    assert numbers["examples"] == [] and numbers["without_boundaries"] is None
    assert numbers["selected"] == 3 and (tmp_path / "report/selection.png").is_file()


def size(picture: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(picture) as image:
        return image.size


def test_moments_can_be_planted_in_real_annotations(data, tmp_path):
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    for row in rows[:8]:
        row["spans"] = [[1.0, 3.0], [6.0, 9.0]]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, truth = tmp_path / "planted.jsonl", tmp_path / "truth.jsonl"
    report = as_json("plant", data, "--out", out, "--truth", truth, "--seed", 2)
    assert (report["samples"], report["with_several_spans"]) == (COUNT, 8)
    told = {row["id"]: row["planted"] for row in map(json.loads, truth.read_text().splitlines())}
    samples = load_samples(out)
    assert {sample.id: len(sample.spans) == 1 for sample in samples} == told
    assert report["planted"] == sum(told.values())
    data.write_text("".join(json.dumps(row) + "\n" for row in rows[8:]))
    error = as_json("plant", data, "--out", out, "--truth", truth, status=1)["error"]
    assert "none of the 4 samples" in error and "has several spans" in error


@pytest.mark.parametrize("command", ["boundaries", "plant"])
def test_help_shows_an_example(command):
    text = run(command, "--help")
    assert f"Example: temporal-plugin curate {command}" in " ".join(text.split())
