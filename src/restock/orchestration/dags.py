"""What every DAG of ours has in common: owner, retries, tags, its documentation, and the assets that connect them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow.sdk import DAG, Asset, Context, CronDataIntervalTimetable, Param

_OWNER = "restock"
# A crash or a full disk may pass; a refusal is not tried again (see `commands`).
_RETRIES, _RETRY_DELAY = 2, timedelta(seconds=30)
_LONGEST_TASK = timedelta(hours=6)
# Before this day no DAG has anything to do; Airflow wants one for schedules and backfills.
_START = datetime(2015, 1, 1, tzinfo=UTC)

# A new state of data/validated.
VALIDATED_DATA = Asset(name="validated_data", uri="restock://data/validated")
# Somebody asks for training anew.
RETRAIN_REQUEST = Asset(name="retrain_demand_forecasting", uri="restock://requests/demand_forecasting")
# A candidate was evaluated and waits for promotion.
CANDIDATE = Asset(name="candidate_demand_forecasting", uri="restock://candidates/demand_forecasting")
# Another version is served.
SERVED_MODEL = Asset(name="served_models", uri="restock://models")
# The forecast of a day was kept.
DAILY_FORECAST = Asset(name="daily_forecast", uri="restock://data/forecasts/demand_forecasting")
# The plan of a day was kept.
DAILY_PLAN = Asset(name="daily_plan", uri="restock://data/plans")
# A policy was tuned and waits for promotion.
POLICY_CANDIDATE = Asset(name="candidate_optimization", uri="restock://candidates/optimization")
# What an asset's update says of itself: the day it is about.
DAY_EXTRA = "as_of"


class Tag(StrEnum):
    """What a DAG is about, to filter by."""

    DATA = "data"
    TRAINING = "training"
    MODELS = "models"
    DAILY = "daily"
    MONITORING = "monitoring"


def restock_dag(
    dag_id: str,
    *,
    doc: str | None,
    tags: Sequence[str],
    schedule: Any = None,
    params: dict[str, Param] | None = None,
    max_active_runs: int = 1,
    is_paused_at_first: bool = False,
) -> DAG:
    """Return a DAG with our defaults; use it with `with`.

    Args:
        dag_id: its name.
        doc: its documentation, Markdown; a DAG file gives its own docstring.
        tags: members of `Tag`, and model types.
        schedule: as Airflow takes it; None is by hand.
        params: the form.
        max_active_runs: how many of its runs may be under way together.
        is_paused_at_first: whether somebody has to switch it on: right for what runs by the clock, as on a fresh
            installation there is nothing to do every day.
    """
    summary = next(line.strip("# ").strip() for line in (doc or dag_id).splitlines() if line.strip())
    return DAG(
        dag_id=dag_id,
        description=summary,
        doc_md=doc,
        tags=[str(tag) for tag in tags],
        schedule=schedule,
        start_date=_START,
        catchup=False,
        max_active_runs=max_active_runs,
        is_paused_upon_creation=is_paused_at_first,
        params=params or {},
        default_args={
            "owner": _OWNER,
            "retries": _RETRIES,
            "retry_delay": _RETRY_DELAY,
            "execution_timeout": _LONGEST_TASK,
        },
    )


def after_each_day(*, hour: int) -> CronDataIntervalTimetable:
    """Return the schedule of a DAG that works for one day once it is over: its run carries that day as its own.

    Args:
        hour: hour of the next day, UTC, 0-23.
    """
    return CronDataIntervalTimetable(f"0 {hour} * * *", timezone="UTC")


def day_of(context: Context) -> date:
    """Return the day a run is about: the form's, else that of what started it or of its data interval, else yesterday.

    Where several updates of an asset started one run, it is about the latest day. A run by hand has no interval;
    yesterday is the last day that is over.
    """
    asked = context["params"].get("as_of")
    if asked:
        return date.fromisoformat(asked)
    told = [
        str(event.extra[DAY_EXTRA])
        for events in (context.get("triggering_asset_events") or {}).values()
        for event in events
        if DAY_EXTRA in (event.extra or {})
    ]
    if told:
        return max(date.fromisoformat(day) for day in told)
    start = context.get("data_interval_start")
    if start is not None and context.get("data_interval_end") != start:
        begun: date = start.date()
        return begun
    run_after: datetime = context["dag_run"].run_after
    return run_after.astimezone(UTC).date() - timedelta(days=1)


def who_triggered(context: Context) -> str:
    """Return who started a run, for the record of who promoted what."""
    user = getattr(context["dag_run"], "triggering_user_name", None)
    return f"{user} (Airflow)" if user else "Airflow"
