"""Runs of verl that lose their machine in the middle."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def run_until(
    folder: Path,
    arguments: list[str],
    environment: dict[str, str],
    *,
    reached: Callable[[], bool],
    seconds: float,
) -> None:
    """Starts verl and, once `reached()`, kills all of its processes."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        stdout=(folder / "output.txt").open("w"),
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + seconds
    try:
        while not reached():
            assert process.poll() is None, (folder / "output.txt").read_text()[-3000:]
            assert time.monotonic() < deadline, "too slow, or hung"
            time.sleep(0.1)
    finally:
        kill_with_descendants(process)


def kill_with_descendants(process: subprocess.Popen) -> None:
    """SIGKILL for the driver, Ray and all workers, as when a machine is lost."""
    with contextlib.suppress(psutil.NoSuchProcess):
        driver = psutil.Process(process.pid)
        family = [*driver.children(recursive=True), driver]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=60)
    process.wait()
