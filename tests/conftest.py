"""Fixtures that several parts share."""

import os
from pathlib import Path

import numpy as np
import pytest

# Ray and the hubs must not reach out from a test
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real annotation files and videos; the test is skipped where it is absent."""
    folder = Path(os.environ.get("TEMPORAL_PLUGIN_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (set TEMPORAL_PLUGIN_SHARED)")
    return folder


@pytest.fixture(scope="session")
def write_video():
    """write_video(path, frames, fps=10): a real mp4 from uint8 frames [T, H, W, 3]."""

    def write(path: Path, frames: np.ndarray, fps: int = 10) -> Path:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        # the index comes first, so that a file that was cut off can still be opened
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=fps)
            stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def clock_video(write_video, tmp_path_factory):
    """An 8 s mp4 at 10 fps whose grey level rises with time: 3 levels a frame."""
    levels = np.arange(80) * 3
    frames = np.broadcast_to(levels[:, None, None, None], (80, 64, 64, 3)).astype(np.uint8)
    return write_video(tmp_path_factory.mktemp("video") / "clock.mp4", frames)


@pytest.fixture(scope="session")
def siglip_folder(tmp_path_factory) -> Path:
    """The folder of a tiny random SigLIP."""
    from tiny_siglip import build_tiny_siglip

    return build_tiny_siglip(tmp_path_factory.mktemp("encoder") / "siglip")


@pytest.fixture(scope="session")
def encoder(siglip_folder):
    """The same, loaded."""
    from temporal_plugin.search.embed import load_encoder

    return load_encoder(siglip_folder, device="cpu")


@pytest.fixture(scope="session")
def scenes_video(write_video, tmp_path_factory) -> Path:
    """A 12 s mp4 at 10 fps, 64x48, of six 2 s scenes of one colour each."""
    colours = [
        (250, 10, 10),
        (10, 250, 10),
        (10, 10, 250),
        (240, 240, 10),
        (10, 240, 240),
        (0, 0, 0),
    ]
    frames = np.repeat(np.array(colours, np.uint8), 20, axis=0)[:, None, None, :]
    frames = np.broadcast_to(frames, (120, 48, 64, 3)).copy()
    return write_video(tmp_path_factory.mktemp("scenes") / "scenes.mp4", frames)


@pytest.fixture
def openai_server():
    """openai_server(reply) -> a running local server, see `openai_server.FakeServer`."""
    from contextlib import ExitStack

    from openai_server import serving

    with ExitStack() as running:
        yield lambda reply: running.enter_context(serving(reply))
