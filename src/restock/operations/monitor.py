"""Watch the served forecaster: judge its inputs and its past forecasts as of a day, keep the report, raise alerts.

data/reports/monitoring/as_of=YYYY-MM-DD/monitoring.json   every figure, its limit and the verdict
data/alerts/as_of=YYYY-MM-DD.parquet                       table alerts; empty where nothing is breached
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from restock.adapters.registry import ModelType
from restock.adapters.storage import read_json, write_json, write_table
from restock.errors import NotFoundError
from restock.forecasting.censoring import mask_censored
from restock.forecasting.monitoring import (
    BAND,
    Finding,
    asks_for_retraining,
    judge_inputs,
    judge_outcomes,
    judge_staleness,
)
from restock.forecasting.panel import DemandPanel
from restock.operations.daily_forecast import (
    FORECAST_FILE,
    choose_version,
    list_partitions,
    read_description,
)
from restock.operations.known_tables import panel_as_of, read_known_tables
from restock.operations.served_model import load_served_model
from restock.params import Params
from restock.settings import Settings
from restock.tables import ALERTS

logger = logging.getLogger(__name__)

_TYPE = ModelType.DEMAND_FORECASTING
REPORT_FILE = "monitoring.json"
# A breach is worth a look; what it costs is not known here.
_SEVERITY = "warning"


@dataclass(frozen=True, kw_only=True)
class MonitoringReport:
    """What watching a forecaster found.

    Attributes:
        as_of: the day it was judged.
        version: the model version.
        findings: every figure.
        requests_retraining: whether training anew is asked for.
        is_latest: whether no later day was judged before.
        path: the report's file.
    """

    as_of: date
    version: str
    findings: tuple[Finding, ...]
    requests_retraining: bool
    is_latest: bool
    path: Path

    @property
    def breached(self) -> tuple[Finding, ...]:
        """The figures beyond their limit."""
        return tuple(finding for finding in self.findings if finding.is_breached)

    def to_json(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {
            "as_of": self.as_of.isoformat(),
            "model_version": self.version,
            "findings": [finding.to_json() for finding in self.findings],
            "breached": [f"{finding.kind}: {finding.subject}" for finding in self.breached],
            "requests_retraining": self.requests_retraining,
            "is_latest": self.is_latest,
            "report": str(self.path),
        }


def report_file(data_dir: Path, as_of: date) -> Path:
    """Return the file of a day's report, whether or not it exists."""
    return data_dir / "reports" / "monitoring" / f"as_of={as_of.isoformat()}" / REPORT_FILE


def alerts_file(data_dir: Path, as_of: date) -> Path:
    """Return the file of a day's alerts, whether or not it exists."""
    return data_dir / "alerts" / f"as_of={as_of.isoformat()}.parquet"


def monitor_forecaster(settings: Settings, params: Params, *, as_of: date) -> MonitoringReport:
    """Judge the forecaster as of a day, write report and alerts, and return the report; again gives the same.

    Args:
        settings: workspace with validated data, promoted versions and daily forecasts.
        params: monitoring, and features.max_stockout_share.
        as_of: the day; nothing after it is read.

    Raises:
        NotFoundError: nothing is validated or promoted, or no version may be judged as of that day.
        DataError: there are no sales up to that day.
    """
    version = choose_version(settings.models_dir, as_of=as_of)
    model = load_served_model(settings.models_dir, _TYPE, version)
    panel = panel_as_of(read_known_tables(settings.data_dir), model, as_of=as_of)
    trained = min(max(panel.index_of(model.training_cutoff) + 1, 1), panel.observed_periods)
    first = as_of - timedelta(days=params.monitoring.window_periods * panel.frequency.days)
    demand = _demand(panel, first=first, max_stockout_share=params.features.max_stockout_share)
    outcomes = read_outcomes(settings.data_dir, demand, model_version=model.version, first=first, as_of=as_of)
    findings = [
        judge_staleness(panel, as_of=as_of, params=params.monitoring),
        *judge_inputs(panel, trained_periods=trained, params=params.monitoring),
        *judge_outcomes(outcomes, params=params.monitoring),
    ]
    earlier = _earlier_requests(settings.data_dir, as_of, days=params.monitoring.retrain_cooldown_days)
    report = MonitoringReport(
        as_of=as_of,
        version=model.version,
        findings=tuple(findings),
        requests_retraining=asks_for_retraining(findings, earlier_requests=earlier, model_version=model.version),
        is_latest=not _has_later_report(settings.data_dir, as_of),
        path=report_file(settings.data_dir, as_of),
    )
    write_table(_alerts(report), ALERTS, alerts_file(settings.data_dir, as_of))
    write_json(report.path, report.to_json() | {"orchestration_run": settings.orchestration_run})
    for finding in report.breached:
        logger.warning("%s as of %s: %s of %s: %s", model.version, as_of, finding.kind, finding.subject, finding.detail)
    return report


def read_outcomes(
    data_dir: Path, demand: pl.DataFrame, *, model_version: str, first: date, as_of: date
) -> pl.DataFrame:
    """Return a version's forecasts made before `as_of` of periods that have passed since, beside sales in stock.

    Args:
        data_dir: the workspace's data.
        demand: columns sku, location, date and demand_units, no row where it is unknown.
        model_version: whose forecasts; a new version does not answer for the one before it.
        first: forecasts made earlier are left out.
        as_of: forecasts made on it or later are left out.
    """
    columns = {"sku": pl.String, "location": pl.String, "date": pl.Date}
    figures = ("low_units", "high_units", "mean_units", "demand_units")
    empty = pl.DataFrame(schema=columns | dict.fromkeys(figures, pl.Float64) | {"cutoff": pl.Date})
    parts = []
    low, high = BAND
    for day, folder in list_partitions(data_dir).items():
        if not first <= day < as_of or read_description(folder)["model_version"] != model_version:
            continue
        forecast = pl.scan_parquet(folder / FORECAST_FILE).filter(
            pl.col("date") <= as_of, pl.col("quantile").is_in([low, high])
        )
        wide = forecast.group_by("sku", "location", "date", "cutoff").agg(
            low_units=pl.col("demand_units").filter(pl.col("quantile") == low).first(),
            high_units=pl.col("demand_units").filter(pl.col("quantile") == high).first(),
            mean_units=pl.col("mean_demand_units").first(),
        )
        parts.append(wide.collect())
    if not parts:
        return empty
    known = pl.concat(parts).join(demand, on=["sku", "location", "date"], how="inner")
    return (
        known.filter(pl.col("date") > pl.col("cutoff")).select(empty.columns).sort("sku", "location", "date", "cutoff")
    )


def _demand(panel: DemandPanel, *, first: date, max_stockout_share: float) -> pl.DataFrame:
    """Return the demand of every period from `first` on that was in stock, as rows."""
    skipped = max(0, (first - panel.start).days // panel.frequency.days)
    units = mask_censored(panel, max_stockout_share=max_stockout_share)[:, skipped:]
    rows, columns = np.nonzero(~np.isnan(units))
    dates = np.array([panel.date_of(index) for index in range(skipped, panel.observed_periods)], dtype="datetime64[D]")
    keys = panel.series.select("sku", "location")[rows]
    return keys.with_columns(
        date=pl.Series(dates[columns]), demand_units=pl.Series(units[rows, columns].astype(np.float64))
    )


def _earlier_requests(data_dir: Path, as_of: date, *, days: int) -> dict[str, str]:
    """Return day and model version of the requests for retraining in the days before."""
    found = {}
    for before in range(1, days + 1):
        day = as_of - timedelta(days=before)
        try:
            report = read_json(report_file(data_dir, day))
        except NotFoundError:
            continue
        if report["requests_retraining"]:
            found[day.isoformat()] = str(report["model_version"])
    return found


def _has_later_report(data_dir: Path, as_of: date) -> bool:
    """Return whether a later day was judged already."""
    days = (path.parent.name.removeprefix("as_of=") for path in report_file(data_dir, as_of).parent.parent.glob("*/*"))
    return any(day > as_of.isoformat() for day in days)


def _alerts(report: MonitoringReport) -> pl.DataFrame:
    """Return one alert a breached figure; the same breach of the same day has the same identifier."""
    raised = datetime.combine(report.as_of, time.max, tzinfo=UTC).replace(microsecond=0)
    rows = [
        {
            "alert": hashlib.sha256(
                f"{report.as_of} {report.version} {finding.kind} {finding.subject}".encode()
            ).hexdigest()[:16],
            "raised_at_utc": raised,
            "kind": f"forecast_{finding.kind}",
            "severity": _SEVERITY,
            "sku": None,
            "location": None,
            "evidence": json.dumps(finding.to_json() | {"model_version": report.version}, sort_keys=True),
            "repair": json.dumps(
                {"action": "ingest" if finding.kind == "staleness" else "retrain", "model_type": _TYPE.value}
            ),
            "state": "open",
        }
        for finding in report.breached
    ]
    return ALERTS.conform(pl.DataFrame(rows, schema=ALERTS.polars_schema))
