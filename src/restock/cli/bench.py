"""`restock bench`: speed, as ratios against peers measured in the same run."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json
from restock.errors import ConfigurationError
from restock.params import read_params
from restock.settings import Settings

_REPEATS = 5


def bench(
    data: Annotated[
        Path | None, typer.Option(help="Folder in the FreshRetailNet or M5 layout; adds the speed of the features.")
    ] = None,
    folder: Annotated[Path, typer.Option("--workspace", help="Workspace with a promoted version.")] = Path(".demo"),
    n_requests: Annotated[int, typer.Option(min=100, help="Requests to each service.")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure features, a no-op `dvc repro`, and `/forecast` beside a bare BentoML endpoint.

    Run `make demo` before: the workspace must hold a promoted version.
    """
    from restock.adapters.provenance import read_library_versions
    from restock.benchmarks.forecast_latency import measure_forecast_latency

    settings = Settings(workspace=folder)
    if not (settings.models_dir / "demand_forecasting" / "current.json").exists():
        raise ConfigurationError(f"workspace {folder} has no promoted version. Make one first: make demo.")
    figures: dict[str, Any] = {}
    if data is not None:
        from restock.benchmarks.feature_speed import measure_feature_speed

        messages.print("features …")
        figures["features"] = measure_feature_speed(data, read_params(settings.params_file))
    messages.print("no-op dvc repro …")
    figures["no_op_repro"] = {"seconds_median_of_5": _time_no_op(settings.root)}
    messages.print("forecast latency …")
    figures["forecast"] = measure_forecast_latency(settings, n_requests=n_requests)
    figures["machine"] = {"cpus": os.cpu_count(), "processor": platform.machine(), **read_library_versions()}
    if as_json:
        print_json(figures)
        return
    table = Table(title="Benchmarks", title_justify="left")
    for column in ("what", "figure", "value"):
        table.add_column(column)
    for what, values in figures.items():
        for name, value in values.items():
            table.add_row(what, name, str(value))
    output.print(table)


def _time_no_op(workspace: Path) -> float:
    """Return the median seconds of `dvc repro` where nothing has changed."""
    from restock.adapters.workspace import run_dvc

    run_dvc(["repro", "--quiet"], folder=workspace)
    seconds = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        run_dvc(["repro", "--quiet"], folder=workspace)
        seconds.append(time.perf_counter() - begun)
    return round(median(seconds), 2)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("bench")(bench)
