"""Asks one host what it shows the model: `python -m temporal_plugin.doctor.ask HOST IN OUT`.

Each host is asked in a process of its own, as what one host's plugin changes in transformers must
not hide what another leaves undone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from temporal_plugin.doctor.request import Request


def main(host: str, request: Path, answer: Path) -> None:
    """Write what the host's paths show the model as JSON: {path: {"view": ..} or {"error": ..}}."""
    asked = Request.from_dict(json.loads(request.read_text("utf-8")))
    found: dict[str, dict] = {}
    for paths, view in HOSTS[host](asked):
        try:
            views = view()
        except Exception as error:  # one path's failure is a finding, the others go on
            views = dict.fromkeys(paths, f"{type(error).__name__}: {error}")
        for path, seen in views.items():
            found[path] = {"error": seen} if isinstance(seen, str) else {"view": seen.to_dict()}
    answer.write_text(json.dumps(found), "utf-8")


Views = Callable[[], dict]


def _verl(asked: Request) -> Iterator[tuple[tuple[str, ...], Views]]:
    _choose_platform()
    sample = asked.to_sample()

    def rollout() -> dict:
        from temporal_plugin.integrations import verl_view
        from temporal_plugin.integrations.vllm_inputs import InputReader

        config = verl_view.rollout_config(asked.model, asked.prompt, asked.sampling, asked.recipe)
        prompt, log_prob = verl_view.Rollout(config).run(sample)
        try:
            reader = InputReader(asked.model, verl_view.engine_settings(config))
            return {"rollout": reader.view(prompt), "log-prob": log_prob}
        except Exception as error:  # the log-prob pass is worth showing without the engine
            return {"rollout": f"{type(error).__name__}: {error}", "log-prob": log_prob}

    def sft() -> dict:
        from temporal_plugin.integrations.verl_sft_view import SFT

        return {"SFT": SFT(asked.model, asked.prompt, asked.sampling).view(sample)}

    yield ("rollout", "log-prob"), rollout
    yield ("SFT",), sft


def _lmms_eval(asked: Request) -> Iterator[tuple[tuple[str, ...], Views]]:
    sample = asked.to_sample()

    def transformers() -> dict:
        from temporal_plugin.integrations.lmms_eval_view import TransformersView

        view = TransformersView(asked.model, **asked.sampling).view(sample, asked.prompt)
        return {"lmms-eval transformers": view}

    def vllm() -> dict:
        from temporal_plugin.integrations.lmms_eval_view import VLLMView

        return {
            "lmms-eval vLLM": VLLMView(asked.model, **asked.sampling).view(sample, asked.prompt)
        }

    yield ("lmms-eval transformers",), transformers
    yield ("lmms-eval vLLM",), vllm


def _choose_platform() -> None:
    """verl asks for its platform when it is imported; without a GPU it must be told."""
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("VERL_PLATFORM", "cpu")


HOSTS = {"verl": _verl, "lmms-eval": _lmms_eval}
"""Hosts that can be asked; each yields its paths and the function that looks at them."""

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
