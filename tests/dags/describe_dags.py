"""Print what Airflow reads of the DAG files, as JSON; a process of its own: Airflow configures itself on import."""

import json
import sys


def describe(dag):
    return {
        "description": dag.description,
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "schedule": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "params": {
            name: {"title": param.schema["title"], "description": param.description}
            for name, param in dag.params.items()
        },
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "upstream": sorted(task.upstream_task_ids),
                "outlets": sorted(outlet.name for outlet in task.outlets),
                "has_timeout": task.execution_timeout is not None,
            }
            for task in dag.tasks
        },
    }


if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(sys.argv[1])
    dags = {dag.dag_id: describe(dag) for dag in bag.dags.values()}
    sys.stdout.write(json.dumps({"errors": bag.import_errors, "dags": dags}) + "\n")
