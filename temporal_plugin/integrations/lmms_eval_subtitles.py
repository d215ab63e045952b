"""Subtitles (SRT) as text of a question."""

from __future__ import annotations

import html
import re
from pathlib import Path

KEY = "subtitles"
"""Field of `Sample.extra` that holds the subtitles' text, where the video has some."""

INTRODUCTION = "The subtitles of the video, each after the second at which it begins:"
_TIMES = re.compile(r"(\d{1,3}):(\d{2}):(\d{2})[,.](\d{1,3})\s*-->")
_TAG = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,200}\}")
MOST_BYTES = 8 << 20


def read(path: Path) -> str:
    """The subtitles of an SRT file, a line each: `[12.5] words`.

    Marks such as `<font ...>` are left out; a line that only repeats the one before is too, as
    automatic subtitles roll. Other encodings than UTF-8 lose the letters that it cannot hold.

    Raises:
        ValueError: the file is larger than any subtitle file.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has over {MOST_BYTES >> 20} MB; no subtitle file is that large")
    text = path.read_text(encoding="utf-8-sig", errors="replace").replace("\r\n", "\n")
    lines: list[str] = []
    before = ""
    for block in text.split("\n\n"):
        rows = block.strip().split("\n")
        place = next((i for i, row in enumerate(rows[:2]) if _TIMES.match(row.strip())), None)
        if place is None:
            continue
        words = " ".join(_words(row) for row in rows[place + 1 :]).strip()
        if words and words != before:
            lines.append(f"[{_seconds(rows[place].strip()):g}] {words}")
            before = words
    return "\n".join(lines)


def before_question(subtitles: str, question: str) -> str:
    """The text that takes the place of the question in the prompt."""
    return f"{INTRODUCTION}\n{subtitles}\n{question}"


def _words(row: str) -> str:
    return html.unescape(_TAG.sub("", row)).strip()


def _seconds(row: str) -> float:
    hours, minutes, seconds, millis = _TIMES.match(row).groups()
    return round(3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(f"0.{millis}"), 3)
