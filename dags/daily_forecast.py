"""# Keep the forecast of every day

An Airflow DAG, once a day just after midnight UTC, once it is switched on: forecasts every stored series with the served version, as known at
the end of the day, and keeps it in `data/forecasts/demand_forecasting/as_of=<day>/` (table `quantile_forecast`),
with totals by region, category and location that add up (`total_forecast`).

A day's partition holds nothing that was learned after it: neither sales nor a model trained on later ones. So days may
be filled in later, in any order and again; the same day, data and versions give the same table:

    airflow backfill create --dag-id daily_forecast --from-date 2025-05-01 --to-date 2025-05-14

## The form

| field | meaning |
|---|---|
| Day | The day to forecast as of. Empty: the run's own day; for a run by hand, yesterday. |

## When it fails

- "no promoted version may forecast as of …": every version was trained on data after that day. Choose a later day.
- "stored sales end on …": no fresh sales have come. Look at `ingest_sales`, then run the day again.
- "sales.parquet is missing": nothing was validated in this workspace yet. Run `ingest_sales` or `restock validate --refresh`.
- Exit code 5: the served version's files are not what was promoted; see `rollback_model`.
"""

from restock.orchestration.dags import DAILY_FORECAST, Tag, after_each_day, restock_dag
from restock.orchestration.forms import as_of_form
from restock.orchestration.tasks import forecast_task

with restock_dag(
    "daily_forecast",
    doc=__doc__,
    tags=[Tag.DAILY, "demand_forecasting"],
    schedule=after_each_day(hour=0),
    params=as_of_form(),
    is_paused_at_first=True,
):
    forecast_task(outlets=[DAILY_FORECAST])
