"""Child processes: their log, their failures, and that none survives."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from temporal_plugin.demo import processes

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
#: a child that, like Ray, starts a server in a session of its own, then waits
WITH_SERVER = """
import subprocess, sys, time
server = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
)
print("pid", "is", server.pid, flush=True)
time.sleep(600)
"""


def python(code):
    return [sys.executable, "-c", code]


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_output_and_environment_go_where_they_should(tmp_path):
    log = tmp_path / "new" / "x.log"
    code = "import os; print('out', os.environ['A']); import sys; print('err', file=sys.stderr)"
    calls = []
    processes.run(python(code), log=log, environment={"A": "b"}, watch=lambda: calls.append(1))
    text = log.read_text()
    assert text.startswith(f"$ {sys.executable} -c")
    assert "out b" in text
    assert "err" in text
    assert calls


def test_a_failure_shows_the_end_of_the_output(tmp_path):
    code = "print('\\n'.join(map(str, range(50)))); raise SystemExit(3)"
    with pytest.raises(processes.ChildFailed, match="ended with status 3") as error:
        processes.run(python(code), log=tmp_path / "x.log", environment={})
    assert "49" in str(error.value)
    assert "\n30\n" not in str(error.value)


@needs_proc
def test_ctrl_c_ends_a_child_and_the_servers_it_started(tmp_path):
    log, pids = tmp_path / "x.log", []

    def interrupt_once_started():
        words = log.read_text().partition("\npid is ")[2].split()
        if words:
            pids.append(int(words[0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.run(python(WITH_SERVER), log=log, environment={}, watch=interrupt_once_started)
    assert wait_for(lambda: not alive(pids[0]))


@needs_proc
def test_a_child_that_ignores_the_interrupt_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.3)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen(python(code), start_new_session=True)
    time.sleep(0.3)
    processes.end_with_descendants(child)
    assert child.returncode == -signal.SIGKILL


@needs_proc
def test_a_stranger_with_the_same_number_is_left_alone(monkeypatch):
    stranger = subprocess.Popen(python("import time; time.sleep(600)"))
    child = subprocess.Popen(python("pass"), start_new_session=True)
    monkeypatch.setattr(processes, "_descendants", lambda pid: {stranger.pid: "another start"})
    processes.end_with_descendants(child)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_the_tail_shows_the_last_state_of_a_progress_bar(tmp_path):
    log = tmp_path / "x.log"
    log.write_bytes(b"first\nstep 1\rstep 2\rstep 3\n\xff odd\n\n")
    assert processes.tail(log, 2) == "step 3\n� odd"


@needs_proc
def test_a_second_ctrl_c_does_not_save_a_stubborn_child(tmp_path, monkeypatch):
    """People press it twice; cutting the clean-up short would leave Ray behind."""
    monkeypatch.setattr(processes, "GRACE_SECONDS", 1.0)
    log, pids = tmp_path / "x.log", []
    stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + WITH_SERVER
    again = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))

    def interrupt_once_started():
        words = log.read_text().partition("\npid is ")[2].split()
        if words:
            pids.append(int(words[0]))
            again.start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.run(python(stubborn), log=log, environment={}, watch=interrupt_once_started)
    assert wait_for(lambda: not alive(pids[0]))
