"""ReXTime: multiple choice about what comes before, after or because, with the proving moment.

A row of rextime_val.json (or rextime_train.json) is `{"qid", "vid", "duration", "question",
"options": [...], "ans": "A", "span": [start, end], "category", "source", "answer"}`; `answer`
is a template of the whole sentence. A `vid` of 13 characters is a video of ActivityNet, others
are stretches of QVHighlights, which are published cut. In the test file `ans` and `span` are
kept back: each of its rows is a `no_label` error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporal_plugin.annotations.choice_options import letter_of, option_list
from temporal_plugin.annotations.errors import NoLabelError
from temporal_plugin.annotations.reading import id_part, need, rest, samples, video_file
from temporal_plugin.annotations.row_files import OnError, rows
from temporal_plugin.annotations.sample import Sample

SOURCE = "rextime"
TAKEN = ("qid", "vid", "duration", "question", "options", "answer", "ans", "span", "source")
NAMES = {"video": "vid", "query": "question", "spans": "span"}


def read(
    path: str | Path, *, on_error: OnError, split: str = "", video_extension: str = ".mp4"
) -> Iterator[Sample]:
    """One grounded choice per row, with the id `rextime/<qid>`; `answer` is the letter.

    `category` stays in `extra`, and the set the video is from as `video_source`.
    A bad row goes to `on_error`, and reading goes on if that returns.
    """

    def convert(row: dict[str, Any], number: int) -> dict[str, Any]:
        need(row, "qid", "vid", "duration", "question", "options")
        for field in ("ans", "span"):
            if not row.get(field):
                raise NoLabelError(field)
        options = option_list("options", row["options"])
        return {
            "id": f"{SOURCE}/{id_part('qid', row['qid'])}",
            "task": "grounded_choice",
            "video": video_file("vid", row["vid"], video_extension),
            "query": row["question"],
            "options": options,
            "answer": letter_of("ans", row["ans"], options),
            "spans": [row["span"]],
            "duration": row["duration"],
            "source": SOURCE,
            "split": split,
            "extra": {**rest(row, *TAKEN), "video_source": row.get("source")},
        }

    yield from samples(rows(Path(path), on_error), on_error, convert, NAMES)
