"""Run DAGs one after the other with `dag.test()` and print the state of every task, as JSON, one line a run.

Arguments: the folder of DAG files, then pairs of a DAG id and its form as JSON.
"""

import json
import sys

if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(sys.argv[1])
    for dag_id, form in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
        run = bag.dags[dag_id].test(run_conf=json.loads(form))
        tasks = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
        result = {"dag": dag_id, "run": run.run_id, "state": str(run.state), "tasks": tasks}
        sys.stdout.write(f"RESULT {json.dumps(result)}\n")
