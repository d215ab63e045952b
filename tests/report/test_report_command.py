"""`temporal-plugin report` as people call it."""

import csv
import json

import pytest
from result_files import grounding_scores, our_line, random_scores, write_run, write_upstream_run
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.report.command import EXAMPLE
from temporal_plugin.report.tables import Table


def report(*arguments, width="120"):
    return CliRunner().invoke(app, ["report", *map(str, arguments)], env={"COLUMNS": width})


@pytest.fixture
def two(tmp_path):
    write_run(tmp_path / "a", scores=[grounding_scores(0.2 + 0.01 * k) for k in range(12)])
    write_run(
        tmp_path / "b",
        scores=[grounding_scores(0.6 + 0.01 * k) for k in range(12)],
        prompt="think_answer",
    )
    return f"sft={tmp_path / 'a'}", f"grpo={tmp_path / 'b'}"


def test_help_holds_an_example():
    found = report("--help")
    assert found.exit_code == 0
    assert "Example: temporal-plugin report before=" in found.stdout
    assert EXAMPLE.startswith("Example: temporal-plugin report")


def test_the_tables(two):
    found = report(*two, "--by", "type")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    (sft,) = [line for line in lines if line.strip().startswith("sft ")][:1]
    assert sft.split()[1] == "12"  # no mark: the others are compared with it
    assert "25.5±1.0" in sft  # mean IoU in percent, one clustered standard error
    (grpo,) = [line for line in lines if line.strip().startswith("grpo ")][:1]
    assert grpo.split()[1:3] == ["a", "12"]
    assert "a: other prompt (sft: answer (0123); grpo: think_answer (0123))" in found.stdout
    (published,) = [line for line in lines if line.strip().startswith("Time-R1-7B, zero-shot")]
    assert published.split()[2:] == ["[2]", "78.1", "60.8", "35.3"]
    assert "[2] published: Time-R1, repository" in found.stdout
    assert "grpo against sft" in found.stdout
    assert "+0.400" in found.stdout and "+0.400 to +0.400" in found.stdout
    assert "12 questions, the same in both; paired bootstrap over videos" in found.stdout
    assert "Charades-STA by type" in found.stdout
    assert sum(line.split()[:1] == ["pose"] for line in lines) == 2


@pytest.mark.parametrize("width", ["40", "80", "250"])
def test_numbers_stay_whole_at_any_width(two, width):
    assert "25.5±1.0" in report(*two, width=width).stdout


def test_no_published_rows_on_request(two):
    assert "Time-R1" not in report(*two, "--no-published").stdout


def test_other_questions_are_refused_and_shared_ones_compared(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", scores=random_scores(8))
    found = report(tmp_path / "a", tmp_path / "b").stdout
    assert "not compared: the questions differ (8 questions shared" in found
    assert "other questions (tiny [a]: 12 of 12; tiny [b]: 8 of 12)" in found
    found = report(tmp_path / "a", tmp_path / "b", "--intersection").stdout
    assert "8 questions shared; 4 only in tiny [a], 0 only in tiny [b]; paired" in found


def test_csv_holds_every_number(two, tmp_path):
    path = tmp_path / "out.csv"
    found = report(*two, "--csv", path)
    assert f"wrote {path}" in found.stdout
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    (miou,) = [r for r in rows if (r["name"], r["metric"], r["category"]) == ("grpo", "miou", "")]
    assert float(miou["value"]) == pytest.approx(0.655)
    assert (miou["stderr"], miou["questions"], miou["differs_in"]) == ("0.01", "12", "prompt")
    (pose,) = [
        r for r in rows if (r["name"], r["metric"], r["category"]) == ("sft", "miou", "type=pose")
    ]
    assert float(pose["value"]) == pytest.approx(0.245) and pose["questions"] == "4"
    (known,) = [
        r
        for r in rows
        if (r["name"], r["setting"], r["metric"]) == ("Time-R1-7B", "zero-shot", "r1@0.5")
    ]
    assert float(known["value"]) == pytest.approx(0.608) and known["second_hand"] == "False"


def test_markdown_holds_the_same_tables(two, tmp_path):
    path = tmp_path / "out.md"
    assert report(*two, "--markdown", path, "--by", "type").exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## Charades-STA (temporal_grounding_charades)",
        "## grpo against sft",
        "## Charades-STA by type",
    ]
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert any(line.startswith("| Time-R1-7B, zero-shot | [2] |") for line in tables)


def test_json_holds_it_all(two):
    found = json.loads(report(*two, "--json").stdout)
    assert found["ok"] is True
    (group,) = found["benchmarks"]
    assert group["benchmark"] == "charades_sta"
    assert [run["name"] for run in group["runs"]] == ["sft", "grpo"]
    assert group["runs"][0]["metrics"]["miou"] == {"value": pytest.approx(0.255), "stderr": 0.01}
    assert group["differing"] == {"prompt": {"sft": "answer (0123)", "grpo": "think_answer (0123)"}}
    (difference,) = group["differences"]
    assert difference["questions"] == 12 and difference["refused"] is None
    assert difference["metrics"]["miou"]["interval_95"] == pytest.approx([0.4, 0.4])
    assert group["breakdowns"]["type"]["sft"]["pose"]["questions"] == 4.0


def test_a_task_of_upstream_is_shown_as_printed(tmp_path):
    write_upstream_run(tmp_path)
    found = report(tmp_path).stdout
    assert "MVBench: mvbench_action" in found
    assert "mme_score" in found and " 0.5 " in found
    assert "percent" not in found


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "does not exist; name the folder"),
        (lambda folder: folder.mkdir(), "it exits with 0 even then"),
        (
            lambda folder: write_run(folder).write_text("{"),
            "is not a results file of lmms-eval",
        ),
        (
            lambda folder: write_run(folder, lines=[{"doc_id": "x"}]),
            "is not a line of a sample log",
        ),
    ],
)
def test_errors_are_one_clear_line(tmp_path, make, message):
    folder = tmp_path / "results"
    make(folder)
    found = report(folder)
    assert found.exit_code == 1
    assert message in found.stderr and "Traceback" not in found.output
    as_json = report(folder, "--json")
    assert as_json.exit_code == 1
    answer = json.loads(as_json.stdout)
    assert answer["ok"] is False and message in answer["error"]


def test_a_field_that_no_log_has_names_those_there(two, tmp_path):
    found = report(*two, "--by", "length")
    assert found.exit_code == 1
    assert "--by length: the logs hold type" in found.stderr
    write_upstream_run(tmp_path / "c")
    assert "the logs hold no field" in report(tmp_path / "c", "--by", "type").stderr


def test_a_log_that_lost_lines_is_noticed(tmp_path):
    lines = [our_line(k, scores) for k, scores in enumerate(random_scores(10))]
    write_run(tmp_path, scores=random_scores(12), lines=lines)
    assert "tiny: the sample log holds 10 of 12 questions" in report(tmp_path).stdout


def test_names_with_markup_are_text(tmp_path):
    write_run(tmp_path / "a", model="x/[red]m|n[red]")
    found = report(tmp_path / "a", "--markdown", tmp_path / "out.md")
    assert "m|n[" in found.stdout
    assert "m\\|n[" in (tmp_path / "out.md").read_text()


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_plot_is_drawn(two, tmp_path, ending):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"out.{ending}"
    found = report(*two, "--plot", path)
    assert found.exit_code == 0, found.output
    head = path.read_bytes()[:8]
    assert {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending] in head


def test_choices_and_upstream_are_drawn_as_bars(tmp_path):
    pytest.importorskip("matplotlib")
    scores = [{"accuracy": float(k % 2), "parse_failure": 0.0} for k in range(12)]
    lines = [our_line(k, s, details="accuracy") for k, s in enumerate(scores)]
    write_run(tmp_path / "a", task="temporal_tempcompass", scores=scores, lines=lines)
    write_upstream_run(tmp_path / "b")
    path = tmp_path / "out.png"
    found = report(tmp_path / "a", tmp_path / "b", "--plot", path, "--by", "type")
    assert found.exit_code == 0, found.output
    assert path.stat().st_size > 20_000


def test_another_ending_is_refused(two, tmp_path):
    found = report(*two, "--plot", tmp_path / "out.html")
    assert found.exit_code == 1
    assert "must be one of .png, .svg, .pdf" in found.stderr


def test_the_recall_curve_counts_what_is_reached():
    np = pytest.importorskip("numpy")
    from temporal_plugin.report.evaluation_plot import LEVELS, recall_curve

    curve = recall_curve(np.array([0.0, 0.5, 1.0, 0.3]))
    at = {round(float(level), 2): value for level, value in zip(LEVELS, curve, strict=True)}
    assert (at[0.01], at[0.5], at[0.51], at[1.0]) == (0.75, 0.5, 0.25, 0.25)


def test_a_refused_comparison_is_text_in_markdown(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", scores=random_scores(8))
    path = tmp_path / "out.md"
    report(tmp_path / "a", tmp_path / "b", "--markdown", path)
    _, _, part = path.read_text(encoding="utf-8").partition("## tiny [b] against tiny [a]\n\n")
    assert part.startswith("- not compared: the questions differ")
    assert "|" not in part


def test_a_table_wants_a_cell_per_heading():
    with pytest.raises(ValueError, match="2 headings"):
        Table(("a", "b"), [("1",)])


def test_several_benchmarks_begin_with_an_overview(two, tmp_path):
    write_upstream_run(tmp_path / "c")
    path = tmp_path / "out.md"
    found = report(*two, tmp_path / "c", "--markdown", path)
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["Overview"]
    (grpo,) = [line for line in lines if line.strip().startswith("Charades-STA") and "grpo" in line]
    assert grpo.split() == ["Charades-STA", "grpo", "12", "mIoU", "65.5±1.0", "0.0", "0.0"]
    assert path.read_text(encoding="utf-8").startswith("## Overview")
    assert "Overview" not in report(*two).stdout


def test_long_names_do_not_widen_the_columns(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name, model=f"organisation/a-model-with-a-rather-long-name-{name}")
    found = report(tmp_path / "a", tmp_path / "b").stdout
    assert "second: a-model-with-a-rather-long-name-b; first: a-model" in found
