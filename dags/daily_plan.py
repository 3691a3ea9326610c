"""# Plan the orders of every day

An Airflow DAG, after each forecast that `daily_forecast` keeps, once it is switched on: plans what to order of every
article for every location at least expected cost, keeps the plan in `data/plans/as_of=<day>/`, stores it in the ledger
and drafts a purchase order per supplier and location. Nothing is sent: a person looks at the drafts and sends them.

The same day again replaces its plan where anything changed, and drafts no order twice; a draft that was cancelled is
drafted anew. What a planner decided otherwise is ordered in place of the plan. Lines that could not be planned are in
`skipped.parquet`, with the reason.

## The form

| field | meaning |
|---|---|
| Day | The day at whose end orders are placed. Empty: the day of the forecast that started the run; for a run by hand, yesterday. |

## When it fails

- "table supply_terms has no rows": nobody said who delivers what to where. Ingest supply terms with `ingest_sales`.
- "nothing can be planned": the log names why; most often no stock is known as of that day.
- "limits contradict each other": budget, room, transport and service floors can't all be kept. Change
  `params.yaml: replenishment`.
- "the ledger's database has no tables": `restock ledger migrate`, or start the planning service once. The plan itself is
  kept by then.
- A supplier or a sku that is not in the catalogue: add it, then run the day again.
"""

from restock.orchestration.dags import DAILY_FORECAST, DAILY_PLAN, Tag, restock_dag
from restock.orchestration.forms import as_of_form
from restock.orchestration.tasks import plan_task

with restock_dag(
    "daily_plan",
    doc=__doc__,
    tags=[Tag.DAILY, "optimization"],
    schedule=DAILY_FORECAST,
    params=as_of_form(),
    is_paused_at_first=True,
):
    plan_task(outlets=[DAILY_PLAN])
