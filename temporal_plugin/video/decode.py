"""Reads the frames of a video file."""

from pathlib import Path

import numpy as np
import torch

from temporal_plugin.spans import Span
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sampling import Sampling


def load_frames(
    path: str | Path, sampling: Sampling, *, clip: Span | None = None, patch_size: int = 14
) -> Frames:
    """Decode the frames that qwen-vl-utils would choose, at the size it would give them.

    Args:
        path: the video file.
        sampling: which frames, at what size.
        clip: sample only this part of the file, in seconds of the file.
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).

    Returns:
        Frames with uint8 [T, C, H, W] pixels, T even.

    Raises:
        VideoError: the file is missing, unreadable, has no such clip or too few frames.
        ValueError: the pixel limits of `sampling` contradict each other.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path}: no such video file; check `data_folder` in the data config")
    entry = {**sampling.video_entry(), "video": str(path)}
    if clip is not None:
        entry |= {"video_start": clip.start_seconds, "video_end": clip.end_seconds}
    try:
        pixels, pts_seconds, indices, fps, total = _read(entry)
    except Exception as error:  # decord raises its own types as well as ValueError and OSError
        raise VideoError(
            f"{path}: cannot be decoded ({type(error).__name__}: {error}); "
            "re-encode or remove it, `temporal-plugin data check` lists all such files"
        ) from error
    start = 0.0 if clip is None else clip.start_seconds
    return Frames(
        pixels=_resize(pixels, sampling, patch_size),
        pts_seconds=pts_seconds - start,
        indices=tuple(indices),
        source_fps=fps,
        total_frames=total,
        clip=clip,
    )


def _read(entry: dict) -> tuple[torch.Tensor, np.ndarray, list[int], float, int]:
    import decord
    from qwen_vl_utils.vision_process import calculate_video_frame_range, smart_nframes

    reader = decord.VideoReader(entry["video"], num_threads=1)
    fps = reader.get_avg_fps()
    first, last, total = calculate_video_frame_range(entry, len(reader), fps)
    count = smart_nframes(entry, total_frames=total, video_fps=fps)
    indices = torch.linspace(first, last, count).round().long().tolist()
    frames = reader.get_batch(indices).asnumpy()  # [T, H, W, C]
    pts_seconds = reader.get_frame_timestamp(indices)[:, 0].astype(np.float64)
    return torch.from_numpy(frames).permute(0, 3, 1, 2), pts_seconds, indices, fps, total


def _resize(pixels: torch.Tensor, sampling: Sampling, patch_size: int) -> torch.Tensor:
    """The size rule of qwen-vl-utils: frame limits first, then the budget for the whole video."""
    from qwen_vl_utils import vision_process as qwen
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize

    factor = patch_size * qwen.SPATIAL_MERGE_SIZE
    area = factor * factor
    total_pixels = sampling.total_pixels or qwen.MODEL_SEQ_LEN * area * 0.9
    min_pixels = sampling.min_pixels or qwen.VIDEO_MIN_TOKEN_NUM * area
    per_frame = total_pixels / len(pixels) * qwen.FRAME_FACTOR
    limit = max(min(qwen.VIDEO_MAX_TOKEN_NUM * area, per_frame), int(min_pixels * 1.05))
    max_pixels = min(sampling.max_pixels or limit, limit)
    if max_pixels < min_pixels:
        raise ValueError(
            f"sampling.max_pixels is {max_pixels:g} but min_pixels is {min_pixels}"
            f"{'' if sampling.min_pixels else ' (the default)'}; set min_pixels to less"
        )
    height, width = qwen.smart_resize(
        pixels.shape[2],
        pixels.shape[3],
        factor=factor,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
    )
    return resize(pixels, [height, width], interpolation=InterpolationMode.BICUBIC, antialias=True)
