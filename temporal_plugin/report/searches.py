"""How the searches of runs went: a table from the sample logs of `temporal_search`."""

from __future__ import annotations

from statistics import fmean

from temporal_plugin.report.evaluation import Group
from temporal_plugin.report.tables import Table

COLUMNS = {
    "frames": "frames",
    "searches": "searches",
    "turns": "turns",
    "failed_calls": "failed calls",
    "malformed": "malformed",
    "forced_answer": "forced",
    "overflow": "overflow",
}
"""What a search counts, and its heading: means over all searches of all questions."""


def search_table(group: Group) -> Table | None:
    """Means per search of each run that searched; None where none did."""
    rows = []
    for entry in group.entries:
        found = [each for question in (entry.questions or {}).values() for each in question.tries]
        if found:
            means = (fmean(each.get(name, 0.0) for each in found) for name in COLUMNS)
            rows.append((entry.label, str(len(found)), *(f"{mean:.2f}" for mean in means)))
    if not rows:
        return None
    notes = ["means per search; frames that were shown, the preview not counted"]
    headings = ("run", "n", *COLUMNS.values())
    return Table(headings, rows, title=f"{group.title}: searches", notes=notes, left=1)
