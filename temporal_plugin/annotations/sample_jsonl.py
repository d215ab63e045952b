"""Our own format: a `Sample` as a JSON object on each line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.seen_ids import SeenIds
from temporal_plugin.annotations.strict_json import loads, read_lines


def read(
    path: str | Path,
    *,
    on_error: Callable[[AnnotationError], None],
    split: str | None = None,
) -> Iterator[Sample]:
    """The samples of a JSONL file; `split`, where given, is written over each row's own.

    A row that cannot become a sample goes to `on_error`, and reading goes on if that returns.
    """
    path = Path(path)
    seen = SeenIds()
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        try:
            sample = Sample.from_dict(loads(line, where), where=where)
            first = seen.first(sample.id, number)
            if first != number:
                raise AnnotationError(
                    f"the id is taken by line {first}",
                    where=where,
                    field="id",
                    value=sample.id,
                    allowed="ids that are unique within everything loaded",
                    remedy="give the row its own id, or remove it if it is a copy",
                )
        except AnnotationError as error:
            on_error(error)
            continue
        yield sample if split is None else replace(sample, split=split)


def write(path: str | Path, samples: Iterable[Sample]) -> int:
    """Writes the samples as JSONL and returns how many; `read` gives them back equal.

    Raises:
        ValueError: an `extra` value is not JSON (NaN and infinity are not).
    """
    count = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for sample in samples:
            row = json.dumps(sample.to_dict(), ensure_ascii=False, allow_nan=False)
            file.write(row + "\n")
            count += 1
    return count
