"""# Tune the planner's policy

An Airflow DAG over stage `optimize` of `dvc.yaml`: after each training that named a candidate, rules for ordering trade
again in that training's back-test. The planner's policy is tuned on the earlier windows and judged by money on the later
ones, beside the classical rules. Its result is in MLflow (experiment `optimization`).

It works in the training run's own workspace, `.runs/<run>`, on its data and params. Where the workspace has no supply
terms there is nothing to tune: the run succeeds and says so. Nothing is served: promote the policy with `promote_model`,
model type `optimization`.

## The form

| field | meaning |
|---|---|
| Training run | Folder under `.runs/` in whose back-test to trade; `latest`: the last one that was evaluated. |

## When it fails

- There is no such run, or none was evaluated yet: trigger `train_demand_forecasting`.
- Too few windows: ask that training for more Cutoffs. With fewer than four, tuning and judging share theirs, and the
  figures say so.
- A run that was killed for memory ends with exit code -9: fewer `replenishment.simulated_paths`.
- By hand: `cd .runs/<run> && dvc repro --single-item optimize`.
"""

from restock.orchestration.dags import CANDIDATE, POLICY_CANDIDATE, Tag, restock_dag
from restock.orchestration.forms import training_run_form
from restock.orchestration.tasks import optimize_task

with restock_dag(
    "optimize_replenishment",
    doc=__doc__,
    tags=[Tag.TRAINING, "optimization"],
    schedule=CANDIDATE,
    params=training_run_form(),
):
    optimize_task(outlets=[POLICY_CANDIDATE])
