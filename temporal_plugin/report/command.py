"""The command `temporal-plugin report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from temporal_plugin.command_errors import fail

if TYPE_CHECKING:
    from rich.console import Console

    from temporal_plugin.report.evaluation import Group
    from temporal_plugin.report.tables import Table

EXAMPLE = """Example: temporal-plugin report before=results/sft after=results/grpo --by type
--markdown report.md --plot report.png"""


def report(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]RESULTS...", help="Folders that lmms-eval got as --output_path."
        ),
    ],
    by: Annotated[
        list[str] | None, typer.Option(help="Break down by a field of the logs (repeatable).")
    ] = None,
    intersection: Annotated[
        bool, typer.Option("--intersection", help="Compare runs on the questions they share.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published/--no-published", help="Show the field's published rows.")
    ] = True,
    csv: Annotated[Path | None, typer.Option(help="Write every number, one a line.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables as Markdown.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Show lmms-eval runs side by side, with published results and how sure differences are.

    The first run of a benchmark is compared with each of the others: paired bootstrap over the
    same questions. Runs with other prompts, frames, limits or numbers of questions are marked.
    """
    from rich.console import Console

    from temporal_plugin.report import evaluation_records
    from temporal_plugin.report.entries import read_entries
    from temporal_plugin.report.evaluation import groups_of
    from temporal_plugin.report.evaluation_tables import overview_table

    fields = tuple(dict.fromkeys(by or ()))
    try:
        entries = read_entries(results)
        groups = groups_of(entries, published=published, intersection=intersection)
        _check_fields(groups, fields)
        if csv is not None:
            evaluation_records.write_csv(csv, groups)
        if markdown is not None:
            tables = [table for group in groups for table in tables_of(group, fields)]
            if len(groups) > 1:
                tables.insert(0, overview_table(groups))
            text = "\n".join(table.markdown() for table in tables)
            markdown.write_text(text, encoding="utf-8")
        if plot is not None:
            from temporal_plugin.report.evaluation_plot import draw

            draw(plot, groups, fields[:1])
    except (ValueError, OSError, ImportError) as error:
        fail(str(error), as_json=as_json)
    if as_json:
        typer.echo(json.dumps(evaluation_records.as_json(groups), indent=2))
        return
    console = Console(highlight=False)
    if len(groups) > 1:
        _show(console, overview_table(groups))
    for group in groups:
        for table in tables_of(group, fields):
            _show(console, table)
        other = [field for field in group.category_fields if field not in fields]
        if other:
            console.print(f"break down with --by: {', '.join(other)}\n", markup=False)
    for path in (csv, markdown, plot):
        if path is not None:
            console.print(f"wrote {path}", markup=False, soft_wrap=True)


def tables_of(group: Group, fields: tuple[str, ...]) -> list[Table]:
    """The tables of a group: scores, searches, differences, a breakdown for each of `fields`."""
    from temporal_plugin.report import evaluation_tables as tables
    from temporal_plugin.report.searches import search_table

    searches = search_table(group)
    return [
        tables.scores_table(group),
        *([] if searches is None else [searches]),
        *map(tables.difference_table, group.differences),
        *(
            tables.breakdown_table(group, field)
            for field in fields
            if field in group.category_fields
        ),
    ]


def _check_fields(groups: list[Group], fields: tuple[str, ...]) -> None:
    known = dict.fromkeys(field for group in groups for field in group.category_fields)
    unknown = [field for field in fields if field not in known]
    if unknown:
        there = f"the logs hold {', '.join(known)}" if known else "the logs hold no field"
        raise ValueError(f"--by {unknown[0]}: {there}")


def _show(console: Console, table: Table) -> None:
    """Print a table; one that is wider than the terminal keeps its numbers whole."""
    from rich.console import Console

    console.print(table.title, style="bold", markup=False, soft_wrap=True)
    if table.rows:
        drawn = table.rich()
        needed = console.measure(drawn).minimum
        if needed > console.width or not console.is_terminal:
            wide = max(
                needed,
                console.measure(drawn, options=console.options.update(max_width=200)).maximum,
            )
            console = Console(highlight=False, width=max(wide, console.width))
        console.print(drawn)
    for note in table.notes:
        console.print(note, markup=False, soft_wrap=True, style="dim")
    console.print()
