"""What is put around the methods of EasyR1's `RLHFDataset`; each function takes upstream's method.

Rows without videos, and with videos but text that is not ours, go through upstream's own code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.integrations.easyr1_video import below, entry_of, planned, stand_in
from temporal_plugin.video.errors import VideoError

logger = logging.getLogger(__name__)
CHAT = "prompt"
"""The column of `data export` that holds the chat, system message included."""

TAG = "<video>"
WORKERS = 16
LISTED = 20


def init(upstream: Callable) -> Callable:
    """Check every video and count prompts by sizes, in the place of a decode of them all."""

    @wraps(upstream)
    def __init__(
        self,
        *args,
        filter_overlong_prompts: bool = True,
        filter_overlong_prompts_workers: int = WORKERS,
        **settings,
    ) -> None:
        upstream(self, *args, filter_overlong_prompts=False, **settings)
        if self.video_key in self.dataset.column_names:
            self.dataset = _clips_below(self.dataset, self.video_key, self.image_dir)
            self.dataset = usable(self, drop_overlong=filter_overlong_prompts)
        elif filter_overlong_prompts:
            self.dataset = self.dataset.filter(
                self._filter_overlong_prompts,
                desc="Filtering overlong prompts",
                num_proc=filter_overlong_prompts_workers,
            )

    return __init__


def getitem(upstream: Callable) -> Callable:
    """A video that breaks while it is decoded: a named error, or the next row in its place."""

    @wraps(upstream)
    def __getitem__(self, index):
        for step in range(len(self)):
            row = (index + step) % len(self)
            try:
                return upstream(self, row)
            except VideoError as error:
                if Settings.from_environment().on_bad_video == "fail":
                    raise
                self.failed = getattr(self, "failed", 0) + 1
                logger.warning(
                    "video failure %d of this process, the row after it is taken: %s",
                    self.failed,
                    error,
                )
        raise VideoError(f"none of {len(self)} rows has a video that can be decoded")

    return __getitem__


def build_messages(upstream: Callable) -> Callable:
    """The row's own chat where it has one, so that a system message stays one."""

    @wraps(upstream)
    def _build_messages(self, example: dict[str, Any]) -> list[dict[str, Any]]:
        chat = example.get(CHAT)
        if self.format_prompt or self.video_key not in example or not isinstance(chat, list):
            return upstream(self, example)
        return [{"role": message["role"], "content": parts(message["content"])} for message in chat]

    return _build_messages


def parts(content: str) -> str | list[dict[str, str]]:
    """The content with an entry for each `<video>` in it; without one the text itself."""
    if TAG not in content:
        return content
    texts = content.split(TAG)
    found: list[dict[str, str]] = []
    for number, text in enumerate(texts):
        if number:
            found.append({"type": "video"})
        if text:
            found.append({"type": "text", "text": text})
    return found


def _clips_below(rows, key: str, folder: str | None):
    """Rows whose clips have their paths below `folder`; upstream does that for bare paths only."""
    if folder is None or not any(isinstance(video, Mapping) for video in rows[0][key] or ()):
        return rows
    return rows.map(lambda row: {key: [below(folder, video) for video in row[key] or ()]})


def usable(dataset, *, drop_overlong: bool):
    """The rows (a `datasets.Dataset`) whose videos can be opened and whose prompts fit.

    Raises:
        VideoError: a video is missing or unreadable and `on_bad_video` is "fail"; lists them.
        ValueError: no row is left.
    """
    rows, key, folder = dataset.dataset, dataset.video_key, dataset.image_dir
    settings = Settings.from_environment()
    entries = [[below(folder, video) for video in row or ()] for row in rows[key]]
    faults = faults_of({entry_of(video)[0] for row in entries for video in row})
    if faults and settings.on_bad_video == "fail":
        raise VideoError(listing(faults))
    counts = _lengths(dataset, entries, faults, settings)
    keep, overlong, bad = [], 0, 0
    for index, count in enumerate(counts):
        if isinstance(count, VideoError):
            if settings.on_bad_video == "fail":
                raise count
            logger.warning("dropped: %s", count)
            bad += 1
        elif drop_overlong and count > dataset.max_prompt_length:
            overlong += 1
        else:
            keep.append(index)
    if overlong or bad:
        logger.warning(
            "%d of %d rows dropped: %d prompts over %d tokens, %d bad videos",
            overlong + bad,
            len(rows),
            overlong,
            dataset.max_prompt_length,
            bad,
        )
    if not keep:
        raise ValueError(f"no row is left of {len(rows)}: see the log above")
    return rows if len(keep) == len(rows) else rows.select(keep)


def faults_of(paths: set[str]) -> dict[str, str]:
    """Path -> why its file cannot be opened as a video."""
    from temporal_plugin.annotations.check import survey

    found = survey(sorted(paths))
    return {path: item.fault[0] for path, item in found.items() if item.fault is not None}


def listing(faults: Mapping[str, str]) -> str:
    lines = [f"  {path}: {reason}" for path, reason in list(faults.items())[:LISTED]]
    if len(faults) > LISTED:
        lines.append(f"  and {len(faults) - LISTED} more")
    return "\n".join(
        [
            f"{len(faults)} missing or unreadable videos:",
            *lines,
            "mend data.image_dir, or set temporal.on_bad_video=skip",
        ]
    )


def _lengths(
    dataset, entries: Sequence[Sequence], faults: Mapping[str, str], settings: Settings
) -> Iterator[int | VideoError]:
    """Tokens of each row's prompt, or why its video cannot be used."""
    sampling = settings.of_run(dataset.video_fps, dataset.min_pixels, dataset.max_pixels)

    def look(video) -> Any:
        path = entry_of(video)[0]
        if path in faults:
            return VideoError(f"{path}: {faults[path]}")
        try:
            return planned(video, sampling, settings)
        except VideoError as error:
            return error

    distinct = {repr(video): video for row in entries for video in row}
    with ThreadPoolExecutor(WORKERS) as pool:
        plans = dict(zip(distinct, pool.map(look, distinct.values()), strict=True))
    for index, row in enumerate(entries):
        seen = [plans[repr(video)] for video in row]
        errors = [item for item in seen if isinstance(item, VideoError)]
        yield errors[0] if errors else _tokens(dataset, index, seen)


def _tokens(dataset, index: int, seen: Sequence) -> int:
    messages = dataset._build_messages(dataset.dataset[index])
    text = dataset.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False
    )
    inputs = dataset.processor(
        videos=[stand_in(item) for item in seen] or None,
        text=[text],
        add_special_tokens=False,
        return_tensors="pt",
    )
    return inputs["input_ids"].size(-1)
