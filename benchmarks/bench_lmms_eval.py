"""Our model class against lmms-eval's own on one grounding task: what a question costs.

    python benchmarks/bench_lmms_eval.py VIDEO [--videos 70] [--questions 200] [--rounds 2]

The video is copied under other names until there are enough (Charades-STA: 3720 questions on 1334
videos; 70 and 200 keep the ratio), and the real `lmms-eval` command answers all questions with a
tiny model: through `temporal_qwen_vl` and through upstream's `qwen2_5_vl`, with the same task,
frames per second, frame size, dtype, batch size and number of new tokens. Every run is a fresh
process; rounds alternate the order. Seconds on the wall (and of the processor), medians:

  answering  from the first request to the last answer
  start-up   imports, model, task and preflight, before the first request
  command    all of it, with scoring and writing

The ratio that counts is that of `answering`; start-up is the same work in both. `cpu` is the
processor's part of `answering`, which other programs on the machine change less.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIXELS = 28 * 28
WAYS = {"upstream": "qwen2_5_vl", "ours": "temporal_qwen_vl"}
RESULT = "RESULT "
TASK = "temporal_plugin_charades"
COLUMNS = ("answering", "cpu", "start-up", "command")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("video", type=Path)
    arguments.add_argument("--videos", type=int, default=70)
    arguments.add_argument("--questions", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--fps", type=float, default=2.0)
    arguments.add_argument("--frame-tokens", type=int, default=100, help="28 x 28 pixels each")
    arguments.add_argument("--new-tokens", type=int, default=16)
    arguments.add_argument("--batch-size", type=int, default=1)
    arguments.add_argument("--family", default="qwen2_5_vl", choices=("qwen2_5_vl", "qwen3_vl"))
    arguments.add_argument("--ours", default="", help="further model arguments of our class")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.way:
        measure(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(options, Path(folder))
    print(json.dumps(rows, indent=1) if options.json else table(rows))


def compare(options: argparse.Namespace, folder: Path) -> list[dict]:
    """Every run's times, in the order of the runs."""
    from temporal_plugin.demo.tiny_model import build

    build(options.family, folder / "model", 0, ["person opens the door 0123456789.s to"])
    write_questions(options, folder / "data")
    rows = []
    for number in range(options.rounds):
        ways = list(WAYS) if number % 2 == 0 else list(reversed(WAYS))
        rows += [run_way(options, way, folder) for way in ways]
    return rows


def write_questions(options: argparse.Namespace, data: Path) -> None:
    """A Charades-STA file whose questions are spread evenly over copies of the video."""
    folder = data / "charades_sta/videos"
    folder.mkdir(parents=True)
    rows: dict[str, dict] = {}
    for number in range(options.questions):
        name = f"V{number * options.videos // options.questions:04d}"
        if name not in rows:
            shutil.copyfile(options.video, folder / f"{name}.mp4")
            rows[name] = {"duration": 30.0, "timestamps": [], "sentences": []}
        rows[name]["timestamps"].append([1.0, 3.5])
        rows[name]["sentences"].append(f"person {number} opens the door")
    (data / "charades_sta/charades_sta_test.json").write_text(json.dumps(rows))


def run_way(options: argparse.Namespace, way: str, folder: Path) -> dict:
    names = ("videos", "questions", "fps", "frame_tokens", "new_tokens", "batch_size", "family")
    given = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]
    command = [sys.executable, "-W", "ignore", __file__, str(options.video), "--way", way,
               "--folder", str(folder), f"--ours={options.ours}", *given]  # fmt: skip
    environment = {
        "CUDA_VISIBLE_DEVICES": "",
        "FORCE_QWENVL_VIDEO_READER": "decord",
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "passive",  # on a busy machine waiting threads would count as work
        "HF_HOME": str(folder / "hf"),
        "TEMPORAL_PLUGIN_DATA": str(folder / "data"),
        "TOKENIZERS_PARALLELISM": "false",
    }
    begin = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **environment}, text=True, check=False, capture_output=True
    )
    whole = time.perf_counter() - begin
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if not lines:
        raise SystemExit(f"{way} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    row = json.loads(lines[0].removeprefix(RESULT))
    row |= {"way": way, "command": whole, "load": os.getloadavg()[0]}
    shown = ", ".join(f"{name} {row[name]:.1f} s" for name in COLUMNS)
    print(f"{way}: {shown} (load {row['load']:.1f})", file=sys.stderr)
    return row


def measure(options: argparse.Namespace) -> None:
    """Run the command in this process and print its times as soon as they are known."""
    begin = time.perf_counter()
    from lmms_eval.__main__ import cli_evaluate
    from lmms_eval.models import get_model

    model = get_model(WAYS[options.way])
    answer = model.generate_until

    def timed(self, requests):
        started, cpu = time.perf_counter(), time.process_time()
        answers = answer(self, requests)
        row = {
            "start-up": started - begin,
            "answering": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "questions": len(answers),
        }
        print("\n" + RESULT + json.dumps(row), flush=True)
        return answers

    model.generate_until = timed
    size = options.frame_tokens * PIXELS
    settings = {"pretrained": options.folder / "model", "fps": options.fps,
                "min_pixels": size // 4, "max_pixels": size}  # fmt: skip
    extra = "device_map=cpu" if options.way == "upstream" else "dtype=bfloat16"
    model_args = ",".join([*(f"{n}={v}" for n, v in settings.items()), extra])
    if options.way == "ours" and options.ours:
        model_args += f",{options.ours}"
    sys.argv = [
        "lmms-eval", "--model", WAYS[options.way], "--model_args", model_args, "--tasks", TASK,
        "--batch_size", str(options.batch_size), "--device", "cpu",
        "--gen_kwargs", f"max_new_tokens={options.new_tokens}",
        "--output_path", str(options.folder / "results"), "--log_samples",
    ]  # fmt: skip
    cli_evaluate()


def table(rows: list[dict]) -> str:
    lines = [f"{'':12}" + "".join(f"{name:>12}" for name in COLUMNS)]
    medians = {
        way: {name: statistics.median(r[name] for r in rows if r["way"] == way) for name in COLUMNS}
        for way in WAYS
    }
    for way, found in medians.items():
        lines.append(f"{way:12}" + "".join(f"{found[name]:10.1f} s" for name in COLUMNS))
    ratios = (medians["ours"][name] / medians["upstream"][name] for name in COLUMNS)
    lines.append(f"{'ratio':12}" + "".join(f"{ratio:12.2f}" for ratio in ratios))
    loads = ", ".join(f"{row['load']:.1f}" for row in rows)
    lines.append(f"{rows[0]['questions']} questions; load after each run: {loads}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
