"""A set of 500 meetings, each request 50 ms away and four at a time, and what else could make them.

Beside SyncMeetingsOperator: the floor, which is arithmetic (500 / 4 x 50 ms); bare POSTs in four threads; and, in a
real Airflow, mapped creates. In the first part the task state store is a dict that takes as long as a trip to the API
server; the second part has the real one. There, as many mapped creates are run as MAPPED says, and 500 of them are
taken to go on at the same pace.
"""

import asyncio
import contextlib
import datetime as dt
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from bench import airflow_home, print_table, verdict

from demo.airflow_home import AirflowHome
from demo.postgres import start_postgres
from demo.processes import Processes, free_port

ROWS, PARALLEL, LATENCY = 500, 4, 0.050
MAPPED = int(os.environ.get("MAPPED", "100"))
STORE_TRIP = 0.020
FLOOR = ROWS / PARALLEL * LATENCY
TARGET = 1.3
FIRST = dt.datetime(2031, 1, 6, 9, tzinfo=dt.UTC)
WINDOW = {"window_start": FIRST.isoformat(), "window_end": (FIRST + dt.timedelta(days=28)).isoformat()}
MATCH_ON = {"hiringcenter": ["prospectId"], "builderprime": ["clientOpportunityId", "title"]}
PAGES = {"hiringcenter": 200, "builderprime": 100}
_BOOT_SECONDS, _RUN_SECONDS = 600, 1800


def rows(vendor, count=ROWS):
    """Make the rows of a table: 25 meetings on each weekday of four weeks, in office hours."""
    made = []
    for number in range(count):
        day, place = divmod(number, 25)
        offset = dt.timedelta(days=day // 5 * 7 + day % 5, minutes=20 * place)
        moment = (FIRST + offset).isoformat()
        made.append(
            {
                "prospectId": f"{number:032x}",
                "meetingDate": moment,
                "timeZone": "UTC",
                "meetingType": "phone",
                "ownerId": f"{1:032x}",
            }
            if vendor == "hiringcenter"
            else {"clientOpportunityId": 102988 + number % 20, "title": f"Estimate {number}", "startDateTime": moment}
        )
    return made


class Store(dict):
    """A task state store that counts its writes, each as long as a trip to the API server."""

    writes = 0

    def set(self, key, value, *, retention=None):
        """Write a value, as JSON."""
        del retention
        time.sleep(STORE_TRIP)
        self.writes += 1
        self[key] = json.loads(json.dumps(value))


def serve(port):
    """Answer both vendors' lists and creates from memory, each request 50 ms after it came."""
    from aiohttp import web  # noqa: PLC0415 - of the server's process only

    tables, counts = {"hiringcenter": [], "builderprime": []}, [0, 0]

    async def listed(request):
        counts[0] += 1
        await asyncio.sleep(LATENCY)
        query = {name: int(value) for name, value in request.query.items()}
        if "meetings/v1" in request.path:
            low, high = query["start-date-from"], query["start-date-to"]
            found = [one for one in tables["builderprime"] if low <= one["startDateTime"] <= high]
            first = 100 * query.get("page", 0)
            return web.json_response({"success": True, "data": found[first : first + 100]})
        low, high = query.get("meetingDateAfter", 0), query.get("meetingDateBefore", 10**15)
        found = [one for one in tables["hiringcenter"] if low <= one["meetingDate"] <= high]
        found.sort(key=lambda one: -one["meetingDate"])
        first = query.get("pageToken", 0)
        pagination = {"totalCount": len(found)}
        if len(found) > first + 200:
            pagination["nextPageToken"] = str(first + 200)
        return web.json_response({"success": True, "items": found[first : first + 200], "pagination": pagination})

    async def created(request):
        counts[1] += 1
        await asyncio.sleep(LATENCY)
        body, now = await request.json(), round(time.time() * 1000)
        if "meetings/v1" in request.path:
            table, made = tables["builderprime"], {"createdDate": now, "opportunityId": body.pop("clientOpportunityId")}
        else:
            table, made = tables["hiringcenter"], {"createdAt": now}
        table.append(body | made | {"id": len(table) + 1})
        kind, status = ("data", 200) if "meetings/v1" in request.path else ("item", 201)
        return web.json_response({"success": True, kind: table[-1]}, status=status)

    async def seen(_):
        return web.json_response(counts)

    async def emptied(_):
        for table in tables.values():
            table.clear()
        counts[:] = 0, 0
        return web.json_response(counts)

    app = web.Application()
    for path in ("/v2/meetings", "/api/meetings/v1"):
        app.router.add_get(path, listed)
        app.router.add_post(path, created)
    app.router.add_get("/counts", seen)
    app.router.add_delete("/counts", emptied)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


class Server:
    """The server, as a process of its own."""

    def __init__(self, processes):
        import requests  # noqa: PLC0415 - after Airflow's home is set

        port = free_port()
        processes.start("server", [sys.executable, __file__, "serve", str(port)], os.environ)
        self.url = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False
        processes.wait("the server listens", self._listens, _BOOT_SECONDS, every=0.05)

    def _listens(self):
        with contextlib.suppress(OSError):
            return self.counts()

    def counts(self):
        """How many reads and how many writes it has seen."""
        return tuple(self._session.get(f"{self.url}/counts", timeout=10).json())

    def reset(self):
        """Empty it."""
        self._session.delete(f"{self.url}/counts", timeout=10)

    def connections(self):
        """The connections to it, without a rate limit in the way."""
        limits = {"rate_limit_per_minute": 10**6, "rate_limit_per_hour": 10**7}
        return {
            f"{vendor}_default": json.dumps(
                {
                    "conn_type": vendor,
                    "host": self.url + ("/v2" if vendor == "hiringcenter" else "/api"),
                    "password": "benchmark-key",
                    "extra": {"max_parallel_requests": PARALLEL} | (limits if vendor == "hiringcenter" else {}),
                }
            )
            for vendor in MATCH_ON
        }


def bare(vendor, url, sessions):
    """POST all rows from four threads, each with a session of its own, and hope."""
    url += "/v2/meetings" if vendor == "hiringcenter" else "/api/meetings/v1"
    bodies = [one | {name: _milliseconds(one[name]) for name in one if "Date" in name} for one in rows(vendor)]

    def send(number):
        for body in bodies[number::PARALLEL]:
            sessions[number].post(url, json=body, timeout=30).raise_for_status()

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(send, range(PARALLEL)))


def _milliseconds(text):
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def synchronize(vendor, store, count=ROWS):
    """Run the operator as a task would."""
    from airflow_provider_meetings.operators.meetings import SyncMeetingsOperator  # noqa: PLC0415

    operator = SyncMeetingsOperator(
        task_id="sync",
        meetings=rows(vendor, count),
        match_on=MATCH_ON[vendor],
        meetings_conn_id=f"{vendor}_default",
        **WINDOW,
    )
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="sync", map_index=-1, try_number=1, xcom_push=lambda **_: None)
    return operator.execute({"ti": ti, "task_state_store": store})


def measured(vendor, server):
    """Return the lines of one vendor."""
    from airflow_provider_meetings.hooks.resolve import hook_for  # noqa: PLC0415 - after Airflow's home is set

    lines = []
    synchronize(vendor, Store(), count=1)  # what a process imports once is not measured
    sessions = [hook_for(f"{vendor}_default").get_conn() for _ in range(PARALLEL)]
    server.reset()
    begun = time.perf_counter()
    bare(vendor, server.url, sessions)
    lines.append(_line(f"{vendor}: bare POSTs, four threads", time.perf_counter() - begun, server.counts(), None, ""))
    server.reset()
    for name, expected in (("the set", {"created": ROWS}), ("again, with nothing to do", {"unchanged": ROWS})):
        store = Store()
        before = server.counts()
        cpu, begun = time.process_time(), time.perf_counter()
        result = synchronize(vendor, store)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        if not expected.items() <= result.items():
            raise SystemExit(f"{vendor}, {name}: {result}")
        counts = tuple(now - then for now, then in zip(server.counts(), before, strict=True))
        pages = -(-(0 if counts[1] else ROWS) // PAGES[vendor])
        most = counts[1] + pages + 5
        told = f"requests {verdict(sum(counts), most, str(most))}, CPU {cpu:.1f} s"
        if counts[1]:
            told = f"{verdict(seconds / FLOOR, TARGET, f'{TARGET} of the floor')}, {told}"
        lines.append(_line(f"{vendor}: {name}", seconds, counts, store.writes, told))
    return lines


def _line(name, seconds, counts, writes, told):
    reads, sent = counts
    stored = "" if writes is None else str(writes)
    return (name, str(reads), str(sent), stored, f"{seconds:.2f} s", f"{seconds / FLOOR:.2f}", told)


# -- in a real Airflow

DAG_FILE = """
import sys
from datetime import timedelta
from airflow.sdk import dag, task
from airflow_provider_meetings.operators.meetings import CreateMeetingOperator, SyncMeetingsOperator

sys.path[:0] = [{tests!r}, {root!r}]
COMMON = {{"schedule": None, "max_active_tasks": 100}}


@task
def table(count):
    from sets import rows
    return rows("hiringcenter", count)


@dag(**COMMON)
def mapped():
    CreateMeetingOperator.partial(task_id="work", meetings_conn_id="hiringcenter_default").expand(
        meeting=table({mapped})
    )


@dag(**COMMON)
def one_set():
    SyncMeetingsOperator(
        task_id="work", meetings=table({rows}), match_on={match_on!r}, meetings_conn_id="hiringcenter_default",
        **{window!r},
    )


mapped()
one_set()
"""


def in_airflow(folder, processes, server):
    """Return the lines of both ways in a real Airflow: from the first start of a task to the last end."""
    dags = folder / "dags"
    dags.mkdir()
    source = DAG_FILE.format(
        tests=str(Path(__file__).parent),
        root=str(Path(__file__).parents[2]),
        mapped=MAPPED,
        rows=ROWS,
        match_on=MATCH_ON["hiringcenter"],
        window=WINDOW,
    )
    (dags / "bench_sets.py").write_text(source, encoding="utf-8")
    home = AirflowHome(folder, processes, dag_folders=[dags], connections=server.connections())
    home.env |= start_postgres(processes, folder)
    # As many tasks at once as the vendor takes requests, so that both ways ask the same of it.
    home.env |= {"AIRFLOW__CORE__PARALLELISM": str(PARALLEL), "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000"}
    api = home.boot()
    api.wait_for_dags(["mapped", "one_set"], _BOOT_SECONDS)
    lines = []
    for dag_id, count in (("one_set", ROWS), ("mapped", MAPPED)):
        server.reset()
        api.unpause(dag_id)
        api._call("POST", f"/dags/{dag_id}/dagRuns", json={"dag_run_id": "run", "logical_date": None, "conf": {}})
        api.wait_for_run(dag_id, "run", seconds=_RUN_SECONDS)
        tasks = [task for task in api.tasks(dag_id, "run") if task["task_id"] == "work"]
        if {task["state"] for task in tasks} != {"success"} or server.counts()[1] != count:
            raise SystemExit(f"{dag_id}: {server.counts()}, {[task['state'] for task in tasks]}")
        ends = [[dt.datetime.fromisoformat(task[name]) for task in tasks] for name in ("start_date", "end_date")]
        seconds = (max(ends[1]) - min(ends[0])).total_seconds()
        lines.append((dag_id, count, seconds))
    (_, _, ours), (_, count, theirs) = lines
    whole = theirs / count * ROWS
    return [
        (f"one task, a set of {ROWS}", "1", f"{ours:.1f} s", f"{ours / FLOOR:.2f}", ""),
        (f"{count} mapped creates", str(count), f"{theirs:.1f} s", "", f"{count / theirs * 60:.0f} tasks a minute"),
        (f"{ROWS} mapped creates, at that pace", str(ROWS), f"{whole:.0f} s", f"{whole / FLOOR:.1f}", ""),
    ]


def main():
    """Print the tables."""
    with tempfile.TemporaryDirectory(prefix="bench-sets-") as name, Processes(Path(name)) as processes:
        folder = Path(name)
        server = Server(processes)
        airflow_home(folder / "here", **server.connections())
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"  # a line for each request would bury the table
        lines = [line for vendor in MATCH_ON for line in measured(vendor, server)]
        print_table(
            f"A set of {ROWS} meetings, {LATENCY * 1000:.0f} ms a request, {PARALLEL} at once; the floor is {FLOOR} s",
            ("way", "reads", "writes", "state written", "wall", "of the floor", "target"),
            lines,
        )
        if MAPPED:
            print_table(
                "The same on HiringCenter in a real Airflow, LocalExecutor with 4 tasks at once, PostgreSQL",
                ("way", "tasks", "wall", "of the floor", ""),
                in_airflow(folder, processes, server),
            )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", given_port]:
            serve(int(given_port))
        case _:
            main()
