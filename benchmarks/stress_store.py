"""Two trials of the frame store: many processes on one folder, and builders killed at any moment.

    python benchmarks/stress_store.py hammer --seconds 60 --readers 16 --writers 2
    python benchmarks/stress_store.py kill --kills 200

Prints JSON; exit status 1 if a frame was wrong, an entry was lost or something was rebuilt that
was there. No video is decoded: the frames of a "video" are made from its name, so that every
reader knows what it must get.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from temporal_plugin.video import decode
from temporal_plugin.video.frame_store import FrameStore, names
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling

SAMPLING = Sampling(fps=1.0)
FRAMES = 16
SIZE = 112
#: a builder is killed within this time; one entry takes some milliseconds
LONGEST_SECONDS = 0.06


def frames_of(path: Path, _sampling: Sampling, *, clip=None, patch_size: int = 14) -> Frames:
    """What stands for the decoder: a pattern that only this path makes."""
    numbers = np.arange(FRAMES * 3 * SIZE * SIZE, dtype=np.uint32)  # quick: writing must dominate
    pixels = (numbers * np.uint32(2 * int(path.stem) + 3) >> 9).astype(np.uint8)
    pixels = pixels.reshape(FRAMES, 3, SIZE, SIZE)
    pts = np.arange(FRAMES) / 3 + int(path.stem)
    return Frames(torch.from_numpy(pixels), pts, tuple(range(FRAMES)), 3.0, FRAMES, clip)


def start(function, *arguments) -> multiprocessing.Process:
    """A process that has torch loaded already, so that eighteen of them start within a second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["temporal_plugin.video.frame_store", "numpy", "torch"])
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def make_videos(folder: Path, count: int) -> list[Path]:
    """Files whose names are their content."""
    paths = [folder / f"{number}.mp4" for number in range(count)]
    for path in paths:
        path.write_text(path.stem)
    return paths


# --- hammer -----------------------------------------------------------------------------------


def read_on(folder: Path, videos: list[Path], seconds: float, ready: Any, results: Any, seed: int):
    """Read random entries and compare every pixel; what is missing is built, as in training."""
    decode.load_frames = frames_of
    store, chosen = FrameStore(folder), random.Random(seed)
    expected = {path: frames_of(path, SAMPLING) for path in videos}
    counts = {"reads": 0, "missing": 0, "wrong": 0, "slowest_ms": 0.0, "errors": []}
    try:
        ready.wait(300)  # for all others, however slow they start
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            path = chosen.choice(videos)
            begun = time.perf_counter()
            frames = store.get(path, SAMPLING)
            counts["slowest_ms"] = max(counts["slowest_ms"], 1e3 * (time.perf_counter() - begun))
            counts["missing"] += frames is None
            frames = store.load(path, SAMPLING) if frames is None else frames
            right = torch.equal(frames.pixels, expected[path].pixels)
            right &= np.array_equal(frames.pts_seconds, expected[path].pts_seconds)
            counts["wrong"] += not right
            counts["reads"] += 1
    except Exception as error:
        counts["errors"].append(f"{type(error).__name__}: {error}")
    results.put(("reader", counts))


def write_on(folder: Path, videos: list[Path], seconds: float, ready: Any, results: Any, seed: int):
    """Remove random entries and build them again."""
    decode.load_frames = frames_of
    store, chosen = FrameStore(folder), random.Random(seed)
    counts = {"writes": 0, "errors": []}
    try:
        ready.wait(300)  # for all others, however slow they start
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            path = chosen.choice(videos)
            names.entry_path(folder, store.key(path, SAMPLING)).unlink(missing_ok=True)
            store.load(path, SAMPLING)
            counts["writes"] += 1
    except Exception as error:
        counts["errors"].append(f"{type(error).__name__}: {error}")
    results.put(("writer", counts))


def hammer(folder: Path, seconds: float, readers: int, writers: int, videos: int) -> dict:
    """Readers and writers at once on one folder."""
    paths = make_videos(folder, videos)
    context = multiprocessing.get_context("forkserver")
    results, ready = context.Queue(), context.Barrier(readers + writers)
    processes = [
        start(function, folder / "store", paths, seconds, ready, results, number)
        for number, function in enumerate([read_on] * readers + [write_on] * writers)
    ]
    counts = [results.get(timeout=seconds + 400) for _ in processes]
    for process in processes:
        process.join()
    read = [count for kind, count in counts if kind == "reader"]
    written = [count for kind, count in counts if kind == "writer"]
    store = FrameStore(folder / "store")
    decode.load_frames = frames_of
    lost = sum(not store.has(path, SAMPLING) for path in paths)
    verified = store.verify()
    report = {
        "reads": sum(count["reads"] for count in read),
        "writes": sum(count["writes"] for count in written),
        "missing_then_built": sum(count["missing"] for count in read),
        "wrong": sum(count["wrong"] for count in read),
        "lost": lost,
        "damaged": len(verified.damaged),
        "left_behind": verified.left_behind,
        "slowest_get_ms": round(max(count["slowest_ms"] for count in read), 1),
        "errors": [error for _, count in counts for error in count["errors"]],
    }
    report["ok"] = not any(report[name] for name in ("wrong", "lost", "damaged", "errors"))
    return report


# --- kill -------------------------------------------------------------------------------------


def build_all(folder: Path, videos: list[Path], log: Path, started: Any) -> None:
    """Build what is missing, and note each decode before it starts."""

    def load(path: Path, *arguments, **keywords) -> Frames:
        with log.open("a") as file:
            file.write(f"{path.stem}\n")
        return frames_of(path, *arguments, **keywords)

    decode.load_frames = load
    started.set()
    store = FrameStore(folder)
    for path in videos:
        if not store.has(path, SAMPLING):
            store.load(path, SAMPLING)


def kill(folder: Path, kills: int, videos: int) -> dict:
    """Kill a builder at random moments, again and again, until nothing is missing."""
    chosen, log = random.Random(0), folder / "decodes.log"
    log.touch()
    decode.load_frames = frames_of
    store = FrameStore(folder / "store")
    report = {"kills": 0, "rounds": 0, "rebuilt": 0, "damaged": 0, "left_behind": 0, "waited": 0}
    published: dict[Path, int] = {}
    while report["kills"] < kills:
        paths = make_videos(folder, videos)
        while report["kills"] < kills and not all(store.has(p, SAMPLING) for p in paths):
            started = multiprocessing.get_context("forkserver").Event()
            process = start(build_all, store.folder, paths, log, started)
            started.wait(60)
            process.join(chosen.uniform(0, LONGEST_SECONDS))
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                report["kills"] += 1
            process.join()
            now = {path: path.stat().st_ino for _, path in names.entries(store.folder)}
            # what was published stays as it is
            report["rebuilt"] += sum(now.get(path) != inode for path, inode in published.items())
            published = now
        begun = time.monotonic()
        process = start(build_all, store.folder, paths, log, started)
        process.join(60)
        report["waited"] = max(report["waited"], round(time.monotonic() - begun, 2))
        verified = store.verify()
        report["damaged"] += len(verified.damaged)
        report["left_behind"] += verified.left_behind
        report["rounds"] += 1
        for path in paths:
            same = torch.equal(store.get(path, SAMPLING).pixels, frames_of(path, SAMPLING).pixels)
            report["damaged"] += not same
        store.prune(unused_seconds=0)
        published = {}
    # a decode is lost with its builder, and by nothing else
    decodes = len(log.read_text().split())
    report["decodes"], report["needed"] = decodes, videos * report["rounds"]
    unnecessary = decodes - report["needed"] - report["kills"]
    strangers = list(store.folder.rglob("*.tmp"))
    report["ok"] = not (report["rebuilt"] or report["damaged"] or strangers or unnecessary > 0)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    hammering = commands.add_parser("hammer")
    hammering.add_argument("--seconds", type=float, default=60.0)
    hammering.add_argument("--readers", type=int, default=16)
    hammering.add_argument("--writers", type=int, default=2)
    hammering.add_argument("--videos", type=int, default=24)
    killing = commands.add_parser("kill")
    killing.add_argument("--kills", type=int, default=200)
    killing.add_argument("--videos", type=int, default=40)
    options = vars(parser.parse_args())
    trial = {"hammer": hammer, "kill": kill}[options.pop("command")]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report = trial(Path(folder), **options)
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
