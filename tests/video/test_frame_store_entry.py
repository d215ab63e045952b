"""The file of an entry: readable by others, and no changed byte goes unseen."""

import io
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from temporal_plugin.spans import Span
from temporal_plugin.video import tensor_file
from temporal_plugin.video.frame_store import entry, jpeg
from temporal_plugin.video.frame_store.entry import DamagedEntry
from temporal_plugin.video.frames import Frames

KEY = "0" * 64


def some_frames(height=28, width=42, clip=None):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (6, 3, height, width), dtype=torch.uint8, generator=generator)
    pts = np.array([0.0, 0.1, 0.35, 1.0, 1.0625, 2.0])
    return Frames(pixels, pts, (0, 3, 9, 10, 12, 30), 29.97, 31, clip)


@pytest.fixture(params=[None, 90], ids=["exact", "jpeg"])
def file(tmp_path, request):
    made = entry.make(some_frames(), KEY, video="a.mp4", jpeg_quality=request.param)
    path = tmp_path / "entry.safetensors"
    with path.open("wb") as stream:
        entry.write(made, stream)
    path.with_suffix(".expected").touch()
    return path, made.frames


@pytest.mark.parametrize("check", entry.CHECKS)
def test_what_is_read_is_what_was_written(file, check):
    path, expected = file
    found = entry.read(path, KEY, check)
    assert torch.equal(found.pixels, expected.pixels)
    assert np.array_equal(found.pts_seconds, expected.pts_seconds)
    assert found.pts_seconds.dtype == np.float64
    assert (found.indices, found.source_fps, found.total_frames, found.clip) == (
        expected.indices,
        29.97,
        31,
        None,
    )


def test_a_clip_is_kept(tmp_path):
    made = entry.make(some_frames(clip=Span(1.5, 4)), KEY, video="a", jpeg_quality=None)
    path = tmp_path / "entry"
    with path.open("wb") as stream:
        entry.write(made, stream)
    assert entry.read(path, KEY).clip == Span(1.5, 4.0)


@pytest.mark.parametrize("width", [28, 42, 44])  # data of any length modulo 8
def test_it_is_a_safetensors_file_like_any_other(tmp_path, width):
    frames = some_frames(width=width)
    path = tmp_path / "entry.safetensors"
    with path.open("wb") as stream:
        entry.write(entry.make(frames, KEY, video="a", jpeg_quality=None), stream)
    tensors = load_file(path)
    assert torch.equal(tensors["pixels"], frames.pixels)
    assert tensors["pts_seconds"].tolist() == frames.pts_seconds.tolist()
    assert tensors["indices"].tolist() == list(frames.indices)
    start = path.read_bytes().index(frames.pixels.numpy().tobytes())
    assert start % tensor_file.ALIGNMENT == 0


def test_no_changed_byte_goes_unseen(file):
    path, expected = file
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    places = random.Random(0)
    chosen = [*places.sample(range(header), 200), *places.sample(range(header, len(content)), 100)]
    for place in chosen:
        changed = bytearray(content)
        changed[place] ^= 1 << places.randrange(8)
        path.write_bytes(changed)
        try:
            found = entry.read(path, KEY, "sums")
        except DamagedEntry:
            continue
        # a change that changes nothing: another spelling of the same JSON, such as a space
        assert place < header
        assert torch.equal(found.pixels, expected.pixels)
        assert np.array_equal(found.pts_seconds, expected.pts_seconds)
        assert found.indices == expected.indices


def test_no_cut_goes_unseen(file):
    path, _ = file
    content = path.read_bytes()
    for length in [*range(0, 64), *range(64, len(content), 499), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(DamagedEntry):
            entry.read(path, KEY, "description")
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedEntry):
        entry.read(path, KEY, "description")


def test_blocks_that_changed_places_are_seen():
    data = np.arange(4 * tensor_file.WORDS * 8, dtype=np.uint32).view(np.uint8)
    halves = np.concatenate(np.split(data, 2)[::-1])
    assert tensor_file._sums({"a": data}) != tensor_file._sums({"a": halves})
    assert tensor_file._crc32({"a": data}) != tensor_file._crc32({"a": halves})


def test_an_error_says_what_differs(file):
    path, _ = file
    with pytest.raises(DamagedEntry, match=f"entry {'1' * 64}: its file is that of {KEY}"):
        entry.read(path, "1" * 64)
    with pytest.raises(FileNotFoundError):
        entry.read(path.with_name("gone"), KEY)
    path.write_bytes(b"")
    with pytest.raises(DamagedEntry, match=path.name):
        entry.describe(path)


def test_a_full_disk_is_an_os_error_with_its_number():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    made = entry.make(some_frames(), KEY, video="a", jpeg_quality=None)
    with pytest.raises(OSError, match="No space left") as caught:
        entry.write(made, Full())
    assert caught.value.errno == 28


def test_jpeg_measures_its_own_error():
    ramp = torch.arange(64, dtype=torch.uint8).expand(2, 3, 64, 64).contiguous() * 4
    packed = jpeg.pack(ramp, 95)
    error = (packed.pixels.float() - ramp.float()).abs()
    assert packed.mean_error == pytest.approx(error.mean().item(), abs=1e-6)
    assert packed.max_error == error.max().item()
    assert packed.mean_error < 1
    assert torch.equal(jpeg.unpack(packed.stream, packed.ends, 64, 64), packed.pixels)
    with pytest.raises(ValueError, match=r"picture 0 is \(64, 64\), not \(32, 64\)"):
        jpeg.unpack(packed.stream, packed.ends, 64, 32)
