"""# Train and compare demand forecasters

An Airflow DAG over the stages of `dvc.yaml`: validated tables, features, one training per family, and the evaluation
that names the best as the candidate. It runs whenever data were ingested (asset `validated_data`), whenever monitoring
asks for it (`retrain_demand_forecasting`), and by hand.

Each run has a workspace of its own, `.runs/<run>`, with the form's params: runs side by side don't disturb one another,
and nothing in the checkout changes. A stage that any run has done before with the same data, params and code is taken
from DVC's cache. Every family is a run in MLflow (experiment `demand_forecasting`), tagged with this Airflow run.

## The form

| field | meaning |
|---|---|
| Horizon | Periods to forecast. |
| Families | Which to train. `seasonal_naive` always is: the others are measured against it. |
| Cutoffs | Back-test windows. More make the comparison surer and the run longer. |
| Tuning trials | Trials of a hyper-parameter search of each chosen family before it is trained; 0 is none. Better values go into the run's own params, not into the checkout's. |
| More params | Any param of `params.yaml`, such as `families.xgboost.n_rounds=300`; its comments and `restock params` list them. |

Nothing is served by a training: promote its candidate with `promote_model`.

## When it fails

- `prepare`: a value of the form is out of bounds (the message names the param), or nothing was ingested yet.
- `validate`, `refresh_history`: see `ingest_sales`. The latter keeps up the history that the services forecast from.
- `tune`: too little history before the back-test for three more windows is the usual reason; ask for fewer Cutoffs, or
  for 0 trials. A try after one that was cut off goes on with the trials that it had.
- A `train.<family>`: the line that begins with `error:` says why. Too little history for the horizon and the number of
  cutoffs is the usual one; ask for a shorter Horizon or fewer Cutoffs. A run that was killed for memory ends with exit code -9: train fewer rows
  (`forecasting.training_rows`).
- To run a stage by hand as Airflow does: `cd .runs/<run> && dvc repro --single-item <stage>`.
"""

from restock.orchestration.dags import CANDIDATE, RETRAIN_REQUEST, VALIDATED_DATA, Tag, restock_dag
from restock.orchestration.forms import training_form
from restock.orchestration.tasks import training_tasks

with restock_dag(
    "train_demand_forecasting",
    doc=__doc__,
    tags=[Tag.TRAINING, "demand_forecasting"],
    schedule=VALIDATED_DATA | RETRAIN_REQUEST,
    params=training_form(),
    max_active_runs=2,
):
    training_tasks(final="evaluate", outlets=[CANDIDATE])
