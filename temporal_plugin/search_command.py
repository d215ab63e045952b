"""The commands `frames embed` and `search`: embed videos ahead, and look at what a search finds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from temporal_plugin.command_errors import errors

if TYPE_CHECKING:
    from temporal_plugin.search.frame_search import FrameSearch
    from temporal_plugin.video.frame_store.build import Done
    from temporal_plugin.video.frames import Frames

ENCODER = "google/siglip-so400m-patch14-384"  # that of TimeSearch-R

Encoder = Annotated[str, typer.Option(help="Dual encoder: name on the hub, or its folder.")]
Store = Annotated[
    Path, typer.Option(help="Folder of the embeddings.", envvar="TEMPORAL_PLUGIN_FRAME_STORE")
]
Fps = Annotated[float, typer.Option(help="Frames per second among which is searched.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; the GPU where there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]

EMBED_EXAMPLE = """Example: temporal-plugin frames embed videos.yaml --store frames --workers 2; on
the second of four machines add --shard 2/4."""
SEARCH_EXAMPLE = """Example: temporal-plugin search VIDEO.mp4 "a red car turns left" --store frames
--start 60 --end 300 --count 8 --plot found.png"""


def embed(
    config: Annotated[Path, typer.Argument(help="A data config (.yaml) or samples (.jsonl).")],
    store: Store,
    encoder: Encoder = ENCODER,
    fps: Fps = 2.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    part: Annotated[
        str, typer.Option("--shard", help="i/n: only this part of the videos, for n machines.")
    ] = "1/1",
    device: Device = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, float16 or bfloat16.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 64,
    as_json: AsJson = False,
    max_listed: Annotated[int, typer.Option(min=0, help="List at most so many failures.")] = 20,
) -> None:
    """Embed the frames of every video of a data config, for `search` and for training.

    What is there already is skipped, and a video that was broken off goes on where it was: run it
    again after an interruption. Exit status 1 when a video could not be embedded or stored.
    """
    with errors(as_json):
        from temporal_plugin.annotations import load_samples
        from temporal_plugin.search.embed_videos import Embedder, shard

        videos = list(dict.fromkeys(sample.video for sample in load_samples(config)))
        videos = shard(videos, *_part(part))
        embedder = Embedder(encoder, str(store), fps, device, dtype, batch_size)
        start = time.monotonic()
        results = _run(embedder, videos, workers, show=not as_json)
        report = _summary(store, videos, results, time.monotonic() - start)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print_embedded(report, max_listed)
    raise typer.Exit(0 if report["ok"] else 1)


def search(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    query: Annotated[str, typer.Argument(help="What to look for, in words.")],
    store: Store,
    encoder: Encoder = ENCODER,
    start: Annotated[float, typer.Option(help="First second of the window.")] = 0.0,
    end: Annotated[
        float | None, typer.Option(help="Where the window ends; the video's end.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Frames to find.")] = 8,
    method: Annotated[str, typer.Option(help="dpp, top_k or uniform.")] = "dpp",
    fps: Fps = 2.0,
    device: Device = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the frames and the relevance as a picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the frames of a video that fit a query, and say when they show.

    The video is embedded first where its embeddings are not in the store yet.
    """
    with errors(as_json):
        from temporal_plugin.search.settings import SearchSettings

        settings = SearchSettings.from_mapping(
            {
                "encoder": encoder,
                "store": str(store),
                "method": method,
                "fps": fps,
                "device": device,
                "sampling": {"max_tokens": 256},
            }
        )
        if plot is not None:
            from temporal_plugin.report.search_strip import check_format

            check_format(plot)
        opened = settings.open()
        begun = time.monotonic()
        found = opened.seek(video, query, start, end, count)
        report = _found(video, query, method, found, time.monotonic() - begun)
        if plot is not None:
            report["plot"] = str(plot)
            _draw(plot, opened, video, query, found)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        times = ", ".join(f"{seconds:.1f}" for seconds in report["seconds"])
        typer.echo(f"{len(report['seconds'])} frames ({method}) at {times} s")
        if plot is not None:
            typer.echo(f"picture: {plot}")


def _part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise ValueError(f"--shard is {text!r}; needed: i/n, such as 2/4")
    return int(number), int(count)


def _run(embedder: Any, videos: list[str], workers: int, *, show: bool) -> list[Done]:
    from contextlib import closing

    from temporal_plugin.frames_command import progress_bar
    from temporal_plugin.search.embed_videos import embed_videos

    results: list[Done] = []
    with (
        progress_bar("embedding videos", show) as advance,
        closing(embed_videos(embedder, videos, workers=workers)) as running,
    ):
        for done in running:
            results.append(done)
            advance(len(results), len(videos))
    return results


def _summary(store: Path, videos: list[str], results: list[Done], seconds: float) -> dict[str, Any]:
    bad = [done for done in results if done.state in ("failed", "unwritable")]
    return {
        "ok": bool(videos) and not bad,
        "store": str(store),
        "videos": len(videos),
        "built": sum(done.state == "built" for done in results),
        "there": sum(done.state == "there" for done in results),
        "failed": [{"video": done.job.path, "reason": done.reason} for done in bad],
        "not_tried": len(videos) - len(results),
        "bytes": sum(done.bytes for done in results),
        "seconds": round(seconds, 3),
    }


def _print_embedded(report: dict[str, Any], max_listed: int) -> None:
    typer.echo(
        f"{report['videos']} videos: {report['built']} embedded, {report['there']} there already, "
        f"{len(report['failed'])} failed, {report['not_tried']} not tried; "
        f"{report['bytes'] / 1e6:.1f} MB in {report['seconds']:.1f} s"
    )
    for failure in report["failed"][:max_listed]:
        typer.echo(f"  {failure['reason']}")
    if len(report["failed"]) > max_listed:
        typer.echo(f"  and {len(report['failed']) - max_listed} more (--max-listed)")
    if not report["videos"]:
        typer.echo("error: no video is left to embed")


def _found(video: Path, query: str, method: str, found: Frames, seconds: float) -> dict[str, Any]:
    return {
        "ok": True,
        "video": str(video),
        "query": query,
        "method": method,
        "seconds": [round(float(time), 3) for time in found.pts_seconds],
        "frames": list(found.indices),
        "took_seconds": round(seconds, 3),
    }


def _draw(path: Path, search: FrameSearch, video: Path, query: str, found: Frames) -> None:
    from temporal_plugin.report.search_strip import draw
    from temporal_plugin.search import dpp

    relevance = times = None
    if search.method != "uniform":
        embeddings = search.embeddings(video)
        times = embeddings.pts_seconds
        relevance = dpp.relevance(embeddings.features, search.encoder.texts([query])[0])
    pictures = found.pixels.permute(0, 2, 3, 1).numpy()  # [T, H, W, C]
    draw(path, query, pictures, found.pts_seconds, times, relevance)
