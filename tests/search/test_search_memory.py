"""Memory of a build and of a search, measured as the benchmark does, on a shorter video."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks/bench_search.py"
MINUTES, WIDTH, HEIGHT = 5, 640, 352
ALL_FRAMES_MB = MINUTES * 60 * 2 * WIDTH * HEIGHT * 3 / 1e6  # 405: what a plain build holds
BUILD_MB, SEARCH_MB = 200, 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc"),
]


def measure(part: str, folder: Path) -> dict:
    command = [sys.executable, str(BENCHMARK), "--part", part, "--folder", str(folder)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("bench_search", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    folder = tmp_path_factory.mktemp("memory")
    benchmark.write_video(folder / "video.mp4", MINUTES, WIDTH, HEIGHT)
    benchmark.write_encoder(folder / "encoder")
    return folder


@pytest.fixture(scope="module")
def built(folder):
    return measure("build_ours", folder)


def test_a_build_streams(folder, built):
    assert measure("build_plain", folder)["grows_mb"] > ALL_FRAMES_MB  # the measure sees it
    assert built["grows_mb"] < BUILD_MB


def test_a_search_needs_little_beyond_the_mapped_store(folder, built):
    assert measure("seek", folder)["grows_mb"] < SEARCH_MB
