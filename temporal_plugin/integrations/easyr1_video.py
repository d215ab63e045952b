"""Videos inside EasyR1: frames from our source, with their real times beside them.

EasyR1 asks for a video in three places (the dataset, the rollout and the actor) and passes only
pixels on. Here the pixels are a tensor that also carries its `VideoName`: the times, and which
video it is. Nothing in this file knows EasyR1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.integrations.shared_videos import VideoName
from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.patches import grid_of, to_patches
from temporal_plugin.video.plan import Plan, plan
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.source import has_store, open_source
from temporal_plugin.video.timing import FRAMES_PER_STEP

NAME = "temporal_name"
"""The attribute of a video's tensor that holds its `VideoName`."""

ENTRY_KEYS = {"video", "clip", "video_start", "video_end"}
TOKENS_PER_SECOND = 2  # of every released Qwen2.5-VL; EasyR1 writes the number too


def entry_of(video: str | Mapping[str, Any]) -> tuple[str, Span | None]:
    """File and clip of an entry of a row's `videos`.

    Args:
        video: a path, or `{"video": path}` with `clip: [start, end]` or with `video_start` and
            `video_end`, in seconds of the file.

    Raises:
        ValueError: the entry is neither.
    """
    if isinstance(video, (str, Path)):
        return str(video), None
    if not isinstance(video, Mapping) or not video.get("video") or set(video) - ENTRY_KEYS:
        raise ValueError(
            f"a row's `videos` holds {video!r}; allowed: a path, or a mapping with `video` and "
            "`clip` or `video_start` and `video_end`"
        )
    if video.get("clip") is not None:
        return str(video["video"]), Span(*video["clip"])
    start, end = video.get("video_start"), video.get("video_end")
    if (start is None) != (end is None):
        raise ValueError(f"{video!r} has one of video_start and video_end; give both or none")
    return str(video["video"]), None if start is None else Span(start, end)


def below(folder: str | None, video: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
    """The entry with its path below `folder`, as EasyR1's `data.image_dir` means it."""
    if folder is None:
        return video
    if isinstance(video, Mapping):
        return {**video, "video": str(Path(folder) / video["video"])}
    return str(Path(folder) / video)


def load(
    video: str | Mapping[str, Any], sampling: Sampling, settings: Settings, *, keep: bool
) -> torch.Tensor:
    """uint8 [T, 3, H, W] of a row's video, named.

    Args:
        keep: keep the frames in this process's memory where there is no store (the workers, which
            need them twice); without it the tensor is for token ids only.

    Raises:
        VideoError: the file is missing, unreadable, has no such clip or too few frames.
    """
    path, clip = entry_of(video)
    read = open_source(settings.frame_store)
    if not keep and not has_store(settings.frame_store):
        read = decode.load_frames
    frames = read(path, sampling, clip=clip, patch_size=settings.patch_size)
    key = (path, sampling, clip, settings.patch_size)
    pixels = frames.pixels.view_as(frames.pixels)  # the name must not stick to the shared tensor
    setattr(pixels, NAME, VideoName(frames.metadata(), key, size_only=not keep))
    return pixels


def stand_in(seen: Plan) -> torch.Tensor:
    """One byte that looks like the whole video, named: enough to count tokens."""
    pixels = torch.zeros((), dtype=torch.uint8).expand(len(seen), 3, seen.height, seen.width)
    setattr(pixels, NAME, VideoName(seen.metadata(), seen.path, size_only=True))
    return pixels


def planned(video: str | Mapping[str, Any], sampling: Sampling, settings: Settings) -> Plan:
    """The frames that `load` would give, without decoding any.

    Raises:
        VideoError: as `load`, as far as the file's packets show it.
    """
    path, clip = entry_of(video)
    return plan(path, sampling, clip, settings.patch_size)


def name_of(video: Any) -> VideoName | None:
    """The name of a video that `load` or `stand_in` made, None of any other."""
    if isinstance(video, tuple) and video:  # EasyR1 pairs it with its metadata for some models
        video = video[0]
    return getattr(video, NAME, None)


def names_of(videos: Sequence | None) -> list[VideoName] | None:
    """The names of all videos, None where there are none or one has none."""
    names = [name_of(video) for video in videos or ()]
    return names if names and all(name is not None for name in names) else None


def told_fps(metadata: Mapping[str, Any]) -> float:
    """Sampled frames per second, told in such a way that float32 arithmetic loses nothing.

    Everywhere else in this package a step of Qwen2.5-VL stands at `floor(step * seconds *
    tokens per second)` with the float32 `seconds` multiplied in float64. EasyR1 and vLLM 0.11
    multiply in float32, which rounds up to the next whole number what lies just below it: for one
    rate of seven, one step or more comes half a second late. A `seconds` that is one unit in the
    last place less then gives the same positions in both.

    Args:
        metadata: see `timing.clock_metadata`.
    """
    sampled = len(metadata["frames_indices"]) / metadata["total_num_frames"] * metadata["fps"]
    seconds = np.float32(FRAMES_PER_STEP / sampled)
    steps = np.arange(-(-len(metadata["frames_indices"]) // FRAMES_PER_STEP))
    wanted = (steps * (float(seconds) * TOKENS_PER_SECOND)).astype(np.int64)
    for told in (seconds, np.nextafter(seconds, np.float32(0))):
        single = steps.astype(np.float32) * told * np.float32(TOKENS_PER_SECOND)
        double = steps * (float(told) * TOKENS_PER_SECOND)
        if (single.astype(np.int64) == wanted).all() and (double.astype(np.int64) == wanted).all():
            return FRAMES_PER_STEP / float(told)
    return sampled  # not seen in 20,000 random rates: float32 then decides


def patches_of(videos: Sequence[torch.Tensor], host: Any) -> dict[str, torch.Tensor]:
    """What a Qwen-VL vision tower takes of named videos.

    Args:
        videos: uint8 [T, 3, H, W] each, at the model's size.
        host: the model's video processor.

    Returns:
        `pixel_values_videos` float32 [patches, values], `video_grid_thw` int64 [videos, 3].
    """
    shape = {"patch_size": host.patch_size, "temporal_patch_size": host.temporal_patch_size}
    patches = [
        to_patches(
            video,
            merge_size=host.merge_size,
            mean=host.image_mean,
            std=host.image_std,
            rescale_factor=host.rescale_factor,
            **shape,
        )
        for video in videos
    ]
    grids = [grid_of(len(video), *video.shape[2:], **shape) for video in videos]
    return {"pixel_values_videos": torch.cat(patches), "video_grid_thw": torch.tensor(grids)}
