"""Which of lmms-eval's own model classes lose time, so that a run can say so once.

Seen on lmms-eval 0.7.3 with transformers 5.10; the tests look at each class again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_eval.utils import simple_parse_args_string
from loguru import logger

BARE = "sends bare frames and tells no time at all"
WHOLE_STEPS = (
    "takes the video's length over the number of steps as the time of a step, which is "
    "too short, and transformers before 5.23 cuts it to whole seconds"
)
FIXED_STEP = "gives frames without their rate, so that every video counts as 24 frames per second"
FILE_TIME = "counts time from the start of the file, the questions count from the clip's start"
WHOLE_FILE = "shows the whole file where a question is about a clip of it"

#: (model class, kind) -> what it loses; kinds are lmms-eval's "chat" and "simple"
LOSSES = {
    ("qwen2_5_vl", "chat"): WHOLE_STEPS,
    ("qwen2_5_vl", "simple"): FIXED_STEP,
    ("vllm", "chat"): BARE,
    ("vllm", "simple"): BARE,
    ("async_openai", "chat"): BARE,
    ("openai", "chat"): BARE,
    ("openai", "simple"): BARE,
    ("litellm", "chat"): BARE,
    ("litellm", "simple"): BARE,
}
#: (model class, kind) -> the argument that makes it tell the time
CURES = {
    ("vllm", "chat"): "is_qwen3_vl",
    ("async_openai", "chat"): "is_qwen3_vl",
    ("openai", "chat"): "pass_video_url",
    ("litellm", "chat"): "pass_video_url",
}
#: tell the time, but of the file
FILE_TIMES = (("qwen3_vl", "chat"), ("vllm", "chat"), ("async_openai", "chat"))
SERVERS = ("async_openai", "openai", "litellm")

_told: set[str] = set()


def warning(
    model: str, model_args: Any, *, force_simple: bool = False, clips: bool = False
) -> str | None:
    """What lmms-eval's class loses and what to use instead; None where it loses nothing we know.

    Args:
        model: as in `--model`, a name or an alias.
        model_args: as in `--model_args`, text or mapping.
        force_simple: `--force_simple` was given.
        clips: some questions are about a part of their file.
    """
    from lmms_eval.models import MODEL_REGISTRY_V2

    if model.startswith("temporal_"):
        return None
    try:
        found = MODEL_REGISTRY_V2.resolve(model, force_simple)
    except ValueError:  # lmms-eval itself says so
        return None
    kind = (found.model_id, found.model_type)
    cured = kind in CURES and _is_on(model_args, CURES[kind])
    losses = [LOSSES[kind]] if kind in LOSSES and not cured else []
    by_path = cured and CURES[kind] == "pass_video_url"
    if clips and (by_path or found.model_type == "simple"):
        losses.append(WHOLE_FILE)
    elif clips and not losses and kind in FILE_TIMES:
        losses.append(FILE_TIME)
    if not losses:
        return None
    ours = "temporal_openai" if found.model_id in SERVERS else "temporal_qwen_vl"
    also = " (backend=vllm runs it on vLLM)" if found.model_id == "vllm" else ""
    return (
        f"--model {model}: this class of lmms-eval {', and '.join(losses)}. Times in its answers "
        f"are guesses; use --model {ours}{also}, which tells the real times"
    )


def warn_once(args: Any, *, clips: bool = False) -> None:
    """Log `warning` for a command's arguments, once a run however many tasks it has."""
    model = getattr(args, "model", None)
    if not isinstance(model, str):
        return  # called from Python
    simple = bool(getattr(args, "force_simple", False))
    text = warning(model, getattr(args, "model_args", None), force_simple=simple, clips=clips)
    if text is not None and text not in _told:
        _told.add(text)
        logger.warning(text)


def _is_on(model_args: Any, name: str) -> bool:
    if isinstance(model_args, str):
        model_args = simple_parse_args_string(model_args)
    value = model_args.get(name) if isinstance(model_args, Mapping) else None
    return str(value).lower() in ("true", "1")
