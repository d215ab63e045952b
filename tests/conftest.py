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


@pytest.fixture
def openai_server():
    """openai_server(reply) -> a running local server, see `openai_server.FakeServer`."""
    from contextlib import ExitStack

    from openai_server import serving

    with ExitStack() as running:
        yield lambda reply: running.enter_context(serving(reply))
