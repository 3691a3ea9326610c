"""`restock forecast` and `restock monitor`: the daily work, each for one day that may lie in the past."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import islice
from typing import Annotated

import numpy as np
import polars as pl
import typer
from rich import box
from rich.table import Table

from restock.cli.console import messages, output, print_json, show_progress
from restock.params import read_params
from restock.settings import read_settings

_AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day at whose end everything is as known; default: today, UTC."),
]
# More would scroll the rest away; the table in the file has all.
_SHOWN_TOTALS = 30
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def forecast(as_of: _AsOf = None, as_json: _Json = False) -> None:
    """Forecast every stored series with the served version and keep it as the partition of a day.

    A past day sees only what was known then: sales up to it, and the newest version that was trained on no later ones.
    The same day again replaces its partition with the same content.

    Beside it: totals of everything, by region, category and location, whose means add up to the series' and whose
    quantiles are those of summed sample paths.

    Example: restock forecast --as-of 2025-05-14
    """
    from restock.operations.daily_forecast import write_daily_forecast

    with show_progress("forecast") as advance:
        done = write_daily_forecast(read_settings(), as_of=_day(as_of), on_progress=advance)
    if as_json:
        print_json(done.to_json())
        return
    output.print(
        f"{done.n_series:,} series forecast as of {done.as_of} by {done.version} (sales up to {done.cutoff})",
        highlight=False,
    )
    output.print(f"table quantile_forecast, {done.n_rows:,} rows: {done.path}", highlight=False)
    if done.totals_path is not None:
        totals = pl.read_parquet(done.totals_path)
        output.print(f"table total_forecast, {totals.height:,} rows: {done.totals_path}", highlight=False)
        output.print(_totals_table(totals))


def _totals_table(totals: pl.DataFrame) -> Table:
    """Return the totals over the whole horizon, everything first: mean and the outermost quantiles."""
    periods = int(totals["periods"].to_numpy().max())
    whole = totals.filter(pl.col("periods") == periods).sort(pl.col("level") != "all", "level", "name", "quantile")
    levels = totals["quantile"].unique().sort()
    low, high = (float(levels[int(np.abs(levels.to_numpy() - wanted).argmin())]) for wanted in (0.05, 0.95))
    table = Table(title=f"Demand of the next {periods} periods together, units", box=box.HEAVY_HEAD)
    for name in ("total of", "", "mean", f"{low:.0%} below", f"{high:.0%} below"):
        table.add_column(name, justify="left" if name in ("total of", "") else "right")
    groups = whole.group_by(["level", "name"], maintain_order=True)
    for (level, name), rows in islice(groups, _SHOWN_TOTALS):
        units = dict(zip(rows["quantile"].to_list(), rows["demand_units"].to_list(), strict=True))
        mean = rows["mean_demand_units"][0]
        table.add_row(str(level), str(name), f"{mean:,.0f}", f"{units[low]:,.0f}", f"{units[high]:,.0f}")
    return table


def monitor(as_of: _AsOf = None, as_json: _Json = False) -> None:
    """Judge the served version: drift of its inputs, coverage and bias of its past forecasts against what happened.

    Every figure and its limit (params.yaml: monitoring) goes into a report, every breach into an alert.

    Example: restock monitor --as-of 2025-05-14
    """
    from restock.operations.monitor import monitor_forecaster

    settings = read_settings()
    report = monitor_forecaster(settings, read_params(settings.params_file), as_of=_day(as_of))
    if as_json:
        print_json(report.to_json())
        return
    table = Table(title=f"{report.version} as of {report.as_of}", title_justify="left")
    for column in ("what", "of", "verdict", "figure"):
        table.add_column(column, overflow="fold")
    for finding in report.findings:
        verdict = "[bold red]breached[/]" if finding.is_breached else ("fine" if finding.value is not None else "-")
        table.add_row(finding.kind, finding.subject, verdict, finding.detail)
    output.print(table)
    messages.print(f"report: {report.path}", highlight=False)
    if report.requests_retraining:
        messages.print("training anew is called for: dvc repro, or trigger train_demand_forecasting", style="yellow")


def _day(as_of: datetime | None) -> date:
    return datetime.now(UTC).date() if as_of is None else as_of.date()


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("forecast")(forecast)
    app.command("monitor")(monitor)
