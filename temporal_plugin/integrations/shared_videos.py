"""What the rollouts of a group share inside one worker of verl.

verl runs the processor three times for every rollout: once for the prompt's token ids, twice for
the trainer's inputs. All of it depends on the video and the prompt only. Here the patches of a
video are made once, and only when somebody needs them: token ids need no more than its size.
"""

import asyncio
import copy
import json
import threading
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch

from temporal_plugin.video.patches import grid_of, to_patches
from temporal_plugin.video.sharing import Memory, Shared

#: patches that one worker keeps: about 17 half-minute clips; what falls out is made again
PATCH_BYTES = 1 << 30
#: positions and the small tensors beside the patches
SMALL_BYTES = 1 << 28
PROMPTS = 1024
#: the settings under which a video's patches depend on its frames alone
_HARMLESS = {"return_metadata", "return_tensors", "video_metadata"}
_HOSTS = ("Qwen2VLVideoProcessor", "Qwen3VLVideoProcessor")
_install = threading.Lock()


class VideoName(dict):
    """A video's metadata, which also says which video it is; elsewhere it is a plain dict.

    Attributes:
        key: equal for equal frames: file, version of the file, sampling, clip and patch size.
        size_only: the pixels beside it are a stand-in or not needed; make no patches of them.
    """

    def __init__(self, metadata: dict, key: Hashable, *, size_only: bool = False) -> None:
        super().__init__(metadata)
        self.key, self.size_only = key, size_only

    def __deepcopy__(self, memo: dict) -> "VideoName":  # processors copy all their arguments
        return VideoName(copy.deepcopy(dict(self), memo), self.key, size_only=self.size_only)

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)  # what leaves the process needs no name


def names_of(videos: Sequence | None) -> tuple | None:
    """The keys of all videos, or None where there are none or one has no name."""
    if not videos:
        return None
    names = [video[1] if isinstance(video, tuple) else None for video in videos]
    return tuple(n.key for n in names) if all(isinstance(n, VideoName) for n in names) else None


def sizes_only(videos: Sequence[tuple[torch.Tensor, VideoName]]) -> list[tuple]:
    """The same videos for a caller who wants token ids and no patches."""
    return [(pixels, VideoName(name, name.key, size_only=True)) for pixels, name in videos]


class SharedVideoProcessor:
    """A video processor of transformers that makes the patches of a named video once.

    Named videos (`VideoName`) that need neither sampling nor resizing are served from memory;
    concurrent threads wait for the same computation. Everything else goes to the host's
    processor, whose attributes this one has.

    Args:
        host: a Qwen2-VL or Qwen3-VL video processor.
        max_bytes: patches to keep, in bytes.
    """

    def __init__(self, host, max_bytes: int = PATCH_BYTES) -> None:
        self.host, self.max_bytes = host, max_bytes
        self.prompts, self.sent = SharedPrompts(PROMPTS), SentVideos()
        self._memory: Memory[torch.Tensor] = Memory(max_bytes)
        self._shared: Shared[torch.Tensor] = Shared()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.host, name)

    def __reduce__(self) -> tuple:
        return SharedVideoProcessor, (self.host, self.max_bytes)

    def __call__(self, videos, **kwargs):
        names = kwargs.get("video_metadata")
        if not self._can_share(videos, names, kwargs):
            return self.host(videos, **kwargs)
        from transformers import BatchFeature
        from transformers.video_utils import make_batched_metadata

        patches = [
            self.patches(pixels, name) if not name.size_only else self._no_patches()
            for pixels, name in zip(videos, names, strict=True)
        ]
        data = {
            "pixel_values_videos": patches[0] if len(patches) == 1 else torch.cat(patches),
            "video_grid_thw": torch.tensor([self._grid(pixels) for pixels in videos]),
        }
        found = BatchFeature(data, tensor_type=kwargs.get("return_tensors"))
        if kwargs.get("return_metadata"):
            found["video_metadata"] = make_batched_metadata(videos, [dict(n) for n in names])
        return found

    def patches(self, pixels: torch.Tensor, name: VideoName) -> torch.Tensor:
        """float32 [patches, values] of one video; shared, so never write into it."""
        kept = self._memory.get(name.key)
        return (
            self._shared.get(name.key, lambda: self._make(pixels, name)) if kept is None else kept
        )

    def _make(self, pixels: torch.Tensor, name: VideoName) -> torch.Tensor:
        found = self._memory.get(name.key)  # another thread may just have made it
        if found is None:
            found = to_patches(
                pixels,
                patch_size=self.host.patch_size,
                merge_size=self.host.merge_size,
                mean=self.host.image_mean,
                std=self.host.image_std,
                rescale_factor=self.host.rescale_factor,
                temporal_patch_size=self.host.temporal_patch_size,
            )
            self._memory.put(name.key, found, found.nbytes)
        return found

    def _no_patches(self) -> torch.Tensor:
        return torch.empty(0, 3 * self.host.temporal_patch_size * self.host.patch_size**2)

    def _grid(self, pixels: torch.Tensor) -> tuple[int, int, int]:
        return grid_of(
            len(pixels),
            *pixels.shape[2:],
            patch_size=self.host.patch_size,
            temporal_patch_size=self.host.temporal_patch_size,
        )

    def _can_share(self, videos, names, kwargs) -> bool:
        wanted = {n: v for n, v in kwargs.items() if n not in _HARMLESS and v is not None}
        edge = self.host.patch_size * self.host.merge_size
        return (
            type(self.host).__name__ in _HOSTS
            and wanted == {"do_resize": False, "do_sample_frames": False}
            and self.host.do_rescale
            and self.host.do_normalize
            and isinstance(names, list)
            and all(isinstance(name, VideoName) for name in names)
            and all(
                isinstance(pixels, torch.Tensor)
                and pixels.dtype == torch.uint8
                and pixels.ndim == 4
                and pixels.shape[1] == 3
                and pixels.shape[2] % edge == pixels.shape[3] % edge == 0
                for pixels in videos
            )
        )


def share_videos(processor) -> SharedVideoProcessor | None:
    """Give a worker's processor a shared video processor (once) and return it.

    None where there is no processor or it takes no videos.
    """
    host = getattr(processor, "video_processor", None)
    if host is None or isinstance(host, SharedVideoProcessor):
        return host
    with _install:
        if not isinstance(processor.video_processor, SharedVideoProcessor):
            processor.video_processor = SharedVideoProcessor(processor.video_processor)
    return processor.video_processor


class SharedTasks:
    """Tasks of one event loop that want the same thing wait for one computation of it."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[Any]]) -> Any:
        """What `compute()` returns, by whichever task asked first; errors go to all of them."""
        task = self._running.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._running[key] = asyncio.ensure_future(compute())
            task.add_done_callback(lambda done: self._finished(key, done))
        # shielded: the first to ask may be cancelled, those who wait still need the result
        return await asyncio.shield(task)

    def _finished(self, key: Hashable, task: asyncio.Task) -> None:
        if self._running.get(key) is task:
            del self._running[key]


class SharedPrompts:
    """The token ids of the prompts used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: OrderedDict[Hashable, array] = OrderedDict()
        self._tasks = SharedTasks()

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[list[int]]]) -> list[int]:
        """The ids that `compute()` returns, as a list of the caller's own."""
        if key not in self._ids:
            ids = array("q", await self._tasks.get(key, compute))
            self._ids[key] = ids
            while len(self._ids) > self._most:
                self._ids.popitem(last=False)
            return ids.tolist()
        self._ids.move_to_end(key)
        return self._ids[key].tolist()


class SentVideos:
    """Videos on their way to a server in another process: written once for a whole group."""

    def __init__(self) -> None:
        self._sent: WeakValueDictionary[Hashable, _Sent] = WeakValueDictionary()

    def send(self, videos: Sequence, put: Callable[[list], Any]) -> "_Sent":
        """A holder of `put(videos)`; who sends the same videos while it is held gets it too."""
        names = names_of(videos)
        held = self._sent.get(names)
        if held is None:
            held = self._sent[names] = _Sent(put(list(videos)))
        return held


class _Sent:
    """What a reference needs to be referred to weakly."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


def prompt_key(names: tuple, messages: Sequence[dict], *settings: Any) -> Hashable:
    """What decides a prompt's token ids: its videos, its words and the template's settings."""
    return names, json.dumps([messages, settings], sort_keys=True, default=str)
