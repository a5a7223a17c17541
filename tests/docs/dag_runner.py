"""A program with an Airflow of its own that runs DAG files as they come: a path a line in, a JSON object a line out.

A process for itself, since Airflow's database is bound to it when it is imported. What Airflow prints goes to stderr.
"""

import json
import os
import sys
from typing import Any

# stdout is the channel: what anybody else prints must not come into it
_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def _boot() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - boots Airflow
    from airflow.utils.db import initdb  # noqa: PLC0415

    initdb()
    DagBundlesManager().sync_bundles_to_db()


def run(path: str) -> dict[str, Any]:
    """Load a file as the DAG processor does, and run each of its DAGs to its end."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415

    bag = DagBag(path, bundle_name="dags-folder")
    if bag.import_errors:
        return {"errors": bag.import_errors, "dags": {}}
    sync_bag_to_db(bag, "dags-folder", None)
    dags = {}
    for dag in bag.dags.values():
        done = dag.test()
        tasks = {f"{ti.task_id}[{ti.map_index}]": ti.state for ti in done.get_task_instances()}
        dags[dag.dag_id] = {"state": done.state, "tasks": tasks}
    return {"errors": {}, "dags": dags}


if __name__ == "__main__":
    _boot()
    for line in sys.stdin:
        print(json.dumps(run(line.strip())), file=_ANSWERS, flush=True)
