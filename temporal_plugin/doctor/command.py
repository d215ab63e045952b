"""The command `temporal-plugin doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from temporal_plugin.doctor.environment import Finding
    from temporal_plugin.doctor.request import Request
    from temporal_plugin.doctor.time_table import TimeTable

EXAMPLE = "Example: temporal-plugin doctor --model Qwen3-VL-4B --video clip.mp4 --fps 2 --json"
COLOURS = {
    **{"ok": "green", "absent": "yellow", "broken": "red"},
    **{"PASS": "green", "DIFFERS": "red", "FAILED": "red"},
}


def doctor(
    model: Annotated[
        str | None, typer.Option(help="Checkpoint folder; with --video: compare all paths.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="A video to compare all paths on.")] = None,
    fps: Annotated[float, typer.Option(help="Frames per second to sample.")] = 2.0,
    sampling: Annotated[
        str, typer.Option(help="Other settings of the sampling, as a YAML mapping.")
    ] = "{}",
    clip: Annotated[
        str | None, typer.Option(help="Only this part of the file: START-END in seconds.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the frame store.")] = None,
    recipe: Annotated[str, typer.Option(help="verl config of the rollout.")] = "tiny_cpu_vllm",
    max_rows: Annotated[int, typer.Option(min=1, help="Show at most so many steps.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Check this environment and, given a model and a video, what each path tells about time.

    Exit status 1 when something is broken or two paths differ; what is merely not installed is
    listed as absent.
    """
    from rich.console import Console

    from temporal_plugin.doctor.environment import as_rows, examine

    console = Console(stderr=True)
    try:
        request = _request(model, video, fps, sampling, clip, recipe)
        findings = examine(store)
        table = None if request is None else _compare(request, console)
    except (ValueError, OSError) as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "error": str(error)}))
        else:
            console.print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    ok = all(finding.state != "broken" for finding in findings)
    ok = ok and (table is None or table.agrees)
    if as_json:
        time = None if table is None else table.to_dict()
        typer.echo(json.dumps({"ok": ok, "environment": as_rows(findings), "time": time}))
    else:
        _print(Console(), findings, table, max_rows)
    raise typer.Exit(0 if ok else 1)


def _request(
    model: str | None,
    video: Path | None,
    fps: float,
    sampling: str,
    clip: str | None,
    recipe: str,
) -> Request | None:
    import yaml

    from temporal_plugin.doctor.request import Request

    if (model is None) != (video is None):
        raise ValueError("--model and --video belong together: give both or none")
    if model is None or video is None:
        return None
    settings = yaml.safe_load(sampling) or {}
    if not isinstance(settings, dict):
        raise ValueError(
            f"--sampling is {sampling!r}; needed: a mapping such as '{{max_frames: 64}}'"
        )
    if not video.is_file():
        raise ValueError(f"{video}: no such video file")
    # a folder may be named from here, a hub name may not change
    name = str(Path(model).absolute()) if Path(model).is_dir() else model
    settings = {"fps": fps, **settings}
    return Request(name, str(video.absolute()), settings, _clip(clip), recipe=recipe)


def _clip(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        start, end = (float(part) for part in text.split("-"))
    except ValueError:
        raise ValueError(f"--clip is {text!r}; needed: START-END in seconds, as 5-20.5") from None
    return start, end


def _compare(request: Request, console: Console) -> TimeTable:
    from temporal_plugin.doctor import time_table

    with console.status("asking every path (about a minute: each host is imported)"):
        return time_table.build(request)


def _print(
    console: Console, findings: list[Finding], time: TimeTable | None, max_rows: int
) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("part", "state", "detail")
    for finding in findings:
        table.add_row(finding.what, _coloured(finding.state), escape(finding.detail))
    console.print(table)
    if time is None:
        return
    columns = ["step", "frames (s)", "true", *time.views]
    table = Table(*columns, title="what the model hears of each step, in seconds")
    steps = time.to_dict()["steps"]
    for number, step in enumerate(steps[:max_rows]):
        frames = ", ".join(f"{seconds:.3f}" for seconds in step["frames"])
        told = [step[name] for name in ("true", *time.views)]
        table.add_row(str(number), frames, *(_told(value, told[0]) for value in told))
    console.print(table)
    if len(steps) > max_rows:
        console.print(f"and {len(steps) - max_rows} steps more (--max-rows)")
    for verdict in time.verdicts:
        state = _coloured(verdict.state)
        console.print(f"{state} {verdict.path}: {escape(verdict.detail)}", soft_wrap=True)


def _told(value: float | None, true: float) -> str:
    text = "-" if value is None else f"{value:g}"
    return text if value == true else f"[red]{text}[/]"


def _coloured(state: str) -> str:
    return f"[{COLOURS[state]}]{state}[/]"
