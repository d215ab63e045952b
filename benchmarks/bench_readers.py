"""How fast annotation files are read and checked, and how much memory that takes.

    python benchmarks/bench_readers.py FOLDER [--rows 1000000] [--json]

FOLDER holds the nine published files (activitynet_train.json, ...); those that are missing are
left out and named. Each measurement runs in a process of its own. Times are processor time of
one core; memory is the largest resident size of that process. "checked" means what a load does
without opening videos: every field of every row, the faults of its spans, ids given twice.
The synthetic rows are written to a temporary folder first and then read as a stream.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILES = {
    "activitynet_train.json": ("activitynet_captions", {"split": "train"}),
    "activitynet_val_2.json": ("activitynet_captions", {"split": "val_2"}),
    "charades_sta_train.json": ("charades_sta", {"split": "train"}),
    "charades_sta_test.json": ("charades_sta", {"split": "test"}),
    "nextgqa_test.json": ("nextgqa", {"split": "test"}),
    "nextgqa_val.json": ("nextgqa", {"split": "val"}),
    "rextime_val.json": ("rextime", {"split": "val"}),
    "timerft_2k5.json": ("timerft", {}),
    "tvgbench.json": ("tvgbench", {}),
}
MEGABYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the published files")
    parser.add_argument("--rows", type=int, default=1_000_000, help="synthetic rows")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part[0]](*options.part[1:])))
        return
    results = [run("files", options.folder)]
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("jsonl", "parquet"):
            path = Path(folder) / f"rows.{kind}"
            results.append(run("write", kind, path, options.rows))
            results += [run("stream", kind, path, count) for count in (options.rows // 10, 0)]
    print(json.dumps(results, indent=1) if options.json else table(results))


def run(*part: object) -> dict[str, Any]:
    """One measurement in a new process, so that memory of an earlier one does not count."""
    command = [sys.executable, __file__, "-", "--part", *map(str, part)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {
        "part": " ".join(str(word) for word in part[:2] if not isinstance(word, Path)),
        **result,
    }


def read_files(folder: str) -> dict[str, Any]:
    """The nine files, all their samples held at once as a training run holds them."""
    from temporal_plugin.annotations import read
    from temporal_plugin.annotations.span_faults import sample_faults

    samples, faults, missing = [], Counter(), []
    start = time.process_time()
    for name, (format, options) in FILES.items():
        path = Path(folder) / name
        if not path.is_file():
            missing.append(name)
            continue
        errors: list[Exception] = []
        for sample in read(format, path, on_error=errors.append, **options):
            faults.update(sample_faults(sample))
            samples.append(sample)
        for error in errors:
            faults.update(error.reasons)
            faults["no sample"] += 1
    seconds = time.process_time() - start
    assert len({sample.id for sample in samples}) == len(samples)
    rows = len(samples) + faults["no sample"]
    return {"rows": rows, "missing": missing, "faults": dict(faults), **measured(seconds, rows)}


def write_rows(kind: str, path: str, count: str) -> dict[str, Any]:
    """Made-up rows, as long as those of ActivityNet-Captions, through our own writers."""
    from temporal_plugin.annotations import sample_jsonl, sample_parquet

    write = {"jsonl": sample_jsonl.write, "parquet": sample_parquet.write}[kind]
    start = time.process_time()
    rows = write(path, synthetic(int(count)))
    return {"rows": rows, **measured(time.process_time() - start, rows)}


def synthetic(count: int) -> Iterator[Any]:
    from temporal_plugin.annotations import Sample
    from temporal_plugin.spans import Span

    for number in range(count):
        start = number % 97 * 0.75
        yield Sample(
            id=f"synthetic/train/v_{number // 4:07d}/{number % 4}",
            task="grounding",
            video=f"v_{number // 4:07d}.mp4",
            query=f"The person number {number} opens a door, walks in and turns on the light.",
            spans=(Span(start, start + 5.25),),
            duration=120.5,
            source="synthetic",
            split="train",
            extra={"difficulty": 50.0},
        )


def stream(kind: str, path: str, count: str) -> dict[str, Any]:
    """The first `count` rows (0: all) of a written file, none of them kept."""
    from itertools import islice

    from temporal_plugin.annotations import read
    from temporal_plugin.annotations.span_faults import sample_faults

    start, rows = time.process_time(), 0
    for sample in islice(read(kind, path), int(count) or None):
        sample_faults(sample)
        rows += 1
    return {"rows": rows, **measured(time.process_time() - start, rows)}


PARTS = {"files": read_files, "write": write_rows, "stream": stream}


def measured(seconds: float, rows: int) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else peak * 1024
    return {
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / max(seconds, 1e-9)),
        "peak_megabytes": round(peak_bytes / MEGABYTE),
    }


def table(results: list[dict[str, Any]]) -> str:
    lines = [f"{'part':16}{'rows':>10}{'seconds':>9}{'rows/s':>9}{'peak MB':>9}"]
    for row in results:
        lines.append(
            f"{row['part']:16}{row['rows']:10,}{row['seconds']:9.2f}"
            f"{row['rows_per_second']:9,}{row['peak_megabytes']:9}"
        )
    lines += [f"missing: {', '.join(row['missing'])}" for row in results if row.get("missing")]
    lines += [f"faults: {row['faults']}" for row in results if row.get("faults")]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
