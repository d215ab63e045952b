"""One mapping of settings for every way to search: in this process or by actors of a cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from temporal_plugin.search.embed import DTYPES, load_encoder
from temporal_plugin.search.embedding_store import EmbeddingStore
from temporal_plugin.search.frame_search import METHODS, FrameSearch
from temporal_plugin.video.sampling import Sampling

#: name -> (least, greatest) of settings that are numbers
RANGES = {
    "fps": (1e-3, 1e3),
    "patch_size": (1, 1024),
    "batch_size": (1, 1 << 16),
    "replicas": (0, 4096),
    "concurrency": (1, 1024),
    "threads": (1, 1024),
    "cpus": (0, 1024),
    "gpus": (0, 64),
    "retries": (0, 100),
    "call_seconds": (1e-3, math.inf),
    "start_seconds": (1e-3, math.inf),
}
WHOLE = ("patch_size", "batch_size", "replicas", "concurrency", "threads", "retries")


@dataclass(frozen=True)
class SearchSettings:
    """How frames are searched, and by how many.

    Attributes:
        encoder: name on the hub or folder of a dual encoder; not needed by "uniform".
        store: folder of the embeddings; not needed by "uniform".
        fps: frames per second among which is searched.
        method: "dpp", "top_k" or "uniform".
        sampling: the size of the frames that are returned.
        patch_size: edge of the vision tower's patch in pixels (14 Qwen2.5-VL, 16 Qwen3-VL).
        device: of the encoder; None is the GPU where the process has one.
        dtype: of the encoder, see `embed.load_encoder`.
        batch_size: pictures that the encoder is given at once.
        replicas: actors in a cluster; 0 searches in the process that asks.
        concurrency: calls that one replica works on at once.
        threads: of the encoder in a replica, where it runs on the CPU.
        cpus: processors that Ray keeps for a replica; with 0 it starts anywhere at once.
        gpus: GPU or part of one that Ray keeps for a replica. A trainer that holds all GPUs
            leaves none: queries are short texts, so 0 (the CPU) is enough once the embeddings
            are made.
        retries: how often a call is tried again on another replica when one dies.
        call_seconds: until a call counts as failed; the first on a video that is not in the
            store waits for its embeddings.
        start_seconds: until a replica that does not start is an error.

    Raises:
        ValueError: a value is out of range, or a method lacks its encoder or store.
    """

    encoder: str | None = None
    store: str | None = None
    fps: float = 2.0
    method: str = "dpp"
    sampling: Sampling = field(default_factory=Sampling)
    patch_size: int = 14
    device: str | None = None
    dtype: str = "auto"
    batch_size: int = 64
    replicas: int = 2
    concurrency: int = 4
    threads: int = 4
    cpus: float = 0.0
    gpus: float = 0.0
    retries: int = 3
    call_seconds: float = 1800.0
    start_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name, (least, greatest) in RANGES.items():
            value, whole = getattr(self, name), name in WHOLE
            right = isinstance(value, int if whole else (int, float))
            if not right or isinstance(value, bool) or not least <= value <= greatest:
                kind = "a whole number" if whole else "a number"
                raise ValueError(
                    f"search.{name} is {value!r}; it must be {kind} from {least:g} to {greatest:g}"
                )
        for name, allowed in (("method", tuple(METHODS)), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"search.{name} is {getattr(self, name)!r}; allowed: {allowed}")
        for name in ("encoder", "store"):
            if not getattr(self, name) and self.method != "uniform":
                raise ValueError(
                    f"search.{name} is not set and search.method is {self.method!r}; name "
                    f"{'a dual encoder' if name == 'encoder' else 'a folder'}, or use uniform"
                )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> SearchSettings:
        """The same from YAML; `sampling` may be a mapping itself.

        Raises:
            ValueError: a setting is unknown, or as in the class.
        """
        allowed = [entry.name for entry in fields(cls)]
        unknown = sorted(set(settings) - set(allowed))
        if unknown:
            raise ValueError(f"unknown search setting {unknown}; allowed: {allowed}")
        values = dict(settings)
        sampling = values.get("sampling")
        if not isinstance(sampling, Sampling):
            if not isinstance(sampling, Mapping | None):
                raise ValueError(f"search.sampling is {sampling!r}; needed: a mapping")
            values["sampling"] = Sampling.from_mapping(sampling or {})
        return cls(**values)

    def open(self) -> FrameSearch:
        """The search itself, in this process; loads the encoder.

        Raises:
            OSError: there is no such encoder.
            ValueError: the encoder is no dual encoder.
        """
        if self.method == "uniform":
            encoder = store = None
        else:
            encoder = load_encoder(self.encoder, self.device, self.dtype, self.batch_size)
            store = EmbeddingStore(self.store)
        return FrameSearch(encoder, store, self.fps, self.sampling, self.method, self.patch_size)
