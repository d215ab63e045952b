"""Decoding and resizing one video, our ways against qwen-vl-utils with decord, in one run.

    python benchmarks/bench_decode.py VIDEO [--repeats 5] [--fps 2.0] [--max-frames 768] [--json F]

All ways take the same frames at the same size (64 x 64 tokens a video, as Time-R1 trains). The
floor is PyAV on one thread decoding every frame and dropping it. Rounds interleave the ways, so
that load from outside falls on all; medians are compared. CPU time is printed beside wall time.
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"

import av
import torch

from temporal_plugin.video import packets
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.sampling import Sampling

TOTAL_PIXELS, MIN_PIXELS = 3584 * 28 * 28, 16 * 28 * 28


def ways(path: str, settings: dict) -> dict[str, Callable[[], torch.Tensor | None]]:
    """Name -> function that loads the video once; the first is the alternative."""
    from qwen_vl_utils.vision_process import fetch_video

    entry = {"type": "video", "video": path, **Sampling(**settings).video_entry()}

    def floor() -> None:
        with av.open(path) as container:
            stream = container.streams.best("video")
            stream.codec_context.thread_count = 1
            stream.thread_type = "NONE"
            for _ in container.decode(stream):
                pass

    def ours(**choice) -> Callable[[], torch.Tensor]:
        def load() -> torch.Tensor:
            packets._index.cache_clear()  # a first touch walks the packets too
            return load_frames(path, Sampling(**settings, **choice)).pixels

        return load

    return {
        "qwen-vl-utils + decord": lambda: fetch_video(dict(entry)),
        "PyAV, decode all and drop": floor,
        "ours, exact": ours(),
        "ours, fast": ours(resize="fast"),
        "ours, exact, decord": ours(decoder="decord"),
        "ours, fast, decord": ours(decoder="decord", resize="fast"),
    }


def measure(functions: dict, repeats: int) -> dict[str, dict]:
    """Median wall and CPU milliseconds of each way; the CPU time of decord.s child is not seen."""
    wall: dict[str, list[float]] = {name: [] for name in functions}
    cpu: dict[str, list[float]] = {name: [] for name in functions}
    results = {}
    for repeat in range(repeats + 1):  # the first round warms up
        for name, function in functions.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            results[name] = function()
            if repeat:
                wall[name].append(1e3 * (time.perf_counter() - started))
                cpu[name].append(1e3 * (time.process_time() - started_cpu))
    return {
        name: {
            "wall_ms": statistics.median(wall[name]),
            "cpu_ms": statistics.median(cpu[name]),
            "pixels": results[name],
        }
        for name in functions
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--max-frames", type=int, default=768)
    parser.add_argument("--only", help="names of the ways to measure, separated by semicolons")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "fps": arguments.fps,
        "max_frames": arguments.max_frames,
        "total_pixels": TOTAL_PIXELS,
        "min_pixels": MIN_PIXELS,
    }
    functions = ways(str(arguments.video), settings)
    if arguments.only:
        functions = {name: functions[name] for name in arguments.only.split(";")}
    rows = measure(functions, arguments.repeats)
    report(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MB")
    if arguments.json:
        figures = {
            name: {key: row[key] for key in ("wall_ms", "cpu_ms")} for name, row in rows.items()
        }
        arguments.json.write_text(json.dumps(figures | {"peak_mb": peak}, indent=1))


def report(rows: dict[str, dict]) -> None:
    """Print the table: ratios to the alternative and to the floor, and the difference in grey."""
    reference = next(iter(rows.values()))
    floor = rows.get("PyAV, decode all and drop", reference)
    print(
        f"{'':28}{'wall ms':>9}{'CPU ms':>9}{'/ qwen':>8}{'CPU':>6}{'/ floor':>9}{'CPU':>6}  grey"
    )
    for name, row in rows.items():
        ratios = [
            row[kind] / other[kind]
            for other in (reference, floor)
            for kind in ("wall_ms", "cpu_ms")
        ]
        difference = ""
        if row["pixels"] is not None and reference["pixels"] is not None:
            difference = f"{(row['pixels'].float() - reference['pixels'].float()).abs().mean():.3f}"
        print(
            f"{name:28}{row['wall_ms']:9.0f}{row['cpu_ms']:9.0f}{ratios[0]:8.2f}{ratios[1]:6.2f}"
            f"{ratios[2]:9.2f}{ratios[3]:6.2f}  {difference}"
        )


if __name__ == "__main__":
    main()
