"""One table, shown on the terminal or written as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells as people read them; the first `left` columns are text, the others numbers.

    `dim`: numbers of rows that stand back (published results). `notes` follow the table; a table
    without headings is its notes.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = ()
    left: int = 1
    dim: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.headings)]
        if wrong:
            raise ValueError(f"{len(self.headings)} headings, but the row {wrong[0]!r}")

    def markdown(self) -> str:
        """The table as Markdown, with its title as a heading and its notes as a list."""
        rules = ["---" if k < self.left else "---:" for k in range(len(self.headings))]
        lines = [self.headings, rules, *self.rows] if self.headings else []
        table = "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)
        title = f"## {self.title}\n\n" if self.title else ""
        notes = "".join(f"- {' '.join(note.split())}\n" for note in self.notes)
        return title + table + (f"\n{notes}" if notes and table else notes)

    def rich(self) -> RichTable:
        """The table for a terminal, without its title and its notes."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=SIMPLE_HEAD, pad_edge=False)
        for k, heading in enumerate(self.headings):
            text = k < self.left
            table.add_column(
                Text(heading),
                justify="left" if text else "right",
                no_wrap=not text,
                overflow="fold",
            )
        for k, row in enumerate(self.rows):
            # Text, as a cell such as "[0, 1]" is no markup
            table.add_row(*map(Text, row), style="dim" if k in self.dim else None)
        return table


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())
