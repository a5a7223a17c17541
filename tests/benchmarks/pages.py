"""How long the Meetings pages' questions take with 10,000 meetings in Airflow's database, on SQLite and on PostgreSQL.

The meetings lie among what other DAGs have left: several hundred thousand task instances and XComs. Each database is
asked in a process of its own, through the application and a login as in Airflow, without the network between them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import timedelta
from pathlib import Path

from bench import print_table, verdict

ROOT = Path(__file__).resolve().parents[2]
MEETINGS = int(os.environ.get("MEETINGS", "10000"))
OTHERS = int(os.environ.get("OTHERS", "300000"))
ROUNDS = 7
DATABASES = ("SQLite", "PostgreSQL")
LIMIT = 1.0


def main() -> int:
    """Fill and ask each database; print a table."""
    rows = []
    for database in DATABASES:
        for shape in ("one each", "sets"):
            rows += measure(database, shape)
    print_table(
        f"The pages' questions over {MEETINGS:,} meetings among {OTHERS:,} other task instances (median of {ROUNDS})",
        ("database", "records", "question", "answer", "bytes", "queries"),
        [(*row[:3], f"{row[3] * 1000:.0f} ms", f"{row[4]:,}", str(row[5])) for row in rows],
    )
    slowest = max(rows, key=lambda row: row[3])
    print(f"slowest answer: {slowest[3]:.2f} s, {verdict(slowest[3], LIMIT, f'{LIMIT:g} s')}")
    return 0


def measure(database: str, shape: str) -> list[tuple]:
    """Fill a database of one's own and ask it."""
    sys.path.insert(0, str(ROOT))
    from demo.postgres import start_postgres  # noqa: PLC0415 - not before the path
    from demo.processes import Processes  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="meetings-pages-"))
    with Processes(folder) as processes:
        more = start_postgres(processes, folder) if database == "PostgreSQL" else {}
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")} | more
        env |= {"AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONPATH": str(ROOT)}
        env |= {"AIRFLOW__API_AUTH__JWT_SECRET": "s3cret" * 16}
        env |= {"AIRFLOW__CORE__AUTH_MANAGER": "tests.support.dag_rights.DagRights"}
        done = subprocess.run(
            [sys.executable, __file__, "--ask", shape], env=env, stdout=subprocess.PIPE, text=True, check=True
        )
        return [(database, shape, *row) for row in json.loads(done.stdout.splitlines()[-1])]


def ask(shape: str) -> None:
    """Fill the database that the environment names, ask it, and print the figures."""
    from airflow import settings  # noqa: PLC0415 - its home stands in the environment
    from airflow.api_fastapi import app as airflow_app  # noqa: PLC0415
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: PLC0415
    from airflow.models import import_all_models  # noqa: PLC0415
    from airflow.models.base import Base  # noqa: PLC0415
    from fastapi import FastAPI  # noqa: PLC0415
    from fastapi.testclient import TestClient  # noqa: PLC0415
    from sqlalchemy import event, text  # noqa: PLC0415

    from airflow_provider_meetings.ui.app import create_app  # noqa: PLC0415
    from tests.support.ui import DAY, Database  # noqa: PLC0415

    import_all_models()
    Base.metadata.create_all(settings.engine)
    database = Database(settings.engine)
    fill(database, shape)
    with settings.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    root = FastAPI()
    airflow_app.init_auth_manager(root)
    root.mount("/meetings", create_app())
    client = TestClient(root)
    user = SimpleAuthManagerUser(username="admin", role="admin")
    client.cookies.set("_token", airflow_app.get_auth_manager().generate_jwt(user))
    statements = []
    event.listen(settings.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    now = round(database.now.timestamp() * 1000)
    questions = {
        "two weeks": f"/meetings/api/meetings?start={now}&end={now + 14 * DAY}",
        "two weeks, a text": f"/meetings/api/meetings?start={now}&end={now + 14 * DAY}&text=lovelace",
        "attention": "/meetings/api/attention",
        "a run": "/meetings/api/dags/meetings0/runs/run0",
    }
    figures = []
    for name, url in questions.items():
        times = []
        for _ in range(ROUNDS):
            statements.clear()
            begun = time.perf_counter()
            answer = client.get(url)
            times.append(time.perf_counter() - begun)
            assert answer.status_code == 200, answer.text
        figures.append((name, statistics.median(times), len(answer.content), len(statements)))
    print(json.dumps(figures))


def fill(database, shape: str) -> None:
    """Have ten DAGs with meetings, in runs of a month, and what other DAGs have left meanwhile."""
    from airflow.models.dagrun import DagRun  # noqa: PLC0415
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415

    others = OTHERS // 3000
    for dag_id in [*(f"other{number}" for number in range(others)), *(f"meetings{number}" for number in range(10))]:
        database.dag(dag_id)
    runs, tasks, xcoms = [], [], []
    for key, (dag_id, number, instances) in enumerate(runs_of(database, shape, others), start=1):
        run, own = rows_of(database, key, dag_id, number, instances)
        runs.append(run)
        tasks += [task for task, _ in own]
        xcoms += [xcom for _, xcom in own]
    for model, rows in ((DagRun, runs), (TaskInstance, tasks), (XComModel, xcoms)):
        for first in range(0, len(rows), 20_000):
            database.write(model, *rows[first : first + 20_000])


def runs_of(database, shape: str, others: int):
    """Yield each run: its DAG, its number, and of each task instance the id, index, state, operator, key and value."""
    from airflow_provider_meetings.observability.outcome_record import OUTCOME_KEY  # noqa: PLC0415
    from tests.support.ui import MINUTE, meeting, record  # noqa: PLC0415

    now = round(database.now.timestamp() * 1000)
    made = iter([meeting(number, now + number * 5 * MINUTE) for number in range(MEETINGS)])
    for number in range(300):
        for dag in range(others):
            state = "failed" if (number + dag) % 20 == 0 else "success"
            names = ((f"t{task}", -1, state, "PythonOperator", "return_value", {"n": task}) for task in range(10))
            yield f"other{dag}", number, list(names)
        if number % 30:
            continue
        ours = [one for _, one in zip(range(1000), made, strict=False)]
        if shape == "sets":
            yield (
                f"meetings{number // 30}",
                0,
                [("sync", -1, "success", "SyncMeetingsOperator", OUTCOME_KEY, record("created", *ours))],
            )
        else:
            yield (
                f"meetings{number // 30}",
                0,
                [
                    ("book", index, "success", "CreateMeetingOperator", OUTCOME_KEY, record("created", one))
                    for index, one in enumerate(ours)
                ],
            )


def rows_of(database, key: int, dag_id: str, number: int, instances: list[tuple]):
    """Return a run's row, and for each task instance its row and that of its XCom."""
    from tests.support.ui import run_defaults, task_defaults  # noqa: PLC0415

    run_id, then = f"run{number}", database.now - timedelta(minutes=number)
    basis = {"dag_id": dag_id, "run_id": run_id, "run_type": "manual", "state": "success", "run_after": then}
    own = []
    for task_id, map_index, state, operator, xcom_key, value in instances:
        names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        task = {"id": uuid.uuid4(), **names, "state": state, "operator": operator, "start_date": then, "end_date": then}
        xcom = {**names, "dag_run_id": key, "key": xcom_key, "value": value, "timestamp": then}
        own.append((task | task_defaults(), xcom))
    return {"id": key, **basis, "start_date": then, **run_defaults()}, own


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        ask(sys.argv[2])
    else:
        sys.exit(main())
