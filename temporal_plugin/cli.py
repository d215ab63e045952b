"""The command `temporal-plugin`. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from temporal_plugin import (
    curate_command,
    frames_command,
    search_command,
    traces_command,
)
from temporal_plugin.command_errors import fail
from temporal_plugin.demo import command
from temporal_plugin.doctor import command as doctor_command
from temporal_plugin.report import command as report_command

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
app.add_typer(curate_command.app, name="curate")
data_app.command("traces", epilog=traces_command.EXAMPLE)(traces_command.traces)
frames_command.app.command("embed", epilog=search_command.EMBED_EXAMPLE)(search_command.embed)
app.command("search", epilog=search_command.SEARCH_EXAMPLE)(search_command.search)
app.command("demo", epilog=command.EXAMPLE)(command.demo)
app.command("doctor", epilog=doctor_command.EXAMPLE)(doctor_command.doctor)
app.command("report", epilog=report_command.EXAMPLE)(report_command.report)


MERGE_EXAMPLE = "Example: temporal-plugin merge outputs/timezero_charades_sft/global_step_200 sft"


@app.command("merge", epilog=MERGE_EXAMPLE)
def merge(
    checkpoint: Annotated[Path, typer.Argument(help="A global_step_N folder of verl's trainers.")],
    out: Annotated[Path, typer.Argument(help="Folder of the model, which must not exist.")],
) -> None:
    """Make a model folder of a training checkpoint; adapters are added into the weights."""
    from temporal_plugin.integrations import verl_merge

    try:
        adapted = verl_merge.merge(checkpoint, out)
    except (OSError, verl_merge.MergeFailed) as error:
        fail(str(error))
    typer.echo(f"{out}: the model{' with its adapters merged' if adapted else ''}")


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
    configs: Annotated[
        list[Path], typer.Argument(help="Data configs (.yaml) or samples (.jsonl, .parquet).")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    max_listed: Annotated[
        int, typer.Option(min=0, help="List at most so many problems of a kind.")
    ] = 20,
    videos: Annotated[
        bool, typer.Option("--videos/--no-videos", help="Open every video file.")
    ] = True,
    strict: Annotated[
        bool, typer.Option(help="Fail for every defect, and for dropped or changed rows.")
    ] = False,
    allow: Annotated[
        list[str] | None, typer.Option(help="A kind of defect that does not fail (repeatable).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that open videos; 2 per processor.")
    ] = None,
) -> None:
    """Load every row and open every video, and list all that is wrong.

    Several configs are checked together: give the training and the test data to find videos that
    are in both.

    Exit status 1 when a row is malformed, a video cannot be used, a test video is in a training
    split, a clip cannot be right or nothing is left to load. Other defects, and rows dropped or
    changed for their spans as `on_bad_span` says, are counted and fail with --strict only.
    """
    from rich.console import Console

    from temporal_plugin.annotations import AnnotationError
    from temporal_plugin.annotations.data_check import check_data
    from temporal_plugin.report.data_check import print_check

    try:
        found = check_data(
            configs, videos=videos, strict=strict, allowed=allow or (), workers=workers
        )
    except (AnnotationError, ImportError) as error:
        fail(str(error), as_json=as_json)
    if as_json:
        typer.echo(json.dumps(found.to_dict(max_listed=max_listed), indent=2))
    else:
        print_check(Console(), found, max_listed)
    raise typer.Exit(int(bool(found.failures)))


EXPORT_EXAMPLE = """Example: temporal-plugin data export charades.yaml --to verl --out train.parquet
--prompt think_answer"""


@data_app.command("export", epilog=EXPORT_EXAMPLE)
def export(
    config: Annotated[
        Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl, .parquet).")
    ],
    to: Annotated[str, typer.Option(help="verl, easyr1, llamafactory, jsonl or lmms_eval.")],
    out: Annotated[
        Path, typer.Option(help="The file to write; for lmms_eval the folder of the new task.")
    ],
    prompt: Annotated[
        str, typer.Option(help="A prompt by name, or the path of your own YAML.")
    ] = "answer",
    relative_to: Annotated[
        Path | None, typer.Option(help="Write video paths relative to this folder.")
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out rows that the format cannot say.")
    ] = False,
) -> None:
    """Write samples as data files for other programs; the same input gives the same bytes."""
    from temporal_plugin import prompts
    from temporal_plugin.annotations import load_samples
    from temporal_plugin.annotations.export import export as write

    try:
        samples = load_samples(config)
        chosen = prompts.load(prompt)
        done = write(samples, to, out, chosen, relative_to=relative_to, skip=skip)
    except (ValueError, ImportError, OSError) as error:
        fail(str(error))
    left = sum(len(ids) for ids in done.left_out.values())
    typer.echo(f"{done.rows} rows, prompt {chosen.name} ({chosen.fingerprint}), {left} left out")
    for path in done.files:
        typer.echo(str(path))


@data_app.command("fetch", epilog="Example: temporal-plugin data fetch charades.yaml")
def fetch(
    config: Annotated[Path, typer.Argument(help="A data config (.yaml).")],
    workers: Annotated[int, typer.Option(min=1, help="Downloads at a time.")] = 8,
) -> None:
    """Copy the videos that lie behind a URL (`data_folder: s3://...`) to this computer.

    Those that are here already are left alone. Exit status 1 when one cannot be had.
    """
    from temporal_plugin.annotations.fetching import fetch_videos

    try:
        fetched, problems = fetch_videos(config, workers=workers)
    except (ValueError, ImportError) as error:
        fail(str(error))
    typer.echo(f"{fetched} videos fetched, {len(problems)} problems")
    for problem in problems:
        typer.echo(f"  {problem}")
    raise typer.Exit(int(bool(problems)))
