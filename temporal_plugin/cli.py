"""The command `temporal-plugin`. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin import frames_command
from temporal_plugin.demo import command
from temporal_plugin.doctor import command as doctor_command

if TYPE_CHECKING:
    from rich.console import Console

    from temporal_plugin.annotations import Loaded
    from temporal_plugin.annotations.check import VideoProblem

app = typer.Typer(
    name="temporal-plugin",
    help="Teach vision-language models to ground events in video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at annotation files and videos.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(frames_command.app, name="frames")
app.command("demo", epilog=command.EXAMPLE)(command.demo)
app.command("doctor", epilog=doctor_command.EXAMPLE)(doctor_command.doctor)


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Teach vision-language models to ground events in video."""
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=False)
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])


CHECK_EXAMPLE = """Example: temporal-plugin data check charades_sta.yaml, where the file holds

\b
  datasets:
    - json_path: charades_sta_train.json
      data_folder: videos
      format: charades_sta
      split: train
"""


@data_app.command("check", epilog=CHECK_EXAMPLE)
def check(
    config: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    max_listed: Annotated[
        int, typer.Option(min=0, help="List at most so many problems of a kind.")
    ] = 20,
) -> None:
    """Load every row and open every video, and list all that is wrong.

    Exit status 1 when a row is malformed, a video cannot be used or nothing is left to load.
    Rows dropped or changed for their spans, as `on_bad_span` says, are counted but no error.
    """
    from rich.console import Console

    from temporal_plugin.annotations import AnnotationError, load
    from temporal_plugin.annotations.check import check_videos

    try:
        loaded = load(config, collect_errors=True)
        problems = check_videos(loaded.samples)
    except (AnnotationError, ImportError) as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "error": str(error)}))
        else:
            Console(stderr=True).print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    malformed = [error for report in loaded.reports for error in report.errors]
    ok = bool(loaded.samples) and not malformed and not problems
    if as_json:
        typer.echo(json.dumps(_as_json(loaded, problems, ok, max_listed), indent=2))
    else:
        _print(Console(), loaded, problems, max_listed)
    raise typer.Exit(0 if ok else 1)


def _as_json(
    loaded: Loaded, problems: list[VideoProblem], ok: bool, max_listed: int
) -> dict[str, Any]:
    from dataclasses import asdict

    reports = [report.to_dict() for report in loaded.reports]
    for report in reports:
        report["error_count"] = len(report["errors"])
        report["errors"] = report["errors"][:max_listed]
    return {
        "ok": ok,
        "samples": len(loaded.samples),
        "videos": len({sample.video for sample in loaded.samples}),
        "sources": _by_source(loaded),
        "files": reports,
        "video_problem_count": len(problems),
        "video_problems": [asdict(problem) for problem in problems[:max_listed]],
    }


def _by_source(loaded: Loaded) -> list[dict[str, Any]]:
    videos: dict[tuple[str, str], list[str]] = {}
    for sample in loaded.samples:
        videos.setdefault((sample.source, sample.split), []).append(sample.video)
    return [
        {"source": source, "split": split, "samples": len(paths), "videos": len(set(paths))}
        for (source, split), paths in videos.items()
    ]


def _print(console: Console, loaded: Loaded, problems: list[VideoProblem], max_listed: int) -> None:
    from rich.table import Table

    columns = ("read", "dropped", "changed", "kept", "selected")
    table = Table("rows of", *columns, box=None, pad_edge=False)
    for report in loaded.reports:
        counts = (str(getattr(report, name)) for name in columns)
        table.add_row(Path(report.path).name, *counts)
    console.print(table)
    table = Table("source", "split", "samples", "videos", box=None, pad_edge=False)
    for row in _by_source(loaded):
        table.add_row(*(str(value) or "-" for value in row.values()))
    console.print()
    console.print(table)

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for report in loaded.reports:
        line(f"\n{report.path}")
        for text, _ in report.lines():
            line(f"  {text}")
        _list(line, "malformed rows", [str(error) for error in report.errors], max_listed)
    videos = len({sample.video for sample in loaded.samples})
    line(f"\n{len(loaded.samples)} samples, {videos} videos, {len(problems)} video problems")
    texts = [f"{p.path}: {p.reason} ({p.samples} samples); {p.remedy}" for p in problems]
    _list(line, "missing or unreadable videos", texts, max_listed)
    if not loaded.samples:
        line("error: no sample is left to load")


def _list(line: Callable[[str], None], title: str, texts: list[str], max_listed: int) -> None:
    if not texts:
        return
    line(f"  {len(texts)} {title}:")
    for text in texts[:max_listed]:
        line(f"    {text}")
    if len(texts) > max_listed:
        line(f"    and {len(texts) - max_listed} more (--max-listed)")
