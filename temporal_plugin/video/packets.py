"""What a container says about every frame, without decoding the video: one walk over packets.

Frame numbers and times come from here for every decoder. They are the packets' own presentation
times, sorted; `k / fps` is wrong on any file with a variable frame rate.
"""

import logging
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from temporal_plugin.video.errors import VideoError, unreadable

logger = logging.getLogger(__name__)

NO_TIME = np.iinfo(np.int64).min
MAX_PIXELS = 1 << 26  # of one frame; 8K has half of it
WALK_SECONDS = 120  # a file of this kind is hostile: two hours of video take two seconds
#: a player's time 0 is the first of all streams; further off than this, that time is not believed
MAX_LATE_SECONDS = 60.0
RATE_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class PacketIndex:
    """Every frame of a file's best video stream.

    Attributes:
        stream: number of the stream in the file.
        ticks: int64 [N], presentation times of the frames that are shown, in `time_base`, rising.
        times: float64 [N], the same in seconds of the file, whose first stream starts at 0.
        end_seconds: when the last frame ends.
        fps: average frames per second.
        height: of the first frame, turned upright, in pixels.
        width: likewise.
        turns: quarter turns counter-clockwise that turn decoded frames upright, 0 to 3.
        mirrored: decoded frames are to be mirrored left to right before they are turned.
        container: FFmpeg's name or names of the container format.
        codec: FFmpeg's name of the decoder.
        by_count: packets have no reliable times: frame k is the k-th that the decoder returns.
        packet_ticks: int64 [P], presentation time of each packet, in the order of the file.
        keys: bool [P], the packet starts a group that decodes by itself.
    """

    stream: int
    ticks: np.ndarray
    times: np.ndarray
    end_seconds: float
    fps: float
    height: int
    width: int
    turns: int
    mirrored: bool
    container: str
    codec: str
    by_count: bool
    packet_ticks: np.ndarray
    keys: np.ndarray

    @property
    def open_groups(self) -> bool:
        """Do frames that show before a key frame follow it in the file? They need two groups."""
        key_ticks = np.where(self.keys, self.packet_ticks, NO_TIME)
        return bool((np.maximum.accumulate(key_ticks) > self.packet_ticks).any())


def index_packets(path: str | Path) -> PacketIndex:
    """The frames of a file; remembered until the file changes.

    Raises:
        VideoError: there is no such file, or it holds no video that can be read.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise VideoError(
            f"{path}: no such video file; check `data_folder` in the data config"
        ) from error
    if not os.path.isfile(path):  # noqa: PTH113, a pipe would block the open for ever
        raise VideoError(f"{path}: not a regular file; name a video file")
    if not status.st_size:
        raise unreadable(path, "0 bytes")
    return _index(str(path), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _index(path: str, *version: int) -> PacketIndex:
    import av

    try:
        with av.open(path) as container:
            return _Walk(path, container).index()
    except VideoError:
        raise
    except (
        av.FFmpegError,
        OSError,
        ValueError,
        ArithmeticError,
        MemoryError,
        LookupError,
    ) as error:
        # LookupError: PyAV, where a stream begins that the header does not announce
        raise unreadable(path, error) from error


def best_stream(path: str, container: Any) -> Any:
    """The video stream that FFmpeg rates best: not a cover picture, most pixels and frames."""
    stream = container.streams.best("video")
    if stream is None:
        raise unreadable(path, "no video stream")
    if stream.codec_context is None:
        raise unreadable(path, "its video codec is unknown")
    size = stream.codec_context.width, stream.codec_context.height
    if size[0] * size[1] > MAX_PIXELS:
        raise unreadable(path, f"frames of {size[0]}x{size[1]} pixels, over {MAX_PIXELS}")
    # Workers run side by side; a decoder's own threads would also outlive a fork.
    stream.thread_type = "NONE"
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


class _Walk:
    """One pass over the packets, decoding only until the first picture appears."""

    def __init__(self, path: str, container: Any) -> None:
        self.path, self.container = path, container
        self.stream = best_stream(path, container)
        self.first: Any = None
        self.deadline = time.monotonic() + WALK_SECONDS

    def index(self) -> PacketIndex:
        rows, durations = self._packets()
        if not rows or self.first is None:
            raise unreadable(self.path, "no frame in its video stream")
        pts = np.array([row[0] for row in rows], dtype=np.int64)
        keys = np.array([row[1] for row in rows], dtype=bool)
        shown = ~np.array([row[2] for row in rows], dtype=bool)
        if self._unreliable(pts):
            return self._by_count(keys)
        if not keys.any():
            keys[0] = True
        start = int(keys.argmax())
        # what precedes the first key frame, in the file or in time, has nothing to refer to
        shown[:start] = False
        shown &= pts >= pts[start]
        ticks, last = np.unique(pts[shown], return_index=True)
        if not len(ticks):
            raise unreadable(self.path, "no frame in its video stream")
        duration = durations[np.flatnonzero(shown)[last[-1]]]
        self._refuse_cut_off(ticks, duration, len(rows))
        return self._result(ticks, duration, pts, keys, by_count=False)

    def _packets(self) -> tuple[list[tuple], list[int]]:
        rows: list[tuple[int, bool, bool]] = []
        durations: list[int] = []
        for packet in self.container.demux(self.stream):
            self._look_at_first(packet)
            if not packet.size:
                continue
            pts = packet.pts
            rows.append((NO_TIME if pts is None else pts, packet.is_keyframe, packet.is_discard))
            durations.append(packet.duration or 0)
            if len(rows) % 4096 == 0 and time.monotonic() > self.deadline:
                raise unreadable(self.path, f"{len(rows)} packets read in {WALK_SECONDS} s")
        return rows, durations

    def _look_at_first(self, packet: Any) -> None:
        import av

        if self.first is not None:
            return
        try:
            self.first = next(iter(packet.decode()), None)
        except av.FFmpegError as error:  # the next key frame may be whole
            logger.debug("%s: %s at packet %s", self.path, error, packet.pts)

    def _unreliable(self, pts: np.ndarray) -> bool:
        codec = self.stream.codec_context
        # AVI stores decoding order only; VP8 has packets that are never shown
        return (
            bool((pts == NO_TIME).any())
            or (self.container.format.name == "avi" and bool(codec.has_b_frames))
            or codec.name == "vp8"
        )

    def _by_count(self, keys: np.ndarray) -> PacketIndex:
        """Decode everything once to see which frames there are."""
        import av

        with av.open(self.path) as container:
            stream = best_stream(self.path, container)
            found = [frame.pts for frame in container.decode(stream)]
        known = [pts for pts in found if pts is not None]
        ticks = np.array(known, dtype=np.int64)
        if len(known) < len(found) or (np.diff(ticks) <= 0).any():
            rate = self.stream.average_rate or self.stream.guessed_rate
            if not rate or self.stream.time_base is None:
                raise unreadable(self.path, "neither its frames nor its header say when they show")
            step = 1 / (float(rate) * float(self.stream.time_base))
            ticks = np.rint(np.arange(len(found)) * step).astype(np.int64)
        return self._result(ticks, 0, ticks, keys, by_count=True)

    def _result(
        self, ticks: np.ndarray, duration: int, pts: np.ndarray, keys: np.ndarray, *, by_count: bool
    ) -> PacketIndex:
        base = float(self.stream.time_base)
        gaps = np.diff(ticks.astype(np.float64))  # hostile times overflow int64
        step = duration if 0 < duration * base < 60 else float(np.median(gaps)) if len(gaps) else 0
        span = (float(ticks[-1]) - float(ticks[0]) + step) * base
        zero = ticks[0] * base
        if not by_count and self.container.start_time is not None:
            late = zero - self.container.start_time / 1_000_000
            # less than a millisecond is FFmpeg's rounding of the container's start
            zero -= late if 1e-3 < late <= MAX_LATE_SECONDS else 0.0
        first, turns, mirrored = self.first, *orientation(self.first)
        sides = (first.height, first.width) if turns % 2 == 0 else (first.width, first.height)
        times = ticks * base - zero
        if not np.isfinite(times).all() or not span > 0:
            span = len(ticks) / 25  # one picture without a duration
        return PacketIndex(
            stream=self.stream.index,
            ticks=ticks,
            times=times,
            end_seconds=float(times[0]) + span,
            fps=self._fps(len(ticks), span),
            height=sides[0],
            width=sides[1],
            turns=turns,
            mirrored=mirrored,
            container=self.container.format.name,
            codec=self.stream.codec_context.name,
            by_count=by_count,
            packet_ticks=pts,
            keys=keys,
        )

    def _fps(self, frames: int, span: float) -> float:
        """The header's rate, which is what other tools go by, unless the frames contradict it."""
        rate = float(self.stream.average_rate or 0)
        off = abs(rate * span - frames)
        return rate if rate > 0 and off <= max(1.5, RATE_TOLERANCE * frames) else frames / span

    def _refuse_cut_off(self, ticks: np.ndarray, duration: int, packets: int) -> None:
        """An index that lists more than the file holds: the end is missing."""
        listed, stream = self.stream.frames, self.stream
        if packets >= listed or not stream.duration or not stream.time_base:
            return
        end = int(ticks[-1]) + 2 * duration
        if end < (stream.start_time or 0) + stream.duration:
            raise unreadable(
                self.path,
                f"cut off: {packets} of {listed} frames, until "
                f"{float((ticks[-1] - ticks[0]) * stream.time_base):.1f} of "
                f"{float(stream.duration * stream.time_base):.1f} s",
            )


def orientation(frame: Any) -> tuple[int, bool]:
    """(quarter turns counter-clockwise, mirror first) that show a decoded frame upright."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].astype(np.int64)
    mirrored = bool(a * d - b * c < 0)
    if mirrored:  # the matrix maps (x, y) to (a x + c y, b x + d y); mirroring x first negates
        a, b = -a, -b
    turns = int(np.rint(-np.degrees(np.arctan2(float(b), float(a))) / 90)) % 4
    return turns, mirrored
