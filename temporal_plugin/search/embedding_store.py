"""Frame embeddings of whole videos in a folder: made once, mapped by all who search.

Beside the frame store: `embeddings/ab/<key>.safetensors` holds one video, and while it is being
made `embeddings/ab/<key>.blocks/` the parts that are finished, from which a killed build goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from temporal_plugin.search.embed import DualEncoder
from temporal_plugin.search.embeddings import FORMAT, Embeddings, batches, embedding_plan, read
from temporal_plugin.video import tensor_file
from temporal_plugin.video.frame_store import names
from temporal_plugin.video.frame_store.key import content_of
from temporal_plugin.video.frame_store.lock import BuildLock
from temporal_plugin.video.packets import index_packets
from temporal_plugin.video.plan import Plan
from temporal_plugin.video.sharing import Memory, Shared
from temporal_plugin.video.tensor_file import DamagedEntry

__all__ = ["EmbeddingStore", "Embeddings", "embedding_plan"]

logger = logging.getLogger(__name__)

FOLDER = "embeddings"
#: frames of a part that is kept when a build is killed
BLOCK_FRAMES = 128
#: embeddings that could not be stored are kept in memory up to here: 7 hours at 1152 dimensions
MEMORY_BYTES = 1 << 28
#: whoever waits longer for another process to embed a video does it itself
PATIENCE_SECONDS = 3600.0


class EmbeddingStore:
    """A folder of embeddings: one file per video, encoder and frame rate.

    Many processes and machines may share it. Whatever happens to the folder (full, read-only,
    damaged files, killed builders), `get` returns the right vectors; at worst it makes them again.

    Args:
        folder: made if it is missing; may be that of a frame store.
        fingerprint: how a video is recognised, "quick" or "full", see `key.content_of`.

    Raises:
        ValueError: no such fingerprint.
    """

    def __init__(self, folder: str | Path, *, fingerprint: str = "quick") -> None:
        self.folder = Path(folder).absolute() / FOLDER
        self.fingerprint = fingerprint
        self._memory: Memory[Embeddings] = Memory(MEMORY_BYTES)
        self._shared: Shared[Embeddings] = Shared()
        self._trusted: dict[str, tuple[int, int]] = {}  # key -> version of the file checked
        self._warned = False

    def __reduce__(self) -> tuple:
        return _reopen, (str(self.folder.parent), self.fingerprint)

    def key(self, path: str | Path, encoder: str, fps: float) -> str:
        """The name of an entry, 64 hexadecimal digits.

        Args:
            encoder: its fingerprint.

        Raises:
            OSError: the video cannot be read.
        """
        parts = {
            "format": FORMAT,
            "video": content_of(path, self.fingerprint),
            "encoder": encoder,
            "fps": float(fps),
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def has(self, path: str | Path, encoder: str, fps: float = 2.0) -> bool:
        """Whether there is an entry, without opening it; False where there is no such video."""
        try:
            return names.entry_path(self.folder, self.key(path, encoder, fps)).exists()
        except OSError:
            return False

    def get(
        self,
        path: str | Path,
        encoder: DualEncoder,
        fps: float = 2.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Embeddings:
        """The embeddings of a whole video; where there are none they are made and stored first.

        The video is decoded and embedded in parts, so that memory does not grow with its length.
        Threads and processes that ask for the same at once wait for one build.

        Args:
            path: the video file.
            encoder: makes the vectors.
            fps: frames per second at most; the frames nearest to an even grid of times.
            on_progress: called with (frames done, frames) after each part of a build.

        Raises:
            VideoError: the file is missing or cannot be decoded.
            ValueError: fps is not above 0, or the encoder's vectors are not finite.
        """
        if not 0 < fps < float("inf"):
            raise ValueError(f"fps is {fps!r}; it must be above 0 frames per second")
        try:
            key = self.key(path, encoder.fingerprint, fps)
        except OSError:
            index_packets(path)  # says what is wrong with the file
            raise
        found = self._memory.get(key)
        if found is None:
            found = self._stored(key)
        if found is None:
            build = _Build(self, key, Path(path), encoder, fps, on_progress)
            found = self._shared.get(key, build.run)
        return found

    def _stored(self, key: str) -> Embeddings | None:
        path = names.entry_path(self.folder, key)
        try:
            status = path.stat()
            version = (status.st_ino, status.st_mtime_ns)
            # all bytes once per process, later only what can be seen without reading them
            check = "description" if self._trusted.get(key) == version else "crc32"
            found = read(path, key, check)
        except FileNotFoundError:
            return None
        except DamagedEntry as error:
            logger.warning("%s; it is made again", error)
            self._trusted.pop(key, None)
            with contextlib.suppress(OSError):  # read-only: they come from memory then
                path.unlink()
            return None
        except OSError as error:
            logger.warning("%s cannot be read (%s); it is made again", path, error)
            return None
        self._trusted[key] = version
        return found

    def _cannot_write(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "the embedding store %s cannot be written (%s); going on without it: embeddings "
                "are made and kept in memory. Free some space or mend its permissions",
                self.folder,
                error,
            )


class _Build:
    """Makes one entry, from the parts that an earlier build has left."""

    def __init__(
        self,
        store: EmbeddingStore,
        key: str,
        path: Path,
        encoder: DualEncoder,
        fps: float,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.store, self.key, self.path, self.encoder = store, key, path, encoder
        self.fps, self.on_progress = fps, on_progress or (lambda done, total: None)
        self.entry = names.entry_path(store.folder, key)
        self.blocks = self.entry.with_suffix(".blocks")
        self.lock = BuildLock(names.lock_path(store.folder, key))

    def run(self) -> Embeddings:
        planned = embedding_plan(self.path, self.fps)  # a bad video raises before a lock is made
        held = False
        try:
            held = self.lock.take_or_wait(self.entry.exists, PATIENCE_SECONDS)
        except OSError as error:
            self.store._cannot_write(error)
        try:
            found = self.store._stored(self.key)  # another may have finished it just before
            return self._publish(self._embed(planned)) if found is None else found
        finally:
            if held:
                self.lock.release()

    def _embed(self, planned: Plan) -> Embeddings:
        count = len(planned)
        features = np.empty((count, self.encoder.dimensions), np.float32)
        starts = range(0, count, BLOCK_FRAMES)
        done = 0
        for start in starts:  # what an earlier build has left comes first, without gaps
            rows = self._load_block(start, min(BLOCK_FRAMES, count - start))
            if rows is None:
                break
            done = start + len(rows)
            features[start:done] = rows
        if done:
            logger.info("%s: going on after %d of %d frames", self.path, done, count)
        for rows in batches(planned, done, self.encoder, BLOCK_FRAMES):
            first = done // BLOCK_FRAMES * BLOCK_FRAMES
            features[done : done + len(rows)] = rows
            done += len(rows)
            if done - first == BLOCK_FRAMES:
                self._save_block(first, features[first:done])
            self.lock.keep()
            self.on_progress(done, count)
        return Embeddings(features, planned.pts_seconds, np.array(planned.indices, np.int64))

    def _load_block(self, start: int, count: int) -> np.ndarray | None:
        path = self._block_path(start)
        try:
            tensors, about = tensor_file.read(path)
            tensor_file.check_bytes(tensors, about, str(path), "crc32")
        except FileNotFoundError:
            return None
        except (DamagedEntry, OSError) as error:
            logger.warning("%s; it is made again", error)
            return None
        rows = tensors["features"]
        right = about["key"] == self.key and rows.shape == (count, self.encoder.dimensions)
        return rows if right else None

    def _save_block(self, start: int, rows: np.ndarray) -> None:
        about = {"format": FORMAT, "key": self.key, "start": start}
        try:
            self.blocks.mkdir(parents=True, exist_ok=True)
            self._write(self._block_path(start), {"features": rows}, about)
        except OSError as error:
            self.store._cannot_write(error)

    def _block_path(self, start: int) -> Path:
        return self.blocks / f"{start:09d}.safetensors"

    def _publish(self, made: Embeddings) -> Embeddings:
        """The vectors as others will read them: mapped, or from memory where that fails."""
        tensors = {
            "pts_seconds": made.pts_seconds,
            "indices": made.indices,
            "features": made.features,
        }
        about = {
            "format": FORMAT,
            "key": self.key,
            "video": self.path.name,
            "encoder": self.encoder.fingerprint,
            "fps": self.fps,
        }
        found = None
        try:
            self.entry.parent.mkdir(parents=True, exist_ok=True)
            self._write(self.entry, tensors, about)
            found = self.store._stored(self.key)
        except OSError as error:
            self.store._cannot_write(error)
        if found is None:
            self.store._memory.put(self.key, made, made.features.nbytes)
            return made
        shutil.rmtree(self.blocks, ignore_errors=True)
        return found

    def _write(self, path: Path, tensors: dict[str, np.ndarray], about: dict) -> None:
        """In one step for all who look: two builders at once do no harm."""
        temporary = self.entry.with_name(names.temporary_name(self.key))
        try:
            with temporary.open("xb") as file:
                tensor_file.write(tensors, tensor_file.describe(about, tensors), file)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _reopen(folder: str, fingerprint: str) -> EmbeddingStore:
    return EmbeddingStore(folder, fingerprint=fingerprint)
