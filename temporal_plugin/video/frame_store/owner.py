"""Which process made a lock or a temporary file, and whether it is still there."""

import hashlib
import os
import re
import socket
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TEXT = re.compile(r"([0-9a-f]{12})-(\d+)-(\d+)")


@dataclass(frozen=True)
class Owner:
    """A process on a machine.

    Attributes:
        machine: stands for one running system and its process numbers: it changes with a reboot
            and differs between containers.
        pid: process id.
        start: when the process started, in clock ticks since the boot (0 where the system does
            not tell); it tells a process from a later one with the same number.
    """

    machine: str
    pid: int
    start: int

    @classmethod
    def this_process(cls) -> "Owner":
        """The calling process."""
        pid = os.getpid()  # asked for each time: a forked child is another owner
        return cls(_machine(), pid, _start_of(pid) or 0)

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """The owner that `str` wrote, or None where the text is something else."""
        match = TEXT.fullmatch(text)
        return cls(match[1], int(match[2]), int(match[3])) if match else None

    def __str__(self) -> str:
        return f"{self.machine}-{self.pid}-{self.start}"

    def gone(self) -> bool | None:
        """Whether the process has ended; None where that cannot be known from this machine."""
        if self.machine != _machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # there, and another user's
            pass
        start = _start_of(self.pid)
        return start is not None and self.start not in (0, start)


@lru_cache(maxsize=1)
def _machine() -> str:
    name = socket.gethostname()
    parts = [name, _text("/proc/sys/kernel/random/boot_id") or f"{uuid.getnode():x}"]
    try:
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:  # no such thing here: process numbers mean the same in all of the system
        parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _start_of(pid: int) -> int | None:
    text = _text(f"/proc/{pid}/stat")
    # "pid (name) state parent ...": the name may hold spaces and brackets; the time is field 22
    return int(text.rpartition(")")[2].split()[19]) if text else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace").strip()
    except OSError:  # systems without /proc, or the process has just ended
        return ""
