"""One GRPO group: what its video costs a worker of verl, upstream and with this package.

    python benchmarks/bench_group.py VIDEO [--minutes 3] [--rollouts 8] [--json]

verl's own agent loops and worker do for one prompt what they do with its video and its words,
from the dataset's row to the tensors for the trainer, for all rollouts at once; no model runs. The
upstream row is `RLHFDataset` with qwen-vl-utils and decord, verl's own agent loop and worker, in
the same run on the same frames. Every way runs in a fresh process; the times, on the wall and of
the processor, are medians:

  first touch    nothing is known of the video: decode, publish in an empty frame store
  later epochs   a new worker finds the frames in the store
  shared         the worker has rolled out this prompt before
  without video  the same group with a text prompt

`--minutes` adds a longer clip, made by repeating the video's packets.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("VERL_PLATFORM", "cpu")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"

PIXELS = 28 * 28
SAMPLING = {
    "fps": 2.0,
    "max_frames": 768,
    "min_pixels": 16 * PIXELS,
    "total_pixels": 3584 * PIXELS,
}
QUESTION = "When does the person open the door? Answer as <answer>a to b</answer>."
ANSWER = "<think>" + "The person walks in. " * 60 + "</think><answer>3.2 to 9.8</answer>"
WAYS = (
    "upstream",
    "first touch, exact",
    "first touch, fast",
    "later epochs",
    "shared",
    "without video",
)
UPSTREAM = ("data.custom_cls.path=null", "data.custom_cls.name=null")
RESULT = "RESULT "


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("video", type=Path)
    arguments.add_argument("--minutes", type=float, default=3.0, help="0: no longer clip")
    arguments.add_argument("--rollouts", type=int, default=8)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--family", default="qwen2_5_vl", choices=("qwen2_5_vl", "qwen3_vl"))
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments.add_argument("--model", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.way:
        print(RESULT + json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(options, Path(folder))
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def compare(options: argparse.Namespace, folder: Path) -> list[dict]:
    """One row for each clip and way, with ratios to upstream."""
    from temporal_plugin.demo.tiny_model import build

    build(options.family, folder / "model", 0, [QUESTION, ANSWER, "0123456789"])
    videos = [options.video]
    if options.minutes:
        longer = folder / f"{options.video.stem}_{options.minutes:g}min.mp4"
        repeat_packets(options.video, longer, options.minutes * 60)
        videos.append(longer)
    rows = []
    for video in videos:
        found = [run_way(options, way, video, folder / "model") for way in WAYS]
        base = found[0]
        for row in found:
            row["time_ratio"] = base["ms"] / row["ms"]
            row["cpu_ratio"] = base["cpu_ms"] / row["cpu_ms"]
            row["peak_ratio"] = row["peak_mb"] / base["peak_mb"]
            if row["way"] not in ("first touch, fast", "without video"):
                assert row["patches"] == base["patches"], f"{row['way']}: not upstream's frames"
        rows += found
    return rows


def run_way(options: argparse.Namespace, way: str, video: Path, model: Path) -> dict:
    command = [sys.executable, "-W", "ignore", __file__, str(video), "--way", way,
               "--model", str(model), "--rollouts", str(options.rollouts),
               "--repeats", str(options.repeats)]  # fmt: skip
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    (line,) = [line for line in found.stdout.splitlines() if line.startswith(RESULT)]
    row = {"video": video.name, "way": way, **json.loads(line.removeprefix(RESULT))}
    print(f"{row['video']}: {way} {row['ms']:.1f} ms", file=sys.stderr)
    return row


def measure(options: argparse.Namespace) -> dict:
    """Median milliseconds and peak resident megabytes of one way, in this process."""
    from temporal_plugin.integrations.verl_agent_manager import (
        UPSTREAM_WORKER,
        TemporalAgentLoopWorker,
    )
    from temporal_plugin.integrations.verl_config import compose
    from temporal_plugin.integrations.verl_lone_worker import LoneWorker

    upstream = options.way == "upstream"
    config = compose("tiny_cpu", [
        f"actor_rollout_ref.model.path={options.model}", "data.max_prompt_length=8192",
        "data.max_response_length=1024", *(UPSTREAM if upstream else ()),
    ])  # fmt: skip

    def worker(folder: Path | None = None) -> LoneWorker:
        if not upstream:
            config.data.temporal.frame_store = None if folder is None else str(folder)
        kind = UPSTREAM_WORKER if upstream else TemporalAgentLoopWorker
        return LoneWorker(config, ANSWER, kind, keep=False)

    row = prompt(options.way, str(options.video))
    with tempfile.TemporaryDirectory() as stores:
        idle_mb, wall, cpu = 0.0, [], []
        begin, repeats = setting(options.way, worker, row, Path(stores), options.rollouts)
        for repeat in range(min(options.repeats, repeats)):
            lone = begin(repeat)
            idle_mb = idle_mb or peak_mb()
            gc.collect()
            seconds, used = lone.time_video_work(row, options.rollouts)
            wall.append(1e3 * seconds)
            cpu.append(1e3 * used)
    found = {"ms": statistics.median(wall), "cpu_ms": statistics.median(cpu)}
    found |= {"peak_mb": peak_mb(), "idle_mb": idle_mb}
    patches = lone.inputs.get("pixel_values_videos")
    if patches is not None:
        found["patches"] = hashlib.blake2b(patches.numpy(), digest_size=8).hexdigest()
    return found


def setting(
    way: str, worker: Callable, row: dict, stores: Path, rollouts: int
) -> tuple[Callable, int]:
    """(what makes the worker of a repetition, how many repetitions make sense)."""
    if way.startswith("first touch"):
        return lambda repeat: worker(stores / str(repeat)), 1000
    if way == "later epochs":
        worker(stores).run(row, 1)
        return lambda _: worker(stores), 1000
    if way == "shared":
        lone = worker(stores)
        lone.run(row, rollouts)
        return lambda _: lone, 1000
    lone = worker()
    return lambda _: lone, 1000 if way == "without video" else 3


def prompt(way: str, video: str) -> dict:
    """The row that the dataset of this way hands the worker."""
    sampling = {**SAMPLING, "resize": "fast"} if way.endswith("fast") else SAMPLING
    entry = {"type": "video", "video": video}
    entry |= sampling if way == "upstream" else {"sampling": sampling}
    content = [{"type": "text", "text": QUESTION}]
    if way != "without video":
        content.insert(0, entry)
    agent = "single_turn_agent" if way == "upstream" else "temporal_single_turn"
    return {
        "raw_prompt": [{"role": "user", "content": content}], "agent_name": agent, "index": 0
    }  # fmt: skip


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def repeat_packets(source: Path, target: Path, seconds: float) -> None:
    """A file of at least that many seconds that shows `source` again and again."""
    import av

    with av.open(str(target), "w") as out:
        stream, shift = None, 0
        while stream is None or shift * stream.time_base < seconds:
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                end = 0
                for packet in container.demux(video):
                    if packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = stream
                    out.mux(packet)
                stream.time_base = video.time_base
                shift += end


def table(rows: list[dict]) -> str:
    """Times and peaks with their share of upstream's; the processor's time tells more on a machine
    that others use too."""
    head = ("video", "way", "ms", "share", "CPU ms", "share", "peak MB", "share", "at start")
    lines = [head] + [
        (
            row["video"][:24],
            row["way"],
            f"{row['ms']:.1f}",
            f"1/{row['time_ratio']:.1f}",
            f"{row['cpu_ms']:.1f}",
            f"1/{row['cpu_ratio']:.1f}",
            f"{row['peak_mb']:.0f}",
            f"{row['peak_ratio']:.2f}",
            f"{row['idle_mb']:.0f}",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


if __name__ == "__main__":
    main()
