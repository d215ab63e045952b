"""vLLM inside EasyR1: prompts that carry the real times of their videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temporal_plugin.integrations.easyr1_video import name_of, names_of, told_fps

PROCESSOR_SETTINGS = {"do_resize": False, "do_sample_frames": False}


def timed_llm(upstream: type) -> type:
    """vLLM's `LLM` with `generate` going through `timed_prompt`."""

    class TimedLLM(upstream):  # type: ignore[misc, valid-type]
        """See `timed_llm`."""

        timed = True

        def generate(self, prompts: Sequence[Mapping[str, Any]], *args, **settings):
            return super().generate([timed_prompt(prompt) for prompt in prompts], *args, **settings)

    return TimedLLM


def timed_prompt(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt with the times of its named videos; any other prompt as it is.

    Qwen3-VL's times go into the metadata beside the pixels. Qwen2.5-VL's processor of
    transformers 4 reads the sampled frame rate from its argument `fps` alone.
    """
    videos = (prompt.get("multi_modal_data") or {}).get("video")
    names = names_of(videos)
    if names is None:
        return dict(prompt)
    pairs = [
        (video[0] if isinstance(video, tuple) else video, dict(name_of(video))) for video in videos
    ]
    settings = {**PROCESSOR_SETTINGS, "fps": [told_fps(name) for name in names]}
    return {
        **prompt,
        "multi_modal_data": {**prompt["multi_modal_data"], "video": pairs},
        "mm_processor_kwargs": {**prompt.get("mm_processor_kwargs", {}), **settings},
    }
