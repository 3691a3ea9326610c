"""# Promote a candidate

An Airflow DAG run by hand: asks the gate and, where it lets the candidate of a training run pass, makes it the next
version under `models/<model type>/` and serves it. Running services follow within seconds, without a failed request;
MLflow's aliases `champion` and `previous` follow too.

## The form

| field | meaning |
|---|---|
| Model type | Folder under `models/`. |
| Reason | Why; kept with the version for ever, with your Airflow user name. |
| Training run | Folder under `.runs/` whose candidate to promote; `latest`: the last one that was evaluated. |
| Family | Empty: the best, as the evaluation found. |
| Override the gate | Leave empty. A text serves a candidate that the gate refuses, and stays in its record. |

## When it fails

- There is no such run, or none was evaluated yet: trigger `train_demand_forecasting` and look at its result first.
- Exit code 4: the gate refused. The log gives every condition with its figures; what is served stays. The candidate is
  MLflow's `challenger`. Train on newer data, or with other params, and try again.
- Exit code 5: the new version's files or forecasts are not what was trained; it is not served. Look at the disk.
- Anything else may be repeated: an interrupted promotion is tidied up and finished by the next one.

A version that turns out worse is taken back with `rollback_model`.
"""

from restock.orchestration.dags import SERVED_MODEL, Tag, restock_dag
from restock.orchestration.forms import promotion_form
from restock.orchestration.tasks import promote_task

with restock_dag("promote_model", doc=__doc__, tags=[Tag.MODELS], params=promotion_form()):
    promote_task(outlets=[SERVED_MODEL])
