"""The table of searches, from sample logs as the search tasks write them."""

import pytest
from result_files import our_line, write_run
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.report.entries import read_entries
from temporal_plugin.report.evaluation import groups_of
from temporal_plugin.report.searches import search_table

SCORES = {"accuracy": 1.0, "temporal_f1": 0.5, "searched": 1.0, "completeness": 0.5,
          "parse_failure": 0.0, "request_failure": 0.0}  # fmt: skip
TASK = "temporal_search_loop_haystack_lvbench"


def a_try(frames, **counters):
    return {"score": 1.0, "frames": frames, "turns": [], "counters": counters, "verified": None}


def line(number, tries):
    found = our_line(number, SCORES, details="accuracy")
    found["accuracy"]["tries"] = tries
    return found


@pytest.fixture
def run(tmp_path):
    def write(*tries):
        lines = [line(number, each) for number, each in enumerate(tries)]
        write_run(tmp_path / "r", task=TASK, scores=[SCORES] * len(lines), lines=lines)
        return str(tmp_path / "r")

    return write


def table_of(path):
    (group,) = groups_of(read_entries([path]))
    return search_table(group)


def test_means_are_over_all_searches(run):
    path = run(
        [a_try(8, turns=3, searches=2, malformed=1), a_try(0, turns=1)],
        [a_try(4, turns=2, searches=1, forced_answer=1)],
    )
    table = table_of(path)
    ((label, count, *means),) = table.rows
    assert (label, count) == ("tiny", "3")
    assert means == ["4.00", "1.00", "2.00", "0.00", "0.33", "0.33", "0.00"]
    found = CliRunner().invoke(app, ["report", path])
    assert found.exit_code == 0, found.output
    assert "searches" in found.output and "Comp." in found.output
    assert "TimeSearch-R" in found.output  # the published rows stand below


def test_other_runs_have_no_such_table(tmp_path):
    write_run(tmp_path / "r")
    assert table_of(str(tmp_path / "r")) is None


@pytest.mark.parametrize(
    "tries", [None, "x", 3, ["x"], [None], [{"counters": 4, "frames": "many"}], [{"frames": True}]]
)
def test_odd_logs_count_nothing(run, tries):
    table = table_of(run(tries))
    if isinstance(tries, list):
        assert table.rows[0][2:] == tuple(["0.00"] * 7)
    else:
        assert table is None
