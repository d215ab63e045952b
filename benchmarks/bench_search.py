"""Frame search on an hour of video: memory and time, ours against the plain way of the original.

    python benchmarks/bench_search.py [--minutes 60]

The video is synthetic (4 frames a second, a new scene every 3 s); the encoder is random, of one
layer and 1152 dimensions: its speed means nothing, the memory around it does. "Plain" holds
all frames at once, and forms the N x N kernel in order to choose from it. One thread. Every number
is of a process of its own; memory is what it grows by at most, over what it held before (imports,
encoder, the mapped store).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

FPS, FILE_FPS, SIZE, WIDTH, HEIGHT, DIMENSIONS, K = 2.0, 4, 64, 320, 176, 1152, 8
QUERY = "a red square"
SCENE_FRAMES = 12


def write_video(path: Path, minutes: float, width: int = WIDTH, height: int = HEIGHT) -> None:
    import av

    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FILE_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(int(minutes * 60 * FILE_FPS)):
            if number % SCENE_FRAMES == 0:
                small = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
                scene = small.repeat(16, axis=0).repeat(16, axis=1)
            picture = scene.copy()
            x = number % SCENE_FRAMES * 20
            picture[:32, x : x + 32] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_encoder(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from tiny_siglip import build_tiny_siglip

    build_tiny_siglip(folder, size=SIZE, width=DIMENSIONS)


def memory_mb(field: str) -> float:
    """A field of /proc/self/status in megabytes."""
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1]) / 1000


def measured(work) -> dict[str, float]:
    """Seconds that `work` takes, and by how much memory grows at most meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start = memory_mb("VmRSS"), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "grows_mb": memory_mb("VmHWM") - before}


def opened(folder: Path):
    from temporal_plugin.search.embed import load_encoder

    encoder = load_encoder(folder / "encoder", "cpu")
    encoder.images(np.zeros((2, 3, HEIGHT, WIDTH), np.uint8))  # weights are read when first used
    encoder.texts([QUERY])
    return encoder


def build_ours(folder: Path) -> dict[str, float]:
    from temporal_plugin.search.embedding_store import EmbeddingStore

    encoder, store = opened(folder), EmbeddingStore(folder / "store")
    return measured(lambda: store.get(folder / "video.mp4", encoder, FPS)) | {
        "peak_mb": memory_mb("VmHWM")
    }


def build_plain(folder: Path) -> dict[str, float]:
    """All frames first, as one array; then their vectors."""
    from temporal_plugin.search.embedding_store import embedding_plan
    from temporal_plugin.video import decode

    encoder = opened(folder)

    def work() -> None:
        planned = embedding_plan(folder / "video.mp4", FPS)
        frames = np.stack([picture.transpose(2, 0, 1) for picture in decode.pictures(planned)])
        encoder.images(frames)

    return measured(work) | {"peak_mb": memory_mb("VmHWM")}


def stored(folder: Path):
    """(search, embeddings), every page of the mapped store read once."""
    from temporal_plugin.search.embedding_store import EmbeddingStore
    from temporal_plugin.search.frame_search import FrameSearch
    from temporal_plugin.video.sampling import Sampling

    encoder = opened(folder)
    search = FrameSearch(
        encoder, EmbeddingStore(folder / "store"), FPS, Sampling(max_pixels=256 * 28 * 28)
    )
    embeddings = search.embeddings(folder / "video.mp4")
    embeddings.features.sum()
    return search, embeddings


def select_ours(folder: Path) -> dict[str, float]:
    from temporal_plugin.search.frame_search import select

    search, embeddings = stored(folder)
    feature = search.encoder.texts([QUERY])[0]
    window = {"start_seconds": 0.0, "end_seconds": 1e9, "count": K}
    return measured(lambda: select(embeddings, feature, **window)) | {"frames": len(embeddings)}


def select_plain(folder: Path) -> dict[str, float]:
    """The kernel of all pairs of frames, then the incremental greedy choice on it."""
    search, embeddings = stored(folder)
    feature, features = search.encoder.texts([QUERY])[0], embeddings.features

    def work() -> None:
        scores = features @ feature
        weights = (scores - scores.min()) / (scores.max() - scores.min())
        kernel = (features @ features.T) * weights[:, None] * weights[None, :]
        gains, table = np.diag(kernel).copy(), np.zeros((K, len(kernel)), np.float32)
        for step in range(K):
            best = int(np.argmax(gains))
            entry = (kernel[best] - table[:step, best] @ table[:step]) / np.sqrt(gains[best])
            table[step] = entry
            gains = gains - entry**2
            gains[best] = -1.0

    return measured(work) | {"frames": len(embeddings)}


def seek(folder: Path) -> dict[str, float]:
    """A whole call, the first and eight more: query, choice, decoding of 8 frames."""
    search, _ = stored(folder)
    video, end = folder / "video.mp4", search.embeddings(folder / "video.mp4").pts_seconds[-1]
    first = measured(lambda: search.seek(video, QUERY, 0.0, end, K))
    windows = [(part * end / 8, (part + 1) * end / 8) for part in range(8)]
    more = measured(lambda: [search.seek(video, QUERY, *window, K) for window in windows])
    return {
        "first_seconds": first["seconds"],
        "seconds": more["seconds"] / len(windows),
        "grows_mb": max(first["grows_mb"], more["grows_mb"]),
        "entry_mb": next((folder / "store").rglob("*.safetensors")).stat().st_size / 1e6,
    }


PARTS = {part.__name__: part for part in (build_plain, build_ours, select_plain, select_ours, seek)}


def child(part: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_video(folder / "video.mp4", arguments.minutes)
        write_encoder(folder / "encoder")
        found = {part: child(part, folder) for part in PARTS}
    frames = found["select_ours"]["frames"]
    print(f"{arguments.minutes:g} min, {frames} frames at {FPS:g} fps, {DIMENSIONS} dimensions")
    print(f"{'':>8} {'plain s':>9} {'ours s':>8} {'ratio':>7} {'plain MB':>9} {'ours MB':>8}")
    for step in ("build", "select"):
        plain, ours = found[f"{step}_plain"], found[f"{step}_ours"]
        ratio = f"1/{plain['seconds'] / ours['seconds']:.1f}"
        print(
            f"{step:>8} {plain['seconds']:>9.3f} {ours['seconds']:>8.3f} {ratio:>7} "
            f"{plain['grows_mb']:>9.0f} {ours['grows_mb']:>8.1f}"
        )
    peak = {way: found[f"build_{way}"]["peak_mb"] for way in ("plain", "ours")}
    print(
        f"build, whole process at its peak: plain {peak['plain']:.0f}, ours {peak['ours']:.0f} MB"
    )
    whole = found["seek"]
    print(
        f"seek of {K} frames: {1000 * whole['seconds']:.0f} ms (the first "
        f"{1000 * whole['first_seconds']:.0f}), {whole['grows_mb']:.0f} MB beyond the mapped "
        f"{whole['entry_mb']:.1f} MB"
    )


if __name__ == "__main__":
    main()
