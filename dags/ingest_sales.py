"""# Ingest a source as a batch

Reads files, a folder, a database or the demo company, checks every row against the data contract, keeps it as a batch,
and puts all batches together. An Airflow DAG run by hand; a success starts the training (asset `validated_data`).

## The form

| field | meaning |
|---|---|
| Source | What to ingest, as `restock ingest` takes it: a file, a folder, a URL (`s3://…`), or `demo`. Paths are relative to the workspace. For a database `env:NAME`: the variable of Airflow's environment that holds its SQLAlchemy URL. |
| Query | For a database: the SELECT whose rows are the table below. |
| Mapping | A YAML file that says which of the source's columns is which of ours, how dates and numbers are written. |
| Table | What the files hold, where their names don't tell. |
| Format | The layout, where the names don't tell. |

The same content again changes nothing, so a run may be repeated at any time.

## When it fails

- `ingest` ends with exit code 3: the batch was refused, and the data in use stay as they were. The log's last lines say
  which rule most rows broke and how to mend it; the report it names (`data/reports/ingest/<batch>/report.html`) lists
  every rule, `data/rejected/<batch>` every row. It is not tried again: the same file would be refused again.
- Exit code 2: the source or the mapping can't be read; the message names file, line and column.
- `validate` ends with exit code 3: the batches together break a rule, such as two batches that contradict each other.
  `data/validated` stays as it was; see `data/reports/validation/report.html`.
"""

from restock.orchestration.dags import VALIDATED_DATA, Tag, restock_dag
from restock.orchestration.forms import ingest_form
from restock.orchestration.tasks import ingest_task, validate_task

with restock_dag("ingest_sales", doc=__doc__, tags=[Tag.DATA], params=ingest_form()):
    ingest_task() >> validate_task(outlets=[VALIDATED_DATA])
