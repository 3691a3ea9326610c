"""`restock demo`: the main job from nothing, in a workspace of its own, with the seconds of every stage."""

from __future__ import annotations

import json
import resource
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table

from restock.adapters.local_services import ServiceName, service_url
from restock.adapters.processes import stop_process
from restock.adapters.registry import ModelType
from restock.cli.console import messages, output
from restock.cli.services import service_record, start_service
from restock.errors import GateRefusedError, RestockError
from restock.operations.access import Scope
from restock.params import Params, read_params
from restock.settings import Settings

# What is promoted, and why, in this order: forecasts first, for plans stand on them.
_PROMOTED = {
    ModelType.DEMAND_FORECASTING: "make demo: best family on the demo company",
    ModelType.OPTIMIZATION: "make demo: the policy that costs least on the demo company",
}
_SHOWN_ORDERS = 8
# What the demo serves, in this order.
_SERVED = (ServiceName.FORECAST, ServiceName.PLANNING)
_DEMO_SCOPES = (Scope.FORECAST, Scope.DESCRIBE, Scope.STOCK_READ, Scope.CATALOGUE_READ)
_TOKEN_NAME = "demo"  # noqa: S105  (the name of a token, not a token)
_CHART_HISTORY_PERIODS = 56


@dataclass
class _StageClock:
    """Seconds per stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what runs inside as stage `name`, and say when it begins."""
        output.rule(f"[bold]{name}[/]", align="left")
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun


def run_demo(
    folder: Annotated[Path, typer.Option(help="Workspace of the demo.")] = Path(".demo"),
    keep: Annotated[
        bool | None,
        typer.Option("--keep/--stop", help="Leave the service running at the end. Default: only on a terminal."),
    ] = None,
) -> None:
    """Run the main job end to end on the demo company, from nothing to a served forecast.

    Ingests and validates, trains and compares five families and their ensemble, tunes the planner by simulated money,
    promotes the best of both, posts the company into the stock ledger, plans the last day's orders, serves the forecast
    and fetches one.
    A second run does only what changed.
    """
    from restock.adapters.workspace import create_workspace, stream_dvc
    from restock.operations.first_start import prepare_ledger

    begun = time.monotonic()
    clock = _StageClock()
    with clock.stage("workspace"):
        create_workspace(folder, profile="demo")
        messages.print(f"everything this run writes lies in {folder}/", highlight=False, markup=False)
    settings = Settings(workspace=folder)
    params = read_params(settings.params_file)
    stages = [
        "ingest",
        "validate",
        "features",
        *(f"train@{family}" for family in params.forecasting.families),
        "combine",
        "evaluate",
        "optimize",
    ]
    for stage in stages:
        with clock.stage(stage):
            stream_dvc(["repro", "--single-item", stage], folder=settings.root)
    with clock.stage("promote"):
        for model_type, reason in _PROMOTED.items():
            _promote(settings, params, model_type=model_type, reason=reason)
    with clock.stage("ledger"):
        _fill_ledger(settings)
    with clock.stage("plan"):
        _plan(settings, params)
    try:
        with clock.stage("serve"):
            # Only now: what was free minutes ago may be taken.
            settings = _with_free_ports(settings)
            for line in prepare_ledger(settings, is_seen_by_a_person=messages.is_terminal):
                messages.print(line, highlight=False, markup=False)
            for name in _SERVED:
                seconds = start_service(settings, name)
                messages.print(f"the {name} service was ready in {seconds:.1f} s", highlight=False)
        with clock.stage("forecast"):
            token = _issue_token(settings)
            sku, location = _pick_series(settings.data_dir)
            _fetch_and_draw(settings, params, token=token, sku=sku, location=location)
        _print_seconds(clock.seconds, total=time.monotonic() - begun)
        stays = sys.stdout.isatty() if keep is None else keep
        _print_next_steps(settings, folder=folder, sku=sku, location=location, stays=stays)
    except BaseException:
        _stop_services(settings)
        raise
    if not stays:
        _stop_services(settings)


def _stop_services(settings: Settings) -> None:
    for name in _SERVED:
        stop_process(service_record(settings, name))


def _with_free_ports(settings: Settings) -> Settings:
    """Return the settings with the usual ports or, where one is taken, with a free one."""
    # A port that answers belongs to somebody; the demo's own services of an earlier run are stopped before.
    _stop_services(settings)
    free = {}
    for name in _SERVED:
        setting = f"{name.value}_port"
        usual = getattr(settings, setting)
        with socket.socket() as probe:
            is_taken = probe.connect_ex((settings.host, usual)) == 0
        if is_taken:
            with socket.socket() as other:
                other.bind((settings.host, 0))
                free[setting] = int(other.getsockname()[1])
            messages.print(f"port {usual} is taken, the demo uses {free[setting]}", highlight=False)
    return settings.model_copy(update=free)


def _promote(settings: Settings, params: Params, *, model_type: ModelType, reason: str) -> None:
    """Promote the candidate; where the gate refuses it (nothing new on a second run), say why and go on."""
    from restock.cli.models import promote_candidate

    try:
        promote_candidate(settings, params, model_type=model_type, reason=reason, promoted_by="make demo")
    except GateRefusedError as error:
        if not (settings.models_dir / model_type / "current.json").exists():
            raise
        messages.print(f"the version served before stays: {error}", highlight=False, markup=False)


def _plan(settings: Settings, params: Params) -> None:
    """Forecast and plan the last day, and show the orders that save most."""
    from restock.operations.daily_forecast import write_daily_forecast
    from restock.operations.replenishment.daily_plan import write_daily_plan

    last = pl.scan_parquet(settings.data_dir / "validated" / "sales.parquet").select(pl.col("date").max()).collect()
    as_of = date.fromisoformat(str(last["date"][0]))
    write_daily_forecast(settings, as_of=as_of)
    plan = write_daily_plan(settings, params, as_of=as_of)
    described = plan.description
    output.print(
        f"{described['lines']:,} lines planned as of {as_of}, {described['to_order']:,} to order, worth "
        f"{described['order_value']:,.2f}; expected cost {described['expected_cost']:,.2f} instead of "
        f"{described['unordered_cost']:,.2f} without them",
        highlight=False,
    )
    saving = pl.col("unordered_cost") - pl.col("expected_cost")
    table = Table(title="The orders that save most", title_justify="left")
    for column in ("sku", "at", "from", "order", "up to", "cost saved", "stockout", "binds"):
        table.add_column(column, justify="left" if column in ("sku", "at", "from", "binds") else "right")
    ordered = plan.table.filter(pl.col("order_quantity") > 0).sort(saving, descending=True).head(_SHOWN_ORDERS)
    for row in ordered.with_columns(saved=saving).iter_rows(named=True):
        table.add_row(
            row["sku"],
            row["location"],
            row["supplier"],
            f"{row['order_quantity']:g}",
            f"{row['order_up_to_level']:g}",
            f"{row['saved']:,.2f}",
            f"{row['stockout_probability']:.1%}",
            row["binding"].replace("_", " "),
        )
    output.print(table)


def _fill_ledger(settings: Settings) -> None:
    """Post the company into the stock ledger and prove that it balances."""
    from restock.cli.ledger import post_demo_ledger, verify_ledger_of

    posted = post_demo_ledger(settings)
    verified = verify_ledger_of(settings)
    output.print(
        f"{posted.n_posted:,} movements posted, {posted.n_known:,} were there; {verified.n_movements:,} sum to zero, "
        f"{verified.n_balances:,} balances are what their lines add up to",
        highlight=False,
    )


def _issue_token(settings: Settings) -> str:
    """Return a fresh token that may read forecasts, stock and the catalogue; the demo's earlier one is revoked."""
    from restock.adapters.storage import write_text
    from restock.operations.access import Role
    from restock.operations.identity.issuing import issue_token

    token = issue_token(settings, _TOKEN_NAME, role=Role.SERVICE, scopes=_DEMO_SCOPES)
    settings.secrets_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_text(settings.secrets_dir / "demo.token", token + "\n", mode=0o600)
    return token


def _pick_series(data_dir: Path) -> tuple[str, str]:
    """Return a series that sells every day, so that the chart shows a season: the best-selling one."""
    best = (
        pl.scan_parquet(data_dir / "validated" / "sales.parquet")
        .group_by("sku", "location")
        .agg(pl.col("units_sold").sum())
        .sort("units_sold", "sku", "location", descending=[True, False, False])
        .head(1)
        .collect()
    )
    return str(best["sku"][0]), str(best["location"][0])


def _fetch_and_draw(settings: Settings, params: Params, *, token: str, sku: str, location: str) -> None:
    """Fetch one forecast over HTTP and draw it after the history."""
    from restock.adapters.plots import terminal_chart

    reply = _post(
        f"{_address(settings)}/forecast",
        {"sku": sku, "location": location, "horizon": params.forecasting.horizon, "quantiles": [0.1, 0.5, 0.9]},
        token=token,
    )
    cutoff = date.fromisoformat(reply["cutoff"])
    history = (
        pl.scan_parquet(settings.data_dir / "validated" / "sales.parquet")
        .filter(pl.col("sku") == sku, pl.col("location") == location)
        .filter(pl.col("date") > cutoff - timedelta(days=_CHART_HISTORY_PERIODS))
        .sort("date")
        .collect()["units_sold"]
        .to_list()
    )
    periods = reply["periods"]
    chart = terminal_chart(
        history,
        [
            [value for _, value in sorted(period["quantile_units"].items(), key=lambda pair: float(pair[0]))]
            for period in periods
        ],
        title=f"{sku} at {location}: units per day, {len(history)} days sold, then the forecast (median, 80 % band)",
    )
    output.print(chart, highlight=False, markup=False)
    model = reply["model"]
    output.print(f"made by {model['version']} ({model['family']}), cutoff {cutoff}", highlight=False)


def _post(url: str, body: dict[str, Any], *, token: str) -> dict[str, Any]:
    """Return the JSON reply to a POST on loopback."""
    request = urllib.request.Request(  # noqa: S310  (our own loopback address)
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            answer: dict[str, Any] = json.load(reply)
            return answer
    except urllib.error.HTTPError as error:
        raise RestockError(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from error


def _print_seconds(seconds: dict[str, float], *, total: float) -> None:
    """Print the seconds of every stage and the peak memory of the largest process."""
    table = Table(title="Seconds per stage", title_justify="left")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for stage, taken in seconds.items():
        table.add_row(stage, f"{taken:.1f}")
    table.add_row("all", f"{total:.1f}", style="bold")
    output.print(table)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    kilobytes = peak / 1024 if sys.platform == "darwin" else peak
    output.print(f"peak memory of the largest process: {kilobytes / 1024:.0f} MB", highlight=False)


def _address(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.forecast_port}"


def _print_next_steps(settings: Settings, *, folder: Path, sku: str, location: str, stays: bool) -> None:
    """Print the addresses and three commands to try next."""
    address, planning = _address(settings), service_url(settings, ServiceName.PLANNING)
    body = json.dumps({"sku": sku, "location": location, "horizon": 7})
    token_file = folder / "secrets" / "demo.token"
    lines = [
        f"forecasts {address}   API description {address}/docs   health {address}/readyz",
        f"planning  {planning}   API description {planning}/docs   health {planning}/readyz",
        f"report    {folder}/data/reports/evaluation/report.html",
        "",
        "Try next:",
        (
            f'  curl -s {address}/forecast -H "Authorization: Bearer $(cat {token_file})" '
            f"-H 'Content-Type: application/json' -d '{body}'"
        ),
        f'  curl -s "{planning}/api/v1/products/{sku}/page" -H "Authorization: Bearer $(cat {token_file})"',
        f"  RESTOCK_WORKSPACE={folder} .venv/bin/restock explain {sku} {location} --horizon 7",
        f"  RESTOCK_WORKSPACE={folder} .venv/bin/restock replenish explain {sku} {location}",
        f"  RESTOCK_WORKSPACE={folder} .venv/bin/restock ledger verify",
        f"  RESTOCK_WORKSPACE={folder} .venv/bin/restock models",
        f"  .venv/bin/mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db   # compare the runs",
        "",
    ]
    lines.append("The services keep running; stop them with: make down" if stays else "The services are stopped now.")
    output.print("\n".join(lines), highlight=False, markup=False)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("demo")(run_demo)
