"""The commands `temporal-plugin frames ...`: fill, look at, check and clear a frame store."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin.command_errors import errors

if TYPE_CHECKING:
    from rich.console import Console

    from temporal_plugin.video.frame_store import FrameStore
    from temporal_plugin.video.frame_store.build import Done, Job
    from temporal_plugin.video.sampling import Sampling

app = typer.Typer(help="Decode videos once, into a folder for all runs.", no_args_is_help=True)

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SECONDS_PER_DAY = 86_400

Store = Annotated[
    Path, typer.Option(help="Folder of the store.", envvar="TEMPORAL_PLUGIN_FRAME_STORE")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
MaxBytes = Annotated[
    str | None, typer.Option(help="Largest size of all entries, such as 500M, 200G or 2T.")
]

BUILD_EXAMPLE = """Example: temporal-plugin frames build charades.yaml --store frames
--sampling '{fps: 2, max_frames: 64}' --workers 8; then train with
data.temporal.frame_store=frames and the same data.temporal.sampling."""


@app.command("build", epilog=BUILD_EXAMPLE)
def build(
    config: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    store: Store,
    sampling: Annotated[
        str, typer.Option(help="The run's sampling: a YAML mapping, or a file that holds one.")
    ] = "{}",
    patch_size: Annotated[int, typer.Option(help="14 for Qwen2.5-VL, 16 for Qwen3-VL.")] = 14,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    ray: Annotated[bool, typer.Option("--ray", help="Run on a Ray cluster instead.")] = False,
    max_bytes: MaxBytes = None,
    jpeg_quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="Pack as JPEG: smaller, slower, not exact.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="quick, or full: recognise copies with other dates.")
    ] = None,
    as_json: AsJson = False,
    max_listed: Annotated[int, typer.Option(min=0, help="List at most so many failures.")] = 20,
) -> None:
    """Decode every video of a data config into the store.

    What is there already is skipped: run it again after an interruption. Size limit, JPEG and
    fingerprint are kept in a new store and need not be given again. Exit status 1 when a video
    could not be decoded or stored.
    """
    with errors(as_json):
        from temporal_plugin.annotations import load_samples

        folder = _open(
            store,
            max_bytes=None if max_bytes is None else _size(max_bytes),
            jpeg_quality=jpeg_quality,
            fingerprint=fingerprint,
        )
        jobs = _jobs(load_samples(config), _sampling(sampling), patch_size)
        start = time.monotonic()
        results = _run(folder, jobs, workers, ray, show=not as_json)
        report = _summary(folder, jobs, results, time.monotonic() - start)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print_build(report, store, max_listed)
    raise typer.Exit(0 if report["ok"] else 1)


@app.command("stat", epilog="Example: temporal-plugin frames stat --store frames")
def stat(store: Store, as_json: AsJson = False) -> None:
    """Say what a store holds: entries, frames, size, the error of its JPEGs."""
    with errors(as_json):
        found = asdict(_existing(store).stat())
    _show(found, as_json)


@app.command("verify", epilog="Example: temporal-plugin frames verify --store frames")
def verify(store: Store, as_json: AsJson = False) -> None:
    """Read every byte and compare the checksums.

    Damaged entries (they are built again when they are needed) and files that killed processes
    left behind are removed. Exit status 1 when an entry was damaged.
    """
    with errors(as_json):
        folder = _existing(store)
        with progress_bar("checking entries", not as_json) as advance:
            found = folder.verify(lambda done, total: advance(done, total))
    _show(asdict(found), as_json)
    raise typer.Exit(1 if found.damaged else 0)


@app.command(
    "prune", epilog="Example: temporal-plugin frames prune --store frames --max-bytes 200G"
)
def prune(
    store: Store,
    max_bytes: MaxBytes = None,
    unused_days: Annotated[
        float | None, typer.Option(min=0, help="Remove what was not used for so many days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove entries used longest ago, above the size limit, and what killed processes left."""
    with errors(as_json):
        found = _existing(store).prune(
            max_bytes=None if max_bytes is None else _size(max_bytes),
            unused_seconds=None if unused_days is None else unused_days * SECONDS_PER_DAY,
        )
    _show(asdict(found), as_json)


def _open(folder: Path, **options: Any) -> FrameStore:
    from temporal_plugin.video.frame_store import FrameStore, StoreError

    store = FrameStore(folder, **options)
    if not store.is_writable():
        raise StoreError(f"the frame store {folder} cannot be written; see the log above")
    return store


def _existing(folder: Path) -> FrameStore:
    from temporal_plugin.video.frame_store import FrameStore, StoreError
    from temporal_plugin.video.frame_store.names import SETTINGS

    if not (folder / SETTINGS).is_file():  # a mistyped name must not make a new store
        raise StoreError(
            f"{folder} is no frame store; make one with `temporal-plugin frames build`"
        )
    return FrameStore(folder)


def _sampling(text: str) -> Sampling:
    import yaml

    from temporal_plugin.video.sampling import Sampling

    if not text.lstrip().startswith("{") and Path(text).is_file():
        text = Path(text).read_text("utf-8")
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"--sampling is no YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(
            f"--sampling is {text!r}; needed: a mapping such as '{{fps: 2}}', or a file with one"
        )
    return Sampling.from_mapping(settings)


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip().upper())
    if not match:
        raise ValueError(f"--max-bytes is {text!r}; needed: a number, or one with K, M, G or T")
    return int(float(match[1]) * UNITS[match[2]])


def _jobs(samples: list, sampling: Sampling, patch_size: int) -> list[Job]:
    from temporal_plugin.video.frame_store.build import Job

    videos = dict.fromkeys((sample.video, sample.clip) for sample in samples)
    return [Job(video, sampling, clip, patch_size) for video, clip in videos]


def _run(store: FrameStore, jobs: list[Job], workers: int, ray: bool, *, show: bool) -> list[Done]:
    from temporal_plugin.video.frame_store.build import build

    results = []
    with (
        progress_bar("decoding videos", show) as advance,
        closing(build(store, jobs, workers=workers, ray=ray)) as running,
    ):
        for done in running:
            results.append(done)
            advance(len(results), len(jobs))
    return results


def _summary(
    store: FrameStore, jobs: list[Job], results: list[Done], seconds: float
) -> dict[str, Any]:
    from temporal_plugin.video.frame_store.build import is_there

    bad = [done for done in results if done.state in ("failed", "unwritable")]
    return {
        "ok": bool(jobs) and not bad,
        "store": str(store.folder),
        "videos": len(jobs),
        "built": sum(done.state == "built" for done in results),
        "there": sum(done.state == "there" for done in results),
        "failed": [{"video": done.job.path, "reason": done.reason} for done in bad],
        "not_tried": len(jobs) - len(results),
        # less than built + there where the size limit removed some again
        "stored": sum(is_there(store, job) for job in jobs),
        "decoded_bytes": sum(done.bytes for done in results),
        "seconds": round(seconds, 3),
    }


def _print_build(report: dict[str, Any], store: Path, max_listed: int) -> None:
    from rich.console import Console

    def line(text: str) -> None:
        Console().print(text, markup=False, highlight=False, soft_wrap=True)

    line(
        f"{report['videos']} videos: {report['built']} built, {report['there']} there already, "
        f"{len(report['failed'])} failed, {report['not_tried']} not tried; "
        f"{report['decoded_bytes'] / 1e6:.1f} MB of frames in {report['seconds']:.1f} s"
    )
    for failure in report["failed"][:max_listed]:
        line(f"  {failure['reason']}")
    if len(report["failed"]) > max_listed:
        line(f"  and {len(report['failed']) - max_listed} more (--max-listed)")
    if not report["videos"]:
        line("error: no sample is left to load")
    if report["stored"] < report["built"] + report["there"]:
        line(f"only {report['stored']} fit into the store's size limit; raise --max-bytes")
    line(f"use it with data.temporal.frame_store={store.absolute()}")


def _show(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        shown = "\n".join(value) or "none" if isinstance(value, list) else value
        table.add_row(name.replace("_", " "), "-" if shown is None else str(shown))
    Console().print(table, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(title: str, show: bool) -> Iterator[Any]:
    """advance(done, total) of a progress bar on standard error, drawn on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console: Console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not (show and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
