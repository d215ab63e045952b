"""`temporal-plugin curate`: from the logs of an lmms-eval run to a file that training takes."""

import json
import random

import pytest
from typer.testing import CliRunner

from temporal_plugin.annotations import load_samples
from temporal_plugin.cli import app
from temporal_plugin.curation import difficulty as difficulties

TRUTH = [[2.0, 6.0]]
COUNT = 12


def log_line(number, *, ends=(6.0, 4.0), failed=False, task="curate_difficulty"):
    """A line of lmms-eval's sample log, as our tasks write it."""
    predictions = [[[2.0, end]] for end in ends]
    details = {
        "score": 0.5, "video": f"v{number}", "id": f"s{number}", "query": "q", "duration": 8.0,
        "path": f"/v{number}.mp4", "prediction": predictions[0], "truth": TRUTH,
        "well_formed": True, "problem": None, "response": "r", "prompt": "answer",
        "prompt_fingerprint": "f", "responses": ["r"] * len(ends), "predictions": predictions,
    }  # fmt: skip
    item = {"video": f"v{number}"}
    return {
        "doc_id": number,
        "doc": {},
        "miou": details,
        "parse_failure": {"score": 0.0, **item},
        "request_failure": {"score": float(failed), **item},
    }


def write_log(folder, lines, task="curate_difficulty", date="20260101_000000"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date}_samples_{task}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def ends(number):
    """Answers of sample `number`: from nearly right to hopeless."""
    return (6.0 - number / 4, 2.0 + number / 4)


@pytest.fixture
def data(tmp_path):
    rows = [
        {
            "id": f"s{number}", "task": "grounding", "video": f"v{number}.mp4", "query": "q",
            "spans": TRUTH, "duration": 8.0, "source": "even" if number % 2 == 0 else "odd",
        }
        for number in range(COUNT)
    ]  # fmt: skip
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def results(tmp_path):
    write_log(tmp_path / "results/model", [log_line(n, ends=ends(n)) for n in range(COUNT)])
    return tmp_path / "results"


def run(*arguments, status=0):
    found = CliRunner().invoke(app, ["curate", *map(str, arguments)])
    assert found.exit_code == status, found.output
    return found.output


def as_json(*arguments, status=0):
    return json.loads(run(*arguments, "--json", status=status))


def test_from_logs_to_a_file_that_training_takes(results, data, tmp_path):
    out, chosen = tmp_path / "difficulty.jsonl", tmp_path / "selected.jsonl"
    report = as_json("difficulty", results, "--out", out, "--data", data)
    assert report["measured"] == COUNT and report["answers_per_sample"] == {"2": COUNT}
    assert report["not_asked"]["count"] == report["not_in_data"]["count"] == 0
    assert sum(report["difficulty"]) == COUNT
    rows = difficulties.read(out)
    assert rows["s4"].ious == (0.75, 0.25) and rows["s4"].source == "even"

    report = as_json(
        "select", data, "--difficulty", out, "--method", "range", "--low", 0.3, "--high", 0.9,
        "--count", 5, "--out", chosen,
    )  # fmt: skip
    assert report["selected"] == 5
    config = tmp_path / "data.yaml"
    config.write_text("datasets:\n  - {json_path: selected.jsonl, format: jsonl}\n")
    for path in (chosen, config):
        samples = load_samples(path)
        assert len(samples) == 5
        values = [sample.extra["difficulty"] for sample in samples]
        assert values == sorted(values), "range writes from easy to hard"
        assert all(sample.extra["spread"] >= 0 for sample in samples)
        assert samples[0].video == str(tmp_path / f"v{samples[0].id[1:]}.mp4")


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_in_one_folder_or_several_give_the_same_bytes(results, tmp_path, shards):
    whole = tmp_path / "whole.jsonl"
    run("difficulty", results, "--out", whole)
    lines = [log_line(n, ends=ends(n)) for n in range(COUNT)]
    random.Random(shards).shuffle(lines)
    folders = []
    for number in range(shards):
        part, folder = lines[number::shards], tmp_path / f"shard{number % 2}"
        write_log(folder / "model", part, date=f"2026010{number}_000000")
        folders.append(folder)
    merged = tmp_path / "merged.jsonl"
    # a folder that is named twice counts once
    assert as_json("difficulty", *folders, "--out", merged)["logs"] == shards
    assert merged.read_bytes() == whole.read_bytes()


def test_a_copy_of_a_shard_counts_once_and_a_second_run_is_an_error(results, tmp_path):
    out = tmp_path / "d.jsonl"
    write_log(tmp_path / "copy", [log_line(n, ends=ends(n)) for n in range(3)])
    report = as_json("difficulty", results, tmp_path / "copy", "--out", out)
    assert report["copies"] == 3 and report["measured"] == COUNT
    write_log(tmp_path / "again", [log_line(3, ends=(2.5,))])
    error = as_json("difficulty", results, tmp_path / "again", "--out", out, status=1)
    assert "'s3' was answered twice, differently" in error["error"]


def test_failed_missing_and_foreign_samples_are_named(data, tmp_path):
    lines = [log_line(n, failed=n == 1) for n in range(3)] + [log_line(99)]
    write_log(tmp_path / "results", lines)
    out = tmp_path / "d.jsonl"
    report = as_json("difficulty", tmp_path / "results", "--out", out, "--data", data)
    assert report["failed_videos"] == {"count": 1, "ids": ["s1"]}
    assert report["not_asked"]["count"] == COUNT - 3
    assert report["not_in_data"] == {"count": 1, "ids": ["s99"]}
    report = as_json(
        "select", data, "--difficulty", out, "--method", "random", "--out", tmp_path / "s.jsonl",
        "--max-listed", 2,
    )  # fmt: skip
    assert report["selected"] == 2
    assert report["without_difficulty"] == {"count": COUNT - 2, "ids": ["s1", "s10"]}
    assert report["not_in_data"] == {"count": 1, "ids": ["s99"]}


@pytest.mark.parametrize(
    ("method", "settings", "rule"),
    [
        ("gaussian", ("--mean", 0.4, "--width", 0.1, "--count", 3, "--seed", 1), "not_drawn"),
        ("random", ("--count", 3, "--seed", 1), "not_drawn"),
        ("variance", ("--min-spread", 0.1, "--count", 3), "smaller_spread"),
        ("stratified", ("--share", 0.25, "--easy-below", 0.4, "--seed", 1), "not_drawn"),
    ],
)
def test_every_method(results, data, tmp_path, method, settings, rule):
    out, chosen = tmp_path / "d.jsonl", tmp_path / "s.jsonl"
    run("difficulty", results, "--out", out)
    command = ("select", data, "--difficulty", out, "--method", method, *settings, "--out", chosen)
    report = as_json(*command)
    assert report["selected"] == 3 and report["dropped"][rule] > 0
    first = chosen.read_bytes()
    lines = data.read_text().splitlines(keepends=True)
    data.write_text("".join(reversed(lines)))
    run(*command)
    assert chosen.read_bytes() == first, "the order of the rows changes nothing"


def test_people_get_counts_names_and_a_histogram(results, data, tmp_path):
    text = run("difficulty", results, "--out", tmp_path / "d.jsonl", "--data", data)
    assert "measured: 12" in text and "not asked: 0" in text
    assert "0.5 to 0.6" in text and "###" in text
    assert "wrote" not in text and str(tmp_path / "d.jsonl") in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "best"), "method is 'best'; allowed: gaussian"),
        (("--method", "range", "--seed", 3), "method range takes no ['seed']"),
        (("--method", "stratified"), "needs one of count and share"),
        (("--method", "range", "--low", 0.98, "--high", 0.99), "no sample is left; dropped"),
    ],
)
def test_what_the_user_can_mend_is_one_line(results, data, tmp_path, arguments, message):
    run("difficulty", results, "--out", tmp_path / "d.jsonl")
    error = as_json(
        "select", data, "--difficulty", tmp_path / "d.jsonl", *arguments,
        "--out", tmp_path / "s.jsonl", status=1,
    )  # fmt: skip
    assert message in error["error"]
    assert not (tmp_path / "s.jsonl").exists()


def test_no_log_and_other_logs(results, tmp_path):
    out = ("--out", tmp_path / "d.jsonl")
    (tmp_path / "empty").mkdir()
    error = as_json("difficulty", tmp_path / "empty", *out, status=1)["error"]
    assert "no sample log of curate_difficulty" in error and "--log_samples" in error
    write_log(results, [log_line(0)], task="curate_difficulty_greedy")
    error = as_json("difficulty", results, *out, status=1)["error"]
    assert "logs of several tasks: curate_difficulty, curate_difficulty_greedy" in error
    assert as_json("difficulty", results, *out, "--task", "curate_difficulty_greedy")["logs"] == 1
    write_log(results, [log_line(0)], task="other")
    assert as_json("difficulty", results, *out, "--task", "curate_difficulty")["measured"] == COUNT


def test_a_file_that_is_no_log_is_named(tmp_path):
    path = tmp_path / "x_samples_curate_difficulty.jsonl"
    path.write_text('{"doc_id": 0, "acc": 1}\n')
    error = as_json("difficulty", path, "--out", tmp_path / "d.jsonl", status=1)["error"]
    assert str(path) in error and "no sample log of our tasks" in error


@pytest.mark.parametrize("command", ["difficulty", "select"])
def test_help_shows_an_example(command):
    text = run(command, "--help")
    assert f"Example: temporal-plugin curate {command}" in " ".join(text.split())
