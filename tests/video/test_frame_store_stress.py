"""Many processes on one folder, and builders killed at any moment: short runs of the benchmark."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def trial(*arguments):
    command = [sys.executable, ROOT / "benchmarks/stress_store.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_readers_and_writers_hammering_one_folder():
    report = trial("hammer", "--seconds", 10)
    assert report["ok"], report
    assert report["reads"] > 100 and report["writes"] > 2


@pytest.mark.slow
def test_builders_killed_at_random_moments():
    report = trial("kill", "--kills", 60)
    assert report["ok"], report
    assert report["kills"] == 60
    assert report["waited"] < 20  # no leftover lock blocked anyone
