"""The two stages of the search filter: the rules, the shards, and what is wrong."""

import json
import random

import pytest
from typer.testing import CliRunner

from temporal_plugin.annotations import load_samples
from temporal_plugin.cli import app
from temporal_plugin.curation.search_filter import (
    EASY,
    FAILED_SEARCH,
    FAILED_UNIFORM,
    FRAMES,
    HARD,
    NOT_SEARCHED,
    Tries,
    from_log,
    search_filter,
)


def row(id, *tries, failed=False):
    """A row of a sample log: tries as (score, frames)."""
    found = [{"score": score, "frames": frames} for score, frames in tries]
    return {"id": id, "tries": found, "response": "r", "request_failed": failed}


UNIFORM = [
    row("easy", (1.0, 4)),
    row("lucky", (0.0, 4), (1.0, 4)),
    row("kept", (0.0, 4)),
    row("hard", (0.0, 4)),
    row("wide", (0.0, 4)),
    row("half", (0.5, 4)),
    row("broken", (0.0, 4), failed=True),
    row("lost", (0.0, 4)),
    row("late", (0.0, 4)),
    row("stranger", (0.0, 4)),
]
SEARCH = [
    row("kept", (0.0, 8), (1.0, 64)),
    row("hard", (0.0, 8), (0.5, 8)),
    row("wide", (1.0, 65), (0.0, 8)),
    row("half", (0.51, 1), (1.0, 2)),
    row("lost", (0.0, 0), failed=True),
]
IDS = ["half", "easy", "lucky", "kept", "hard", "wide", "broken", "lost", "late", "unasked"]


def test_every_rule():
    found = search_filter(IDS, from_log(UNIFORM), from_log(SEARCH))
    assert found.ids == ("half", "kept")  # in the order of the data
    assert found.dropped == {
        EASY: ("easy", "lucky"),
        HARD: ("hard",),
        FRAMES: ("wide",),
        FAILED_UNIFORM: ("broken",),
        FAILED_SEARCH: ("lost",),
        NOT_SEARCHED: ("late",),
    }
    assert found.missing == ("unasked",)
    assert found.extra == ("stranger",)
    # nothing is counted twice and nothing is lost
    parts = [*found.ids, *found.missing, *(id for ids in found.dropped.values() for id in ids)]
    assert sorted(parts) == sorted(IDS)


def test_the_first_stage_alone():
    found = search_filter(IDS, from_log(UNIFORM))
    assert found.ids == ("half", "kept", "hard", "wide", "lost", "late")
    assert set(found.dropped) == {EASY, FAILED_UNIFORM}


def test_limits_are_settings():
    asked = from_log(UNIFORM), from_log(SEARCH)
    assert "wide" in search_filter(IDS, *asked, max_frames=65).ids
    assert "kept" not in search_filter(IDS, *asked, max_frames=63).ids
    assert "half" not in search_filter(IDS, *asked, solved_above=0.4).ids
    for wrong in ({"max_frames": 0}, {"solved_above": 1.0}, {"solved_above": -0.1}):
        with pytest.raises(ValueError, match="allowed"):
            search_filter(IDS, *asked, **wrong)
    with pytest.raises(ValueError, match="none of the 1 samples is among the 10"):
        search_filter(["other"], *asked)


def test_shards_in_any_order_give_the_same():
    whole = from_log(SEARCH)
    for seed in range(5):
        rows = [*SEARCH, SEARCH[0]]
        random.Random(seed).shuffle(rows)
        merged = from_log(rows)
        assert (merged.rows, merged.failed) == (whole.rows, whole.failed)
        assert merged.copies == 1


def test_two_runs_are_not_one():
    with pytest.raises(ValueError, match="'a' was answered twice, differently"):
        from_log([row("a", (1.0, 4)), row("a", (0.0, 4))])


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "a"},
        {"id": "a", "tries": "1"},
        {"id": "a", "tries": []},
        {"id": "a", "tries": [{"score": 1.0}]},
        {"id": "a", "tries": ["x"]},
        {"id": "a", "tries": [{"score": 2.0, "frames": 1}]},
        {"id": "a", "tries": [{"score": float("nan"), "frames": 1}]},
        {"id": "a", "tries": [{"score": 1.0, "frames": -1}]},
        {"id": "a", "tries": [{"score": 1.0, "frames": 1.5}]},
        {"id": "a", "tries": [{"score": 1.0, "frames": True}]},
    ],
)
def test_rows_of_other_tasks_are_refused(wrong):
    with pytest.raises(ValueError, match=r"'a'|^a: "):
        from_log([wrong])


def test_tries_without_an_id():
    with pytest.raises(ValueError, match="needed: the sample's id"):
        Tries("", (1.0,), (1,))


def log_line(number, found):
    details = {key: value for key, value in found.items() if key != "request_failed"}
    return {
        "doc_id": number,
        "accuracy": {"score": 0.0, "video": "v", **details},
        "parse_failure": {"score": 0.0, "video": "v"},
        "request_failure": {"score": float(found["request_failed"]), "video": "v"},
    }


def write_log(folder, task, rows, date="20260101_000000"):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(log_line(number, each)) for number, each in enumerate(rows)]
    (folder / f"{date}_samples_{task}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def data(tmp_path):
    rows = [
        {"id": id, "task": "choice", "video": f"{id}.mp4", "query": "q", "options": ["x", "y"],
         "answer": "A", "duration": 90.0}
        for id in IDS
    ]  # fmt: skip
    path = tmp_path / "all.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["curate", "search-filter", *map(str, arguments)])


def test_command_from_logs_to_samples(tmp_path, data):
    easy = write_log(tmp_path / "easy", "curate_uniform", UNIFORM)
    # two shards, one row in both, beside a log of the other stage
    write_log(tmp_path / "tries", "curate_search", SEARCH[:3])
    write_log(tmp_path / "tries" / "b", "curate_search", SEARCH[2:], date="20260101_000001")
    write_log(tmp_path / "tries", "curate_uniform", UNIFORM)
    first = run(data, "--uniform", easy, "--out", tmp_path / "first.jsonl")
    assert first.exit_code == 0, first.output
    assert "solved by uniform frames: 2 (easy, lucky)" in first.output
    assert [each.id for each in load_samples(tmp_path / "first.jsonl")][:2] == ["half", "kept"]
    out = tmp_path / "kept.jsonl"
    places = ("--uniform", easy, "--search", tmp_path / "tries")
    found = run(data, *places, "--out", out, "--json", "--max-listed", "1")
    assert found.exit_code == 0, found.output
    report = json.loads(found.output)
    assert (report["samples"], report["kept"], report["copies"]) == (10, 2, 1)
    assert report["dropped"][EASY] == {"count": 2, "ids": ["easy"]}
    kept = load_samples(out)
    assert [each.id for each in kept] == ["half", "kept"]
    assert kept[0].extra["searched"] == {"solved": 2, "tries": 2}
    assert kept[1].extra["searched"] == {"solved": 1, "tries": 2}


def test_command_says_what_is_wrong(tmp_path, data):
    easy = write_log(tmp_path / "easy", "curate_uniform", [row(id, (1.0, 4)) for id in IDS])
    nothing = run(data, "--uniform", easy, "--out", tmp_path / "out.jsonl")
    assert nothing.exit_code == 1 and "no sample is left" in nothing.output
    assert not (tmp_path / "out.jsonl").exists()
    missing = run(data, "--uniform", tmp_path / "none", "--out", tmp_path / "out.jsonl")
    assert missing.exit_code == 1 and "curate_uniform" in missing.output
