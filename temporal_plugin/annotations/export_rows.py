"""One sample as a row of each host's own data files; no host is needed to write them.

`verl` and `easyr1` are one row that both trainers read: `prompt` (messages), `videos`,
`data_source`, `ability`, `reward_model`, `extra_info` are verl's columns, `problem`, `answer` and
`videos` EasyR1's. EasyR1 knows no system message, so that one opens `problem`.
`llamafactory` is a row of its sharegpt form with OpenAI's names (`messages`, `videos`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporal_plugin import answers
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.prompts import Prompt

TAG = "<video>"
_TAGS = re.compile(r"<(?:video|image|audio)>")


class CannotExport(ValueError):
    """The format cannot say what this sample says; the message is a reason to count it under."""


@dataclass(frozen=True)
class Target:
    """How to write rows.

    Attributes:
        prompt: the words in which the model is asked.
        relative_to: folder that video paths are written relative to, None: as they are.
        clips: whether this file may hold clips (only verl, and then all its rows do it alike).
    """

    prompt: Prompt
    relative_to: Path | None = None
    clips: bool = False


def sample_row(sample: Sample, target: Target, index: int) -> dict[str, Any]:
    """The Sample itself."""
    return replace(sample, video=_video(sample, target)).to_dict()


def trainer_row(sample: Sample, target: Target, index: int) -> dict[str, Any]:
    """The row that verl and EasyR1 both read."""
    messages = _messages(sample, target.prompt)
    truth = answers.encode_truth(replace(sample, video=_video(sample, target)))
    return {
        "problem": "\n".join(message["content"] for message in messages),
        "answer": _with_contract(truth, target.prompt.contract),
        "prompt": messages,
        "videos": [_clip_entry(sample, target) if target.clips else _whole(sample, target)],
        "data_source": sample.source or "temporal",
        "ability": sample.task,
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {
            "index": index,
            "id": sample.id,
            "split": sample.split,
            "contract": target.prompt.contract,
            "prompt": target.prompt.name,
            "prompt_fingerprint": target.prompt.fingerprint,
        },
    }


def _with_contract(truth: str, contract: str) -> str:
    """EasyR1 tells a reward nothing but this text; verl's has the contract in `extra_info`."""
    return json.dumps({**json.loads(truth), "contract": contract}, ensure_ascii=False)


def sft_row(sample: Sample, target: Target, index: int) -> dict[str, Any]:
    """The question and its true answer, as LLaMA-Factory's SFT reads them."""
    try:
        answer = gold_answer(sample, target.prompt.contract)
    except ValueError as error:
        raise CannotExport(str(error)) from None
    if _TAGS.search(answer):
        raise CannotExport("a text holds <video>, <image> or <audio>")
    messages = [*_messages(sample, target.prompt), {"role": "assistant", "content": answer}]
    return {"messages": messages, "videos": [_whole(sample, target)], "id": sample.id}


def _messages(sample: Sample, prompt: Prompt) -> list[dict[str, str]]:
    """The prompt with the video's place marked in the text, as these hosts want it."""
    try:
        asked = prompt.messages(sample)
    except ValueError as error:
        raise CannotExport(_without_id(str(error), sample)) from None
    messages = []
    for message in asked:
        parts = message["content"]
        if isinstance(parts, str):
            parts = [{"type": "text", "text": parts}]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        if any(_TAGS.search(text) for text in texts):
            raise CannotExport("a text holds <video>, <image> or <audio>")
        content = "".join(TAG if part["type"] == "video" else part["text"] for part in parts)
        messages.append({"role": message["role"], "content": content})
    return messages


def _without_id(text: str, sample: Sample) -> str:
    """The same reason for every sample, so that they are counted as one."""
    return text.replace(f"sample {sample.id!r}", "the sample")


def _whole(sample: Sample, target: Target) -> str:
    if sample.clip is not None:
        raise CannotExport("shows a part of its video file; this format knows whole files only")
    return _video(sample, target)


def _clip_entry(sample: Sample, target: Target) -> dict[str, Any]:
    clip = sample.clip
    return {
        "video": _video(sample, target),
        "video_start": None if clip is None else clip.start_seconds,
        "video_end": None if clip is None else clip.end_seconds,
    }


def _video(sample: Sample, target: Target) -> str:
    if target.relative_to is None:
        return sample.video
    path = Path(sample.video)
    if not path.is_relative_to(target.relative_to):
        raise CannotExport(f"its video is not below {target.relative_to}")
    return path.relative_to(target.relative_to).as_posix()
