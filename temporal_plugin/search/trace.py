"""Traces of searches: what a model said, turn by turn, without pixels; the tool is run again.

A trace is a Sample with `messages`: the assistant's turns in order, and between them, where it is
known which frames a call brought, `{"role": "tool", "seconds": [...]}`. Messages of other roles
are passed over: the prompt and the tool's words are made anew, as the rollout makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from temporal_plugin.search.conversation import Conversation, Message
from temporal_plugin.search.frame_search import SearchError
from temporal_plugin.search.tool import Call
from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.choice import nearest
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import plan_frames
from temporal_plugin.video.sampling import Sampling

Seek = Callable[[Call, Sequence[float] | None], Frames]


@dataclass(frozen=True)
class Turn:
    """A turn of the model, and the times of the frames that its call brought, where known."""

    text: str
    seconds: tuple[float, ...] | None = None


def turns_in(messages: object) -> list[Turn]:
    """The model's turns of a trace.

    Raises:
        ValueError: no list of messages, or none of the assistant; names what is wrong.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise ValueError(f"messages are {str(messages)[:80]!r}; needed: a list of messages")
    turns: list[Turn] = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise ValueError(f"a message is {str(message)[:80]!r}; needed: an object with a role")
        if message.get("role") == "assistant":
            turns.append(Turn(_text(message.get("content"))))
        elif message.get("role") == "tool" and message.get("seconds") is not None and turns:
            turns[-1] = Turn(turns[-1].text, _seconds(message["seconds"]))
    if not turns:
        raise ValueError("messages hold no turn of the assistant")
    return turns


def replay(
    conversation: Conversation, turns: Sequence[Turn], seek: Seek
) -> Iterator[tuple[str, list[Message]]]:
    """Drives a conversation by a trace: each turn, and the messages that it is answered.

    Args:
        seek: (call, the times of its frames where known) -> the frames; a SearchError goes to
            the conversation, as in the rollout.

    Raises:
        ValueError: a turn comes after the answer, or the trace ends without one.
    """
    for number, turn in enumerate(turns, 1):
        if conversation.over:
            raise ValueError(f"turn {number} of {len(turns)} comes after the search was over")
        reply = conversation.said(turn.text)
        if isinstance(reply, Call):
            try:
                reply = conversation.found(seek(reply, turn.seconds))
            except SearchError as error:
                reply = conversation.failed(f"{error}.")
        yield turn.text, reply or []
    if not conversation.answer:
        raise ValueError(f"its {len(turns)} turns end without an answer")


def frames_at(
    video: str | Path,
    seconds: Sequence[float],
    sampling: Sampling,
    clip: Span | None = None,
    patch_size: int = 14,
) -> Frames:
    """The frames shown nearest to these times, relative to the clip: what a search brought.

    Raises:
        VideoError: the video cannot be read.
        ValueError: no time.
    """
    if not len(seconds):
        raise ValueError("no time of a frame is given")
    start = 0.0 if clip is None else clip.start_seconds
    times = index_packets(video).times
    indices = np.unique(nearest(times, np.asarray(seconds, dtype=np.float64) + start)).tolist()
    planned = plan_frames(video, indices, sampling, clip, patch_size)
    return decode.load_plan(planned, sampling)


def _text(content: Any) -> str:
    """The text of a message whose content is a text or a list of text parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        if len(parts) == len(content) and all(isinstance(part, str) for part in parts):
            return "".join(parts)
    raise ValueError(f"an assistant's content is {str(content)[:80]!r}; needed: a text")


def _seconds(values: object) -> tuple[float, ...]:
    if isinstance(values, Sequence) and not isinstance(values, str):
        right = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in values]
        if values and all(right) and np.isfinite(values).all():
            return tuple(float(value) for value in values)
    raise ValueError(f"seconds of a tool's message are {str(values)[:80]!r}; needed: numbers")
