"""COSMO-Cap, as VideoMind hands it round: anno_cosmo_cap.jsonl.

A row is `{"vid", "duration", "query", "span": [start, end]}`, times in seconds. No such
file was at hand: the fields are those that VideoMind's loader reads (yeliudev/VideoMind,
videomind/dataset/sub_classes/cosmo_cap.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from temporal_plugin.annotations.row_files import OnError
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.vid_rows import vid_samples

SOURCE = "cosmo_cap"


def read(
    path: str | Path, *, on_error: OnError, split: str = "train", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One grounding sample per row, with the id `cosmo_cap/<split>/<n>`, rows from 0.

    A bad row goes to `on_error`, and reading goes on if that returns.
    """
    yield from vid_samples(
        Path(path),
        on_error,
        source=SOURCE,
        split=split,
        video_extension=video_extension,
        spans="span",
        single=True,
    )
