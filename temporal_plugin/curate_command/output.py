"""What the curate commands share: options, counts with names, and the words for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

BINS = 10
BAR = 30  # characters of the longest bar
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
MaxListed = Annotated[int, typer.Option(min=0, help="Name at most so many ids of a kind.")]

Results = Annotated[
    list[Path],
    typer.Argument(help="Folders or sample logs of lmms-eval, of all shards of one run."),
]
RowsOut = Annotated[Path, typer.Option(help="The JSONL to write, a line per sample.")]
Asked = Annotated[
    Path | None,
    typer.Option(help="The samples that were asked: adds their sources, names missing ones."),
]
Task = Annotated[
    str | None, typer.Option(help="Which task's logs; needed where there are several.")
]


def named(ids: Sequence[str], most: int) -> dict[str, Any]:
    """How many ids there are, and the first of them."""
    return {"count": len(ids), "ids": list(ids[:most])}


def histogram(values: Sequence[float], largest: float = 1.0) -> list[int]:
    """Counts in ten equal bins from 0 to `largest`."""
    import numpy as np

    counts, _ = np.histogram(values, bins=BINS, range=(0.0, largest))
    return counts.tolist()


def show(report: dict[str, Any], as_json: bool) -> None:
    """Print a report, for people or as JSON."""
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    for name, value in report.items():
        if name not in ("ok", "difficulty"):
            _tell(name, value)
    if "difficulty" in report:
        typer.echo("difficulty (1 - mean IoU):")
        for line in _bars(report["difficulty"]):
            typer.echo(line)


def _tell(name: str, value: Any) -> None:
    title = name.replace("_", " ")
    if not isinstance(value, dict):
        typer.echo(f"{title}: {value}")
    elif "ids" in value:
        more = ", ..." if value["count"] > len(value["ids"]) else ""
        names = f" ({', '.join(value['ids'])}{more})" if value["ids"] else ""
        typer.echo(f"{title}: {value['count']}{names}")
    elif any(isinstance(inner, dict) for inner in value.values()):
        for rule, ids in value.items():
            _tell(f"{name}, {rule}", ids)
    else:
        inside = ", ".join(f"{key}: {count}" for key, count in value.items())
        typer.echo(f"{title}: {inside or 'none'}")


def _bars(counts: Sequence[int]) -> Iterator[str]:
    most = max(*counts, 1)
    for number, count in enumerate(counts):
        bar = "#" * -(-count * BAR // most)
        yield f"  {number / BINS:.1f} to {(number + 1) / BINS:.1f} {count:8d} {bar}"
