"""Child processes with a log file, a live progress line, and no survivors."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

#: how often the progress line is refreshed while a child runs
POLL_SECONDS = 0.5
#: how long a child may take to end by itself before it is killed
GRACE_SECONDS = 10.0
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class ChildFailed(RuntimeError):
    """A child process ended with an error; the message has its command and its log's end."""


def run(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Runs a command to its end, its output in `log`.

    However this function is left (Ctrl-C included), the child and all its descendants are gone.

    Args:
        command: program and arguments.
        log: file for everything that the command prints; replaced.
        environment: variables on top of the present ones.
        watch: called about twice a second while the command runs.

    Raises:
        ChildFailed: the exit status is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        output.write(f"$ {shlex.join(command)}\n".encode())
        output.flush()
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C reaches us only, and we end the whole group
        )
        try:
            while child.poll() is None:
                watch()
                time.sleep(POLL_SECONDS)
        finally:
            with _deaf():
                end_with_descendants(child)
    watch()
    if child.returncode:
        raise ChildFailed(
            f"`{shlex.join(command[:3])} ...` ended with status {child.returncode}; "
            f"the end of its output:\n{tail(log)}"
        )


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """No second Ctrl-C (or SIGTERM) while children are being ended, or some would survive."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals never interrupt another thread
        return
    old = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def end_with_descendants(child: subprocess.Popen) -> None:
    """Ends a child and everything it started: asks first, then kills."""
    # Ray's servers lead sessions of their own, so that the group's signal does not reach them
    descendants = _descendants(child.pid)
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
    if child.poll() is None:
        child.kill()
    child.wait()
    for pid, started in descendants.items():
        # the start time tells a survivor from a stranger that got the same number
        if _parent_and_start(pid)[1] == started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _descendants(root: int) -> dict[int, str]:
    """Process ids below `root` and their start times; none where there is no /proc."""
    children: dict[int | None, dict[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        parent, started = _parent_and_start(int(folder.name))
        children.setdefault(parent, {})[int(folder.name)] = started
    found: dict[int, str] = {}
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), {})
        found |= below
        waiting += below
    return found


def _parent_and_start(pid: int) -> tuple[int | None, str]:
    """A process's parent and its start time in clock ticks; (None, "") where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None, ""
    # "pid (name) state parent ...": the name may hold spaces and brackets; start time is field 22
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), fields[19]


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; of lines overwritten by a progress bar only the last state."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 32_768))
        text = file.read().decode("utf-8", "replace")
    kept = [line.rstrip().rpartition("\r")[2] for line in text.split("\n") if line.strip()]
    return "\n".join(line[:300] for line in kept[-lines:])
