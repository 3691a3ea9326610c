"""`restock explain`: what a forecast is made of, for one series and a day that may lie in the past."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from restock.cli.console import output, print_json
from restock.settings import read_settings

if TYPE_CHECKING:
    from restock.operations.explain_forecast import ExplainedForecast, InputEffects

# Smaller parts than this are not shown in the table, units.
_SHOWN_UNITS = 0.005


def explain(
    sku: Annotated[str, typer.Argument(help="The article, as in table sales.")],
    location: Annotated[str, typer.Argument(help="Where it is sold, as in table sales.")],
    *,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of", formats=["%Y-%m-%d"], help="Day at whose end everything is as known; default: today, UTC."
        ),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=366, help="Periods to explain; default: as many as the model forecasts.")
    ] = None,
    inputs: Annotated[
        int, typer.Option(min=0, max=200, help="Also show so many inputs of the boosted trees, the strongest.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the forecast of one series is made of: usual level, trend, weekday, season, price, promotion, holiday.

    The parts sum to the forecast that is served, or that was kept for the day (restock forecast). What is no driver's
    doing has a name of its own: calibration, cold_start; of a kept forecast also later_changes, unexplained.

    Example: restock explain SKU-0001 STORE-01 --horizon 7
    """
    from restock.operations.explain_forecast import explain_as_of

    day = datetime.now(UTC).date() if as_of is None else as_of.date()
    explained = explain_as_of(read_settings(), sku=sku, location=location, as_of=day, horizon=horizon, n_inputs=inputs)
    if as_json:
        print_json(explained.to_json())
        return
    _print_explanation(explained)


def _print_explanation(explained: ExplainedForecast) -> None:
    from restock.adapters.terminal_waterfall import terminal_waterfall

    output.print(explained.sentence, style="bold", highlight=False, markup=False)
    for words in explained.assumptions:
        output.print(f"assumed: {words}", highlight=False, markup=False)
    shown = [part for part, units in explained.part_units.items() if abs(units).max() >= _SHOWN_UNITS]
    output.print()
    totals = explained.totals()
    bars = terminal_waterfall([(part.value, totals[part]) for part in shown])
    output.print(bars, highlight=False, markup=False)
    table = Table(title=f"{explained.sku} at {explained.location}: units per period", title_justify="left")
    table.add_column("date")
    for column in ("forecast", *(part.value for part in shown)):
        table.add_column(column, justify="right")
    for ahead, date in enumerate(explained.dates):
        units = [f"{explained.part_units[part][ahead]:+,.2f}" for part in shown]
        table.add_row(f"{date:%a} {date}", f"{explained.mean_units[ahead]:,.2f}", *units)
    output.print()
    output.print(table)
    if explained.input_effects is not None:
        _print_inputs(explained.input_effects)
    made = "kept" if explained.is_kept else "made now"
    model = explained.model
    output.print(f"{made}, by {model.version} ({model.family}), cutoff {explained.cutoff}", highlight=False)


def _print_inputs(effects: InputEffects) -> None:
    table = Table(title="Inputs of the boosted trees, beside an average row: units", title_justify="left")
    for column in ("input", "driver"):
        table.add_column(column)
    table.add_column("units", justify="right")
    table.add_row("average row", "", f"{effects.average_row_units:,.2f}")
    for name, driver, units in effects.inputs:
        table.add_row(name, driver.value, f"{units:+,.2f}")
    table.add_row("other inputs", "", f"{effects.other_inputs_units:+,.2f}")
    table.add_row("other members", "", f"{effects.other_members_units:+,.2f}")
    output.print(table)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("explain")(explain)
