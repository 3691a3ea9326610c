"""# Watch the served forecaster

An Airflow DAG, once a day after `daily_forecast`, once it is switched on: compares

- how old the sales are,
- the inputs since the training with those before it (population stability index of sales, prices, promotions and
  stockouts),
- the forecasts of the last days with what happened: coverage of the 80 % interval, and bias,

each against its limit in `params.yaml`, section `monitoring`. The figures go into
`data/reports/monitoring/as_of=<day>/monitoring.json`, every breach into the alerts (`data/alerts/`). On a breach it asks
for training anew (asset `retrain_demand_forecasting`), once per version within `monitoring.retrain_cooldown_days`.
Promotion stays with a person.

## The form

| field | meaning |
|---|---|
| Day | The day to judge as of. Empty: the run's own day; for a run by hand, yesterday. |

## When it fails

- See `daily_forecast`: it needs a version that was not trained on later data, and validated sales.
- It succeeds with an alert `forecast_staleness` where sales have stopped coming: look at `ingest_sales`.
- Figures read "needed": too few periods since the training, or too few kept forecasts; let `daily_forecast` run, or
  backfill it.
- `request_retraining` is skipped: nothing is breached, or it was asked for lately. That is the normal state.
"""

from restock.orchestration.dags import RETRAIN_REQUEST, Tag, after_each_day, restock_dag
from restock.orchestration.forms import as_of_form
from restock.orchestration.tasks import monitor_task, request_retraining_task

with restock_dag(
    "monitor_forecast",
    doc=__doc__,
    tags=[Tag.MONITORING, "demand_forecasting"],
    schedule=after_each_day(hour=1),
    params=as_of_form(),
    is_paused_at_first=True,
):
    request_retraining_task(monitor_task(), outlets=[RETRAIN_REQUEST])
