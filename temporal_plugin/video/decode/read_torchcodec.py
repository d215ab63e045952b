"""torchcodec, where it loads (it needs FFmpeg's shared libraries)."""

from collections.abc import Iterator

import numpy as np

from temporal_plugin.video.errors import VideoError, unreadable
from temporal_plugin.video.plan import Plan

CHUNK_BYTES = 64 << 20  # of decoded frames at a time


def frames(plan: Plan) -> Iterator[np.ndarray]:
    """Upright RGB pictures of a plan, uint8 [H, W, 3], in its order.

    Raises:
        VideoError: the file cannot be decoded, or torchcodec does not load.
    """
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:
        raise VideoError(
            f"{plan.path}: sampling.decoder is torchcodec, which does not load "
            f"({str(error).splitlines()[0]}); pip install torchcodec and FFmpeg, or use "
            "decoder: auto"
        ) from error
    packets = plan.packets
    size = packets.height * packets.width * 3
    step = max(1, CHUNK_BYTES // size)
    try:
        # a decoder must not outlive a fork, so none is kept. Its approximate mode counts k / fps,
        # which picks wrong frames wherever the rate varies.
        decoder = VideoDecoder(
            str(plan.path),
            stream_index=packets.stream,
            dimension_order="NHWC",
            num_ffmpeg_threads=1,
            seek_mode="exact",
        )
        first = decoder.metadata.begin_stream_seconds_from_content or 0.0
        for at in range(0, len(plan), step):
            batch = decoder.get_frames_at(list(plan.indices[at : at + step]))
            shown = batch.pts_seconds.numpy() - first
            _same_frames(plan, at, shown)
            yield from batch.data.numpy()
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, VideoError):
            raise
        raise unreadable(plan.path, f"torchcodec: {error}") from error


def _same_frames(plan: Plan, at: int, shown: np.ndarray) -> None:
    times = plan.packets.times
    planned = times[list(plan.indices[at : at + len(shown)])] - times[0]
    if np.abs(shown - planned).max() > 1e-3:
        raise VideoError(
            f"{plan.path}: torchcodec numbers the frames of this file differently "
            f"({shown[0]:.3f} s where {planned[0]:.3f} s was meant); set sampling.decoder: pyav"
        )
