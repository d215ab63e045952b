"""PyAV: decodes as little as the sampled frames need, and falls back on decoding everything."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from temporal_plugin.video.errors import unreadable
from temporal_plugin.video.packets import NO_TIME, PacketIndex, best_stream
from temporal_plugin.video.plan import Plan

logger = logging.getLogger(__name__)

#: codecs whose frames are marked where no other frame refers to them; in HEVC the mark holds
#: only within a temporal layer, so its frames are all decoded
SKIPPING_CODECS = ("h264", "mpeg4", "mpeg2video")
JUMP_PACKETS = 8  # fewer than these are decoded rather than left out
SEEK_PACKETS = 64  # fewer than these are read and dropped rather than sought over
RGB = {"format": "rgb24", "dst_colorspace": 5, "dst_color_range": 2}  # 5: ITU-R 601; 2: full


class _Lost(Exception):
    """The file did not give what its packets promised; decode it from start to end."""


@dataclass
class _Run:
    """Packets that are decoded one after the other: a key frame up to the last wanted frame."""

    start: int
    stop: int


def frames(plan: Plan) -> Iterator[np.ndarray]:
    """Upright RGB pictures of a plan, uint8 [H, W, 3], in its order.

    Raises:
        VideoError: a frame of the plan cannot be decoded.
    """
    import av

    done = 0
    try:
        if not plan.packets.by_count:
            for picture in _sparing(plan):
                yield picture
                done += 1
            return
    except (_Lost, av.FFmpegError, LookupError) as error:
        logger.info("%s: decoding all of it (%s)", plan.path, error)
    try:
        yield from _all(plan, done)
    except (av.FFmpegError, LookupError, OSError, MemoryError) as error:
        raise unreadable(plan.path, error) from error


def _all(plan: Plan, done: int) -> Iterator[np.ndarray]:
    """Decode every frame from the start; the first `done` of the plan are not wanted any more."""
    import av

    packets, convert = plan.packets, _Converter(plan.packets)
    names = plan.indices if packets.by_count else packets.ticks[list(plan.indices)].tolist()
    wanted = set(names[done:])
    errors = found = 0
    with av.open(str(plan.path)) as container:
        stream = best_stream(str(plan.path), container)
        count = -1
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError as error:
                logger.debug("%s: %s", plan.path, error)
                errors += 1
                continue
            for frame in decoded:
                count += 1
                name = count if packets.by_count else frame.pts
                if name in wanted:
                    wanted.discard(name)
                    found += 1
                    yield convert(frame)
    if wanted:
        raise unreadable(
            plan.path, f"{done + found} of {len(plan)} frames; {errors} packets are damaged"
        )


def _sparing(plan: Plan) -> Iterator[np.ndarray]:
    """Decode only the runs of packets that wanted frames need."""
    import av

    convert = _Converter(plan.packets)
    ticks = plan.packets.ticks[list(plan.indices)]
    with av.open(str(plan.path)) as container:
        stream = best_stream(str(plan.path), container)
        reader = _RunReader(container, stream, plan.packets, set(ticks.tolist()))
        expected = iter(ticks.tolist())
        for run in runs(plan.packets, ticks):
            for frame in reader.read(run):
                if frame.pts != next(expected):
                    raise _Lost(f"a frame at {frame.pts} came out of order")
                yield convert(frame)
        missing = next(expected, None)
        if missing is not None:
            raise _Lost(f"no frame at {missing}")


def runs(packets: PacketIndex, ticks: np.ndarray) -> list[_Run]:
    """What has to be decoded to see the frames at `ticks` (int64 [T], rising)."""
    order = np.argsort(packets.packet_ticks, kind="stable")
    places = order[np.searchsorted(packets.packet_ticks, ticks, sorter=order)]
    keys = np.flatnonzero(packets.keys)
    found: list[_Run] = []
    for tick, place in zip(ticks.tolist(), places.tolist(), strict=True):
        at = int(np.searchsorted(keys, place, side="right")) - 1
        # frames shown before their key frame also refer to the group before it
        while at > 0 and packets.packet_ticks[keys[at]] > tick:
            at -= 1
        start = int(keys[max(at, 0)])
        if found and start <= found[-1].stop + JUMP_PACKETS:
            found[-1].stop = max(found[-1].stop, place)
        else:
            found.append(_Run(start, place))
    return found


class _RunReader:
    """Feeds runs of packets to the decoder, in rising order."""

    def __init__(self, container: Any, stream: Any, packets: PacketIndex, wanted: set[int]) -> None:
        self.container, self.stream, self.index = container, stream, packets
        self.wanted = wanted
        self.decoder = stream.codec_context
        self.packets = self._demux()
        self.place = 0  # of the next packet in the file
        self.skips = self.decoder.name in SKIPPING_CODECS
        self.skipping = False

    def read(self, run: _Run) -> Iterator[Any]:
        """The wanted frames of a run, in order of display."""
        if run.start - self.place > SEEK_PACKETS:
            self._seek(run.start)
        for packet in self.packets:
            place, self.place = self.place, self.place + 1
            if place < run.start:
                continue
            yield from self._decode(packet)
            if place >= run.stop:
                break
        yield from self._decode(None)
        self.decoder.flush_buffers()

    def _decode(self, packet: Any) -> Iterator[Any]:
        if self.skips and packet is not None:
            skip = packet.pts not in self.wanted
            if skip != self.skipping:
                self.decoder.skip_frame = "NONREF" if skip else "DEFAULT"
                self.skipping = skip
        for frame in self.decoder.decode(packet):
            if frame.pts in self.wanted:
                self.wanted.discard(frame.pts)
                yield frame

    def _demux(self) -> Iterator[Any]:
        return (packet for packet in self.container.demux(self.stream) if packet.size)

    def _seek(self, start: int) -> None:
        """Go to packet `start` or a little before; indexes differ in what times they go by."""
        tick = int(self.index.packet_ticks[start])
        for target in (tick, tick - int(5 / self.stream.time_base)):
            self.container.seek(target, stream=self.stream, backward=True)
            self.packets = self._demux()
            first = next(self.packets, None)
            pts = NO_TIME if first is None or first.pts is None else first.pts
            place = np.flatnonzero(self.index.packet_ticks == pts)
            if len(place) and place[0] <= start:
                self.place = int(place[0])
                self.packets = _chain(first, self.packets)
                return
        raise _Lost(f"seeking to {tick} leads elsewhere")


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


class _Converter:
    """Decoded frame -> upright RGB picture. Keeps swscale's tables from frame to frame."""

    def __init__(self, packets: PacketIndex) -> None:
        from av.video.reformatter import VideoReformatter

        self.packets, self.reformatter = packets, VideoReformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        # without its colour space PyAV takes HD video (ITU-R 709) for 601: 4 grey levels off
        picture = self.reformatter.reformat(
            frame, src_colorspace=frame.colorspace, src_color_range=frame.color_range or 1, **RGB
        ).to_ndarray()  # [H, W, 3]
        if self.packets.mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, self.packets.turns)
