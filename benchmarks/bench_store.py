"""The frame store against decoding again and against the caches that others use.

    python benchmarks/bench_store.py VIDEO [--repeats 30]

Every line is measured in this run on the same frames: opening and mapping an entry (with and
without checking all its bytes), the JPEG mode, and beside them qwen-vl-utils with decord, and
float32 frames in a `.pt` file. Files are in the page cache (warm). Prints JSON: milliseconds
(shortest), MB, and how many times the exact store is faster than each alternative.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.frame_store import FrameStore, entry, names
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling

#: the sampling of the seeds: 2 frames per second within 3584 tokens of 28 x 28 pixels
SAMPLING = Sampling(fps=2.0, total_pixels=3584 * 28 * 28, min_pixels=16 * 28 * 28)
JPEG_QUALITY = 95


def milliseconds(work: Callable[[], Any], repeats: int) -> float:
    """Shortest time of a call: other processes can only make it longer."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begun))
    return round(min(times), 3)


def measure_store(folder: Path, video: Path, repeats: int, quality: int | None) -> dict[str, Any]:
    """The store itself: first touch, mapping, checking."""
    store = FrameStore(folder, jpeg_quality=quality)
    first = milliseconds(lambda: store.load(video, SAMPLING), 1)
    key = store.key(video, SAMPLING)
    path = names.entry_path(folder, key)
    found = {
        "first_touch_ms": first,
        "load_warm_ms": milliseconds(lambda: store.get(video, SAMPLING), repeats),
        "load_and_use_ms": milliseconds(
            lambda: store.get(video, SAMPLING).pixels.view(-1)[::4096].sum(), repeats
        ),
        "open_in_a_new_process_ms": milliseconds(lambda: entry.read(path, key, "sums"), repeats),
        "verify_ms": milliseconds(lambda: entry.read(path, key, "crc32"), max(3, repeats // 5)),
        "MB": round(path.stat().st_size / 1e6, 3),
    }
    if quality is not None:
        fresh = FrameStore(folder, memory_bytes=0)
        found["load_warm_ms"] = milliseconds(lambda: fresh.get(video, SAMPLING), repeats)
        stat = store.stat()
        found["mean_error"], found["max_error"] = stat.jpeg_mean_error, stat.jpeg_max_error
    return found


def measure_writing(folder: Path, video: Path, frames: Frames, repeats: int) -> float:
    """Milliseconds to check-sum, write and publish frames that are decoded already."""
    store = FrameStore(folder)
    key = store.key(video, SAMPLING)
    return milliseconds(lambda: store._publish(key, video, frames), repeats)


def measure_others(folder: Path, video: Path, frames: Frames, repeats: int) -> dict[str, float]:
    """What the same frames cost elsewhere."""
    from qwen_vl_utils import vision_process

    vision_process.get_video_reader_backend = lambda: "decord"
    asked = {"fps": SAMPLING.fps, "total_pixels": SAMPLING.total_pixels}
    request = {**asked, "min_pixels": SAMPLING.min_pixels, "video": str(video)}
    pt = folder / "frames.pt"
    torch.save(frames.pixels.float(), pt)
    return {
        "qwen_vl_utils_decord_ms": milliseconds(
            lambda: vision_process.fetch_video(dict(request)), 3
        ),
        "load_frames_ms": milliseconds(lambda: load_frames(video, SAMPLING), 3),
        "float32_pt_ms": milliseconds(lambda: torch.load(pt, weights_only=True), repeats),
        "float32_pt_MB": round(pt.stat().st_size / 1e6, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    frames = load_frames(options.video, SAMPLING)  # imports and the disk are warm after this
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = measure_store(folder / "exact", options.video, options.repeats, None)
        exact["write_ms"] = measure_writing(folder / "exact", options.video, frames, 5)
        jpeg = measure_store(folder / "jpeg", options.video, 5, JPEG_QUALITY)
        others = measure_others(folder, options.video, frames, max(3, options.repeats // 5))
    report = {
        "shape": list(frames.pixels.shape),
        "exact": exact,
        f"jpeg_{JPEG_QUALITY}": jpeg,
        "others": others,
        "times_faster_than": {
            name.removesuffix("_ms"): round(value / exact["load_warm_ms"])
            for name, value in others.items()
            if name.endswith("_ms")
        },
        "times_smaller_than_float32_pt": round(others["float32_pt_MB"] / exact["MB"], 2),
        "jpeg_times_smaller": round(exact["MB"] / jpeg["MB"], 2),
    }
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
