"""The real command under faults: killed, a failing server, bad videos, and without a network."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval")

from openai_server import Fault

from temporal_plugin.integrations.lmms_eval_results import read_results, read_samples

pytestmark = pytest.mark.slow
TASK = ("--tasks", "temporal_plugin_charades", "--log_samples", "--device", "cpu")
#: runs in the child before anything else: notes and refuses what goes beyond this machine
GUARD = """
import os, socket
LOCAL = ("127.0.0.1", "::1", "localhost", "", None, socket.gethostname())
def refuse(host):
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(f"{host}\\n")
    raise OSError(f"no network in this test: {host}")
resolve, connect = socket.getaddrinfo, socket.socket.connect
def getaddrinfo(host, *args, **kwargs):
    return resolve(host, *args, **kwargs) if host in LOCAL else refuse(host)
def guarded(self, address):
    inet = self.family in (socket.AF_INET, socket.AF_INET6)
    return refuse(address[0]) if inet and address[0] not in LOCAL else connect(self, address)
socket.getaddrinfo, socket.socket.connect = getaddrinfo, guarded
"""


@pytest.fixture
def start(tmp_path):
    """start(name, *arguments, data=..., before=()) -> a running lmms-eval, its results folder."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard/sitecustomize.py").write_text(GUARD)
    (tmp_path / "network.log").touch()
    running = []

    def begin(name, *arguments, data, before=()):
        out = tmp_path / name
        environment = {
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "1",
            "NETWORK_LOG": str(tmp_path / "network.log"),
            "OPENAI_API_KEY": "sk-secret",
            "PYTHONPATH": os.pathsep.join(
                [str(tmp_path / "guard"), str(Path(__file__).parents[2])]
            ),
            "TEMPORAL_PLUGIN_DATA": str(data),
            "TEMPORAL_PLUGIN_ON_BAD_VIDEO": "count_as_failure",
        }
        command = [*before, sys.executable, "-m", "lmms_eval", *arguments, *TASK,
                   "--output_path", str(out)]  # fmt: skip
        with (tmp_path / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        running.append(process)
        return process, out

    yield begin
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def broken_root(data_root, tmp_path):
    """A data root whose third video, of one question, is no video."""
    root = shutil.copytree(data_root, tmp_path / "broken")
    (root / "charades_sta/videos/V2.mp4").write_bytes(b"\x00" * 4096)
    return root


class Replies:
    """Answers by question; every first attempt gets a 500, and one question may hang for ever."""

    def __init__(self):
        self.asked = []
        self.hang_at = None
        self.hanging, self.release = threading.Event(), threading.Event()

    def __call__(self, body, number):
        question = json.dumps([part for part in body["messages"][-1]["content"]
                               if part["type"] == "text"][-1])  # fmt: skip
        question += body["messages"][-1]["content"][1]["image_url"]["url"][-99:]
        self.asked.append(question)
        if self.asked.count(question) % 2 == 1:
            return Fault(500)
        distinct = len(set(self.asked))
        if self.hang_at is not None and distinct >= self.hang_at:
            self.hanging.set()
            self.release.wait(600)
        return "<answer>1.0 to 3.0</answer>" if "square" in question else "从第二秒开始"


def finished(process, out):
    process.wait(900)
    return read_results(out), read_samples(out)


def test_a_killed_run_ends_with_the_numbers_of_an_unbroken_one(
    start, openai_server, broken_root, sampling_settings, tmp_path
):
    replies = Replies()
    server = openai_server(replies)
    settings = {**sampling_settings, "model": "m", "base_url": server.url, "concurrency": 1,
                "retries": 3, "retry_wait": 0.01, "timeout": 600}  # fmt: skip
    arguments = ",".join(f"{name}={value}" for name, value in settings.items())
    plain = ("--model", "temporal_openai", "--model_args", arguments)
    resumed = (*plain[:3], f"{arguments},resume={tmp_path / 'answers'}")

    results, samples = finished(*start("whole", *plain, data=broken_root))
    assert results["questions"] == 5
    assert results["request_failure"] == 0.2
    assert results["parse_failure"] == 0.4, "an answer in Chinese without times"
    assert 0 < results["miou"] < 1
    whole = list(replies.asked)
    assert len(whole) == 2 * 4, "each of the four questions was refused once"

    replies.asked, replies.hang_at = [], 3
    process, out = start("killed", *resumed, data=broken_root)
    assert replies.hanging.wait(600)
    deadline = time.monotonic() + 60
    answers = tmp_path / "answers/answers_0.jsonl"
    while answers.read_bytes().count(b"\n") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(out.rglob("*_results.json"))
    with answers.open("ab") as file:
        file.write(b'{"key": "torn')

    replies.asked, replies.hang_at = [], None
    replies.release.set()
    again, rows = finished(*start("resumed", *resumed, data=broken_root))
    assert again == results
    assert rows == samples
    assert len(set(replies.asked)) == 2, "only what had no answer was asked"
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    files = "".join(path.read_text() for path in out.parent.rglob("*.json*") if path.is_file())
    assert "sk-secret" not in logs + files


def test_a_run_needs_no_network(start, tiny_model, data_root, sampling_settings, tmp_path):
    settings = {"pretrained": tiny_model("qwen2_5_vl"), **sampling_settings}
    arguments = ",".join(f"{name}={value}" for name, value in settings.items())
    cut = ("unshare", "--map-root-user", "--net")  # where the system allows it
    able = shutil.which(cut[0]) and not subprocess.run([*cut, "true"], check=False).returncode
    results, _ = finished(
        *start(
            "offline", "--model", "temporal_qwen_vl", "--model_args", arguments,
            "--gen_kwargs", "max_new_tokens=4",
            data=data_root, before=cut if able else (),
        )
    )  # fmt: skip
    assert (results["questions"], results["request_failure"]) == (5, 0)
    assert (tmp_path / "network.log").read_text() == "", "nothing even asked for another machine"


def test_the_guard_guards(start, tmp_path):
    program = "import socket; socket.create_connection(('203.0.113.1', 80), 1)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "guard"),
             "NETWORK_LOG": str(tmp_path / "network.log")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "no network in this test: 203.0.113.1" in found.stderr
    assert (tmp_path / "network.log").read_text() == "203.0.113.1\n"
