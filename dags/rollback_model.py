"""# Serve an earlier version again

An Airflow DAG run by hand: replaces `models/<model type>/current.json` so that an earlier version is served. Running
services follow within seconds, without a failed request. No version is ever deleted.

## The form

| field | meaning |
|---|---|
| Model type | Folder under `models/`. |
| Reason | Why the served version is taken back; kept for ever, with your Airflow user name. |
| Version | Number of the version to serve again. Empty: the one served before. |

## When it fails

- There is no earlier version, or none with that number: `restock models` lists them all.
- Exit code 5: the earlier version's files are not what was promoted; what is served stays. Take the folder back from
  DVC or a backup, or choose another version.
"""

from restock.orchestration.dags import SERVED_MODEL, Tag, restock_dag
from restock.orchestration.forms import rollback_form
from restock.orchestration.tasks import rollback_task

with restock_dag("rollback_model", doc=__doc__, tags=[Tag.MODELS], params=rollback_form()):
    rollback_task(outlets=[SERVED_MODEL])
