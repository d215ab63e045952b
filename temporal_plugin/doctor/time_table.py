"""What each path tells the model about the time of one video, and whether all tell the same."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_plugin.doctor.request import Request
from temporal_plugin.integrations.versions import installed

if TYPE_CHECKING:
    from temporal_plugin.video.model_view import ModelView

PATHS = {
    "rollout": ("verl", "vllm"),
    "log-prob": ("verl", "vllm"),  # what the trainer takes from a rollout by verl's vLLM server
    "SFT": ("verl",),
    "lmms-eval transformers": ("lmms-eval",),
    "lmms-eval vLLM": ("lmms-eval", "vllm"),
}
"""The ways in which a video reaches the model, and the hosts that each needs."""

TIME_LIMIT_SECONDS = 900


@dataclass(frozen=True)
class Verdict:
    """One path's result; `state` is "PASS", "DIFFERS", "FAILED" or "absent"."""

    path: str
    state: str
    detail: str


@dataclass(frozen=True)
class TimeTable:
    """What every path tells the model of one video.

    Attributes:
        frame_seconds: real presentation times of the frames, per grid step.
        true_seconds: per grid step what the model would hear from a path that tells the truth.
        views: what each path that could be asked shows.
        verdicts: one per path.
    """

    frame_seconds: list[list[float]]
    true_seconds: list[float]
    views: dict[str, ModelView]
    verdicts: list[Verdict]

    @property
    def agrees(self) -> bool:
        """No path differs or failed, and at least one could be asked."""
        states = {verdict.state for verdict in self.verdicts}
        return "PASS" in states and not states & {"DIFFERS", "FAILED"}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "agrees": self.agrees,
            "paths": [vars(verdict) for verdict in self.verdicts],
            "steps": [
                {
                    "frames": frames,
                    "true": true,
                    **{name: _at(view.step_seconds, step) for name, view in self.views.items()},
                }
                for step, (frames, true) in enumerate(
                    zip(self.frame_seconds, self.true_seconds, strict=True)
                )
            ],
        }


def build(request: Request) -> TimeTable:
    """Ask every path whose hosts are installed.

    Raises:
        VideoError: the video cannot be read.
        ValueError: the model is of another family, or a setting is wrong.
    """
    frame_seconds, true_seconds = _truth(request)
    answers = _ask_all(request)
    return judge(frame_seconds, true_seconds, answers)


def judge(
    frame_seconds: list[list[float]],
    true_seconds: list[float],
    answers: Mapping[str, ModelView | str],
) -> TimeTable:
    """Compare the paths with the truth and with the first of them that could be asked.

    Args:
        frame_seconds: see `TimeTable`.
        true_seconds: see `TimeTable`.
        answers: per path its view or why there is none; a missing path's hosts are not installed.
    """
    views = {
        name: answers[name]
        for name in PATHS
        if name in answers and not isinstance(answers[name], str)
    }
    verdicts = []
    for name, hosts in PATHS.items():
        answer = answers.get(name)
        if answer is None:
            verdicts.append(Verdict(name, "absent", f"needs {' and '.join(hosts)}"))
        elif isinstance(answer, str):
            verdicts.append(Verdict(name, "FAILED", answer))
        else:
            verdicts.append(_compare(name, answer, true_seconds, views))
    return TimeTable(frame_seconds, true_seconds, views, verdicts)


def _compare(
    name: str, view: ModelView, true_seconds: list[float], views: dict[str, ModelView]
) -> Verdict:
    from temporal_plugin.video.model_view import first_difference

    if len(view.step_seconds) != len(true_seconds):
        text = f"{len(view.step_seconds)} steps where the video has {len(true_seconds)}"
        return Verdict(name, "DIFFERS", text)
    for step, (told, true) in enumerate(zip(view.step_seconds, true_seconds, strict=True)):
        if told != true:
            return Verdict(name, "DIFFERS", f"step {step}: tells {told} s, true is {true} s")
    reference = next(iter(views))
    difference = first_difference(views[reference], view)
    if difference is not None:
        return Verdict(name, "DIFFERS", f"from {reference} in {difference}")
    detail = "true times" if name == reference else f"true times, equal to {reference} in all"
    return Verdict(name, "PASS", detail)


def _truth(request: Request) -> tuple[list[list[float]], list[float]]:
    from transformers import AutoConfig

    from temporal_plugin.spans import Span
    from temporal_plugin.video.decode import load_frames
    from temporal_plugin.video.model_view import ModelFamily, true_step_seconds
    from temporal_plugin.video.sampling import Sampling

    config = AutoConfig.from_pretrained(request.model)
    frames = load_frames(
        request.video,
        Sampling.from_mapping(request.sampling),
        clip=None if request.clip is None else Span(*request.clip),
        patch_size=config.vision_config.patch_size,
    )
    times = frames.pts_seconds.tolist()
    pairs = [times[start : start + 2] for start in range(0, len(times), 2)]
    per_second = ModelFamily.of(config).tokens_per_second
    return pairs, true_step_seconds(frames.pts_seconds, per_second)


def _ask_all(request: Request) -> dict[str, ModelView | str]:
    hosts = [host for host in ("verl", "lmms-eval") if installed(host) is not None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(request.to_dict()), "utf-8")
        asked = {host: _start(host, folder) for host in hosts}
        try:
            return {p: v for host, child in asked.items() for p, v in _hear(host, child, folder)}
        finally:
            for child in asked.values():
                child.kill()  # only where another's answer raised: else it has ended
                child.wait()


def _start(host: str, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "temporal_plugin.doctor.ask", host]
    files = [str(folder / "request.json"), str(folder / f"{host}.json")]
    with (folder / f"{host}.log").open("wb") as log:
        return subprocess.Popen([*command, *files], stdout=log, stderr=log)


def _hear(host: str, child: subprocess.Popen, folder: Path):
    """(path, view or error) of each path of the host whose requirements are installed."""
    from temporal_plugin.video.model_view import ModelView

    paths = [name for name, needs in PATHS.items() if needs[0] == host]
    paths = [name for name in paths if all(installed(need) for need in PATHS[name])]
    problem = None
    try:
        if child.wait(TIME_LIMIT_SECONDS) != 0:
            log = (folder / f"{host}.log").read_text("utf-8", errors="replace")
            problem = f"{host} ended with status {child.returncode}: {log.strip()[-500:]}"
    except subprocess.TimeoutExpired:
        problem = f"{host} gave no answer within {TIME_LIMIT_SECONDS} s"
    if problem is not None:
        yield from ((name, problem) for name in paths)
        return
    answer = json.loads((folder / f"{host}.json").read_text("utf-8"))
    for name in paths:
        found = answer[name]
        yield name, ModelView.from_dict(found["view"]) if "view" in found else found["error"]


def _at(values: tuple, index: int):
    return values[index] if index < len(values) else None
