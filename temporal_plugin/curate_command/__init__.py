"""The commands `temporal-plugin curate ...`: measure training samples, and select some."""

import typer

from temporal_plugin.curate_command import boundaries, difficulty, select

app = typer.Typer(
    help="Measure how hard training samples are and which lack an occurrence, and select some.",
    no_args_is_help=True,
)
app.command("difficulty", epilog=difficulty.EXAMPLE)(difficulty.measure)
app.command("boundaries", epilog=boundaries.EXAMPLE)(boundaries.reflect)
app.command("plant", epilog=boundaries.PLANT_EXAMPLE)(boundaries.plant)
app.command("select", epilog=select.EXAMPLE)(select.select)
