"""Decoded frames on disk, shared by processes and machines."""

from temporal_plugin.video.frame_store.settings import StoreError
from temporal_plugin.video.frame_store.store import FrameStore

__all__ = ["FrameStore", "StoreError"]
