"""`restock bench`: speed, as ratios against peers measured in the same run."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from restock.cli.console import messages, output, print_json
from restock.errors import ConfigurationError
from restock.params import PARAMS_FILE, Params, read_params
from restock.settings import Settings

if TYPE_CHECKING:
    from restock.forecasting.panel import DemandPanel

_REPEATS = 5


def bench(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder in the FreshRetailNet or M5 layout to time the features on; default: the workspace."),
    ] = None,
    *,
    folder: Annotated[Path, typer.Option("--workspace", help="Workspace with a promoted version.")] = Path(".demo"),
    n_requests: Annotated[int, typer.Option(min=100, help="Requests to each service.")] = 1_000,
    write: Annotated[
        Path | None, typer.Option(help="Markdown file for the results, with machine and versions.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="File with the JSON lines of `restock benchmark`, to go into the Markdown file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure features, smoothing, policies, predictions, `/forecast`, ledger and no-op `dvc repro` beside their peers.

    The peers are mlforecast, statsforecast, stockpyl, XGBoost, BentoML and raw SQL. Also: how the cost of training and
    forecasting grows from 1,000 to 50,000 series, and a plan of 30,000 lines. Run `make demo` before: the workspace
    must hold a promoted version. The ledger is posted to SQLite and, where PostgreSQL is installed, to a private
    cluster.
    """
    from restock.adapters.storage import write_text
    from restock.benchmarks.results_page import read_results, render_page

    settings = Settings(workspace=folder)
    if not (settings.models_dir / "demand_forecasting" / "current.json").exists():
        raise ConfigurationError(f"workspace {folder} has no promoted version. Make one first: make demo.")
    if results is not None and write is None:
        raise ConfigurationError("--results go into the file of --write, which is missing. Give both.")
    kept = [] if results is None else read_results(results)
    figures = _measure(settings, data, n_requests=n_requests)
    if write is not None:
        write_text(write, render_page(figures, kept, measured_on=datetime.now(tz=UTC).date()))
        messages.print(f"wrote {write}", highlight=False)
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


def _measure(settings: Settings, data: Path | None, *, n_requests: int) -> dict[str, Any]:
    """Return every figure, by what it is about."""
    from restock.adapters.machine import describe_machine, read_versions
    from restock.adapters.panel_files import load_panel
    from restock.adapters.workspace import project_root
    from restock.benchmarks.feature_speed import measure_feature_speed
    from restock.benchmarks.forecast_latency import measure_forecast_latency
    from restock.benchmarks.growth import measure_growth
    from restock.benchmarks.ledger_posting import measure_posting
    from restock.benchmarks.planning_speed import measure_planning, measure_sharing
    from restock.benchmarks.policy_speed import measure_policy_speed
    from restock.benchmarks.posting_latency import measure_posting_latency
    from restock.benchmarks.prediction_speed import load_xgboost, measure_prediction_speed
    from restock.benchmarks.smoothing_speed import measure_smoothing_speed
    from restock.operations.candidates import candidate_folder
    from restock.pipeline.train import MODEL_FOLDER

    params = read_params(settings.params_file)
    figures: dict[str, Any] = {"machine": describe_machine(), "versions": read_versions()}
    messages.print("no-op dvc repro …")
    figures["no_op_repro"] = {"seconds_median_of_5": _time_no_op(settings.root)}
    panel = load_panel(settings.data_dir / "features")
    messages.print("predictions …")
    model = load_xgboost(candidate_folder(settings.data_dir, "xgboost") / MODEL_FOLDER)
    figures["prediction"] = measure_prediction_speed(model, panel)
    messages.print("forecast latency …")
    figures["forecast"] = measure_forecast_latency(settings, n_requests=n_requests)
    messages.print("ledger …")
    figures["ledger"] = measure_posting()
    figures["posting"] = measure_posting_latency(settings, n_requests=n_requests)
    messages.print("exponential smoothing …")
    figures["smoothing"] = measure_smoothing_speed(panel)
    messages.print("order policies …")
    figures["policies"] = measure_policy_speed()
    messages.print("a plan of 30,000 lines …")
    figures["planning"] = measure_planning()
    figures["sharing"] = measure_sharing()
    messages.print("growth with the number of series …")
    # With the sizes and quantiles of a real workspace, not those of the demo's profile.
    figures["growth"] = measure_growth(panel, read_params(project_root() / PARAMS_FILE))
    messages.print("features …")
    timed = panel if data is None else _read_panel(data, params)
    figures["features"] = measure_feature_speed(timed, params.features)
    return figures


def _read_panel(data: Path, params: Params) -> DemandPanel:
    from restock.benchmarks.layout_panel import read_layout_panel

    return read_layout_panel(data, params)


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
