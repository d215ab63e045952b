"""Annotations made incomplete on purpose, and how well the partial flag finds them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.annotations.strict_json import loads, read_lines
from temporal_plugin.curation.chance import id_hashes, uniforms
from temporal_plugin.spans import merged


def plant(
    samples: Iterable[Sample], *, share: float = 0.5, seed: int = 0
) -> tuple[list[Sample], dict[str, bool]]:
    """The grounding samples of several spans, `share` of them without one of their spans.

    Whether a sample loses a span, and which one, belongs to its id and the seed.

    Returns:
        The samples in their order, and for the id of each whether a span was taken out.

    Raises:
        ValueError: a share outside of [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; allowed: 0 to 1")
    several = [
        sample for sample in samples
        if sample.task == "grounding" and len(merged(sample.spans)) > 1
    ]  # fmt: skip
    if not several:
        return [], {}
    hashes = id_hashes([sample.id for sample in several])
    chance, place = uniforms(hashes, "plant", seed), uniforms(hashes, "span", seed)
    chosen, rows = [], {}
    for sample, first, second in zip(several, chance, place, strict=True):
        spans = merged(sample.spans)
        rows[sample.id] = bool(first < share)
        if rows[sample.id]:
            del spans[int(second * len(spans))]
        chosen.append(replace(sample, spans=tuple(spans)))
    return chosen, rows


def quality(truth: Mapping[str, bool], partial: Collection[str]) -> dict[str, float | int | None]:
    """How right the partial flag is about all samples whose truth is known.

    A planted sample that has no flag, for whatever reason, is missed; flags of samples without
    known truth are left out and counted.

    Args:
        truth: id -> whether an occurrence was left out of the annotation.
        partial: ids that are flagged.

    Returns:
        `known`, `planted`, `flagged`, `right` (flagged and planted), `precision` = right / flagged
        (None of no flag), `recall` = right / planted (None of none), `unknown_flagged`.
    """
    flagged = {id for id in partial if id in truth}
    right = sum(truth[id] for id in flagged)
    planted = sum(truth.values())
    return {
        "known": len(truth),
        "planted": planted,
        "flagged": len(flagged),
        "right": right,
        "precision": right / len(flagged) if flagged else None,
        "recall": right / planted if planted else None,
        "unknown_flagged": len(set(partial) - set(truth)),
    }


def write(path: str | Path, rows: Mapping[str, bool]) -> None:
    """Writes `{"id", "planted"}` lines, sorted by id."""
    lines = [json.dumps({"id": id, "planted": rows[id]}, ensure_ascii=False) for id in sorted(rows)]
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(path: str | Path) -> dict[str, bool]:
    """id -> planted of such a file; further keys are not read.

    Raises:
        AnnotationError: the file is missing, empty or not JSON.
        ValueError: a row is malformed (names the line), or an id is there twice.
    """
    found: dict[str, bool] = {}
    for number, line in read_lines(Path(path)):
        where = f"{path}:{number}"
        row = loads(line, where)
        is_row = isinstance(row, dict) and isinstance(row.get("id"), str)
        if not is_row or not isinstance(row.get("planted"), bool):
            raise ValueError(f"{where}: a row is {line[:80]!r}; needed: id and planted")
        if row["id"] in found:
            raise ValueError(f"{where}: {row['id']!r} is there twice; keep one of the rows")
        found[row["id"]] = row["planted"]
    return found
