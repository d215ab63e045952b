"""The tool `seek_video_frames`: its schema, the check of a call, and its result as chat content.

A wrong call is answered by a message that says what is wrong and what is allowed: it is a model's
mistake, so nothing here raises for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporal_plugin.video.frames import Frames

TOOL = "seek_video_frames"
MOST_FRAMES = 8
MOST_QUERY_CHARACTERS = 1000
_LONGEST_NUMERAL = 32
_LONGEST_QUOTE = 60
_ARGUMENTS = ("query", "start_time", "end_time", "num_frames")


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call: 0 <= start < end <= duration in seconds, 1 <= num_frames."""

    query: str
    start_seconds: float
    end_seconds: float
    num_frames: int


def schema(most_frames: int = MOST_FRAMES) -> dict[str, Any]:
    """The tool as an OpenAI function, for hosts and servers that take tools by schema."""
    seconds = "in seconds from the start of the video"
    properties = {
        "query": {"type": "string", "description": "what to look for, in a few words"},
        "start_time": {"type": "number", "description": f"look from here on, {seconds}; default 0"},
        "end_time": {"type": "number", "description": f"look up to here, {seconds}; default: end"},
        "num_frames": {
            "type": "integer",
            "minimum": 1,
            "maximum": most_frames,
            "description": f"how many frames to bring; default {most_frames}",
        },
    }
    return {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Brings the frames of a part of the video that fit a query best.",
            "parameters": {"type": "object", "properties": properties, "required": ["query"]},
        },
    }


class _Wrong(Exception):
    """What is wrong with a call, in words for the model."""


def check(arguments: object, duration_seconds: float, most_frames: int = MOST_FRAMES) -> Call | str:
    """The call that `arguments` ask for, or a message for the model.

    Numbers may be written as strings, and all arguments as one JSON string: models do both. A
    window that ends after the video is cut at its end; one that begins there is an error.

    Args:
        arguments: what the model gave, of any type.
        duration_seconds: of what the model sees, above 0.
        most_frames: the most that one call may ask for.
    """
    try:
        given = _object(arguments)
        unknown = sorted(set(given) - set(_ARGUMENTS), key=str)
        if unknown:
            raise _Wrong(
                f"{quoted(unknown[0])} is no argument of {TOOL}; it takes {', '.join(_ARGUMENTS)}"
            )
        query = _query(given.get("query"))
        start, end = _window(given, duration_seconds)
        return Call(query, start, end, _count(given.get("num_frames"), most_frames))
    except _Wrong as wrong:
        return f"{wrong}."


def _object(arguments: object) -> Mapping[str, Any]:
    if isinstance(arguments, str):
        arguments = load_json(arguments)
    if isinstance(arguments, Mapping):
        return arguments
    raise _Wrong(
        'the arguments must be a JSON object such as {"query": "a red car", "start_time": 0, '
        '"end_time": 60, "num_frames": 8}'
    )


def load_json(text: str) -> object | None:
    """The JSON value of a model's text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _query(value: object) -> str:
    if value is None:
        raise _Wrong("query is missing; say in a few words what to look for")
    if not isinstance(value, str):
        raise _Wrong(f"query is {quoted(value)}; it must be a string")
    query = clean(" ".join(value.split()))
    if not query:
        raise _Wrong("query is empty; say in a few words what to look for")
    if len(query) > MOST_QUERY_CHARACTERS:
        raise _Wrong(
            f"query has {len(query)} characters; at most {MOST_QUERY_CHARACTERS} are allowed"
        )
    return query


def _window(given: Mapping[str, Any], duration: float) -> tuple[float, float]:
    start = _number("start_time", given.get("start_time"), 0.0)
    end = _number("end_time", given.get("end_time"), duration)
    if start < 0:
        raise _Wrong(f"start_time is {start:g}; it must be 0 or more")
    if start >= duration:
        raise _Wrong(f"start_time is {start:g}, but the video lasts only {duration:g} seconds")
    if end <= start:
        raise _Wrong(f"end_time is {end:g}; it must be above start_time, which is {start:g}")
    return start, min(end, float(duration))


def _number(name: str, value: object, default: float) -> float:
    if value is None:
        return float(default)
    number = _float(value)
    if number is None or not math.isfinite(number):
        raise _Wrong(f"{name} is {quoted(value)}; it must be a number of seconds")
    return number


def _count(value: object, most: int) -> int:
    if value is None:
        return most
    number = _float(value)
    if number is None or not math.isfinite(number) or number != int(number):
        raise _Wrong(f"num_frames is {quoted(value)}; it must be a whole number from 1 to {most}")
    if not 1 <= number <= most:
        raise _Wrong(f"num_frames is {number:g}; it must be from 1 to {most}")
    return int(number)


def _float(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_NUMERAL:
        return None
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def clean(text: str) -> str:
    """A model's text without what would break the message that it stands in.

    JSON escapes can write a lone surrogate, which no tokenizer takes, and the name of a special
    token such as `<|image_pad|>`, which would stand for an image that is not there.
    """
    return text.encode("utf-8", "replace").decode("utf-8").replace("<|", "< |")


def quoted(value: object) -> str:
    """A model's value as it may stand in a message: short, on one line."""
    if isinstance(value, str):
        value = clean(value[: _LONGEST_QUOTE + 1])
    elif not isinstance(value, (int, float)):
        return f"of type {type(value).__name__}"
    elif isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."


def time_text(seconds: float) -> str:
    """A frame's time as Qwen3-VL writes those of a video: `<12.5 seconds>`."""
    return f"<{seconds:.1f} seconds>"


def frames_content(frames: Frames) -> list[dict[str, Any]]:
    """Each frame's time as text, then the frame as a PIL image (RGB)."""
    from PIL import Image

    content: list[dict[str, Any]] = []
    pixels = frames.pixels.permute(0, 2, 3, 1).contiguous().numpy()  # [T, H, W, C]
    for image, seconds in zip(pixels, frames.pts_seconds, strict=True):
        content.append({"type": "text", "text": time_text(seconds)})
        content.append({"type": "image", "image": Image.fromarray(image)})
    return content


def result_content(frames: Frames) -> list[dict[str, Any]]:
    """The tool's answer: `frames_content`, then a line that lists the times."""
    return [*frames_content(frames), {"type": "text", "text": times_line(frames.pts_seconds)}]


def times_line(pts_seconds: Sequence[float]) -> str:
    """One line that says which frames were brought."""
    if not len(pts_seconds):
        return "There are no frames in this part of the video."
    times = ", ".join(f"{seconds:.1f}" for seconds in pts_seconds)
    return f"These frames are at {times} seconds."
