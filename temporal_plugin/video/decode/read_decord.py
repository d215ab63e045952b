"""decord, in a child process: it aborts the process it runs in on some damaged files."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from temporal_plugin.video.errors import VideoError, unreadable
from temporal_plugin.video.plan import Plan

CHILD = Path(__file__).with_name("decord_child.py")
LIMIT_SECONDS = 60.0  # for one video, and
LIMIT_SECONDS_PER_FRAME = 1.0

_idle: list["_Child"] = []
_lock = threading.Lock()


def frames(plan: Plan) -> Iterator[np.ndarray]:
    """Upright RGB pictures of a plan, uint8 [H, W, 3], in its order.

    Raises:
        VideoError: decord cannot read the file, numbers its frames differently, ends or hangs.
    """
    child = _take()
    try:
        yield from child.read(plan)
    except BaseException:
        child.end()  # it may still be writing
        raise
    with _lock:
        _idle.append(child)


def _take() -> "_Child":
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.usable():
                return child
    return _Child()


class _Child:
    """A process that reads videos with decord, one at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def usable(self) -> bool:
        """Still running, and started by this process rather than before a fork."""
        return self.owner == os.getpid() and self.process.poll() is None

    def end(self) -> None:
        """Kill the process; nothing it holds needs saving."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()

    def read(self, plan: Plan) -> Iterator[np.ndarray]:
        """The pictures of a plan; ends the process where it takes too long."""
        limit = LIMIT_SECONDS + LIMIT_SECONDS_PER_FRAME * len(plan)
        timer = threading.Timer(limit, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield from self._read(plan)
        except (OSError, EOFError) as error:
            status = self.process.wait()
            raise unreadable(
                plan.path, f"decord's process ended with status {status}, limit {limit:.0f} s"
            ) from error
        finally:
            timer.cancel()

    def _read(self, plan: Plan) -> Iterator[np.ndarray]:
        request = {"path": str(plan.path.absolute()), "indices": list(plan.indices)}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        header = json.loads(line)
        if "error" in header:
            raise unreadable(plan.path, f"decord: {header['error']}")
        _same_frames(plan, np.array(header["seconds"]))
        shape = header["height"], header["width"], 3
        for _ in plan.indices:
            data = self.process.stdout.read(shape[0] * shape[1] * 3)
            if len(data) < shape[0] * shape[1] * 3:
                raise EOFError
            yield np.frombuffer(bytearray(data), dtype=np.uint8).reshape(shape)


def _same_frames(plan: Plan, seconds: np.ndarray) -> None:
    """decord counts from the first frame of the stream."""
    planned = plan.packets.times[list(plan.indices)] - plan.packets.times[0]
    off = np.abs(seconds - planned)
    if off.max() > 1e-3:
        worst = int(off.argmax())
        raise VideoError(
            f"{plan.path}: decord numbers the frames of this file differently ({seconds[worst]:.3f}"
            f" s where {planned[worst]:.3f} s was meant); set sampling.decoder: pyav"
        )


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()
