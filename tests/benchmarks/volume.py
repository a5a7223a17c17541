"""A year of 20,000 meetings from a server that takes its time: ours beside loops that turn page after page."""

import asyncio
import bisect
import itertools
import json
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import Row, airflow_home, interleave, print_table, serving, verdict
from listing import logs_into_nothing

MEETINGS = int(os.environ.get("MEETINGS", "20000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LATENCIES = (0.001, 0.050)
DAY = 86_400_000
#: A Monday.
START = 1_798_416_000_000
END = START + 364 * DAY
PAGES = {"hiringcenter": 200, "builderprime": 100}
KEY = "benchmark-key"


def starts(shape: str) -> list[int]:
    """Return when the meetings begin: evenly, or on weekdays in office hours, in weeks that are uneven."""
    if shape == "uniform":
        return [START + number * (END - START) // MEETINGS for number in range(MEETINGS)]
    dice, found, weeks = random.Random(7), [], {}  # noqa: S311 - the same meetings each time
    while len(found) < MEETINGS:
        day = dice.randrange(364)
        week = weeks.setdefault(day // 7, dice.uniform(0.6, 1.4))
        if day % 7 < 5 and dice.random() * 1.4 < week:
            hour = dice.choice([8, 9, 9, 10, 10, 10, 11, 12, 13, 14, 14, 15, 16, 17])
            found.append(START + day * DAY + (hour * 60 + dice.choice([0, 15, 30, 45])) * 60_000)
    return sorted(found)


def serve(port: int, latency: float, shape: str, order: str) -> None:
    """Answer both vendors' lists, each request so many seconds after it came."""
    from aiohttp import web  # noqa: PLC0415

    dates = starts(shape)
    numbers = [at * 7919 % 1_000_003 for at in range(len(dates))]
    meetings = [
        {
            "id": number + 1,
            "title": f"Estimate {number}",
            "location": "200 Caudill Dr, Hendersonville, TN 37075",
            "startDateTime": date,
            "meetingDate": date,
            "createdDate": date - DAY,
            "employeeFirstName": "Hermoine",
            "meetingTypeName": "Sales Meeting",
        }
        for number, date in enumerate(dates)
    ]
    count = [0]

    async def hiringcenter(request: web.Request) -> web.Response:
        count[0] += 1
        await asyncio.sleep(latency)
        after, before = (int(request.query.get(name, "0")) for name in ("meetingDateAfter", "meetingDateBefore"))
        low, high = bisect.bisect_left(dates, after), bisect.bisect_left(dates, before or END * 2)
        high -= int(request.query.get("pageToken", "0"))
        page = meetings[max(low, high - 200) : high][::-1]
        more = high - 200 > low
        offset = int(request.query.get("pageToken", "0")) + 200
        pagination = {"nextPageToken": str(offset) if more else None, "totalCount": high - low}
        return web.json_response({"success": True, "items": page, "pagination": pagination})

    async def builderprime(request: web.Request) -> web.Response:
        count[0] += 1
        await asyncio.sleep(latency)
        low = bisect.bisect_left(dates, int(request.query["start-date-from"]))
        high = bisect.bisect_right(dates, int(request.query["start-date-to"]))
        first = 100 * int(request.query.get("page", "0"))
        # The vendor promises no order: by date, or by something that has nothing to do with it.
        found = range(low, high) if order == "by date" else sorted(range(low, high), key=numbers.__getitem__)
        return web.json_response({"success": True, "data": [meetings[at] for at in found[first : first + 100]]})

    async def requests(_: web.Request) -> web.Response:
        return web.json_response(count[0])

    app = web.Application()
    app.router.add_get("/v2/meetings", hiringcenter)
    app.router.add_get("/api/meetings/v1", builderprime)
    app.router.add_get("/count", requests)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def page_after_page(vendor: str, url: str) -> list[Any]:
    """Turn the pages with a bare `requests.Session`, 31 days at a time where the vendor takes no more."""
    import requests  # noqa: PLC0415

    found: list[Any] = []
    with requests.Session() as session:
        if vendor == "hiringcenter":
            params = {"limit": "200", "meetingDateAfter": str(START), "meetingDateBefore": str(END)}
            while True:
                page = session.get(f"{url}/v2/meetings", params=params, timeout=30).json()
                found += page["items"]
                if not page["pagination"]["nextPageToken"]:
                    return found
                params["pageToken"] = page["pagination"]["nextPageToken"]
        for first in range(START, END, 31 * DAY):
            number, size = 0, 100
            last = min(END, first + 31 * DAY) - 1
            while size == 100:
                params = {
                    "start-date-from": str(first),
                    "start-date-to": str(last),
                    "limit": "100",
                    "page": str(number),
                }
                page = session.get(f"{url}/api/meetings/v1", params=params, timeout=30).json()
                found += page["data"]
                size, number = len(page["data"]), number + 1
    return found


def _hook(vendor: str) -> Any:
    from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook  # noqa: PLC0415
    from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook  # noqa: PLC0415

    return HiringCenterHook() if vendor == "hiringcenter" else BuilderPrimeHook()


def ours(vendor: str) -> list[Any]:
    """`list_meetings`."""
    return list(_hook(vendor).list_meetings(START, END))


def ours_async(vendor: str) -> list[Any]:
    """`alist_meetings`."""

    async def read() -> list[Any]:
        return [found async for found in _hook(vendor).alist_meetings(START, END)]

    return asyncio.run(read())


def _counted(url: str, client: Callable[[], list[Any]]) -> int:
    import requests  # noqa: PLC0415

    before = requests.get(f"{url}/count", timeout=10).json()
    if len({meeting["id"] for meeting in client()}) != MEETINGS:
        raise SystemExit("a list is not complete")
    return int(requests.get(f"{url}/count", timeout=10).json()) - before


def measure(vendor: str, shape: str, latency: float, url: str, order: str) -> list[tuple[str, ...]]:
    """Return the lines of one vendor, one calendar in one order, and one latency."""
    clients: dict[str, Callable[[], list[Any]]] = {
        "page after page": lambda: page_after_page(vendor, url),
        "list_meetings": lambda: ours(vendor),
        "alist_meetings": lambda: ours_async(vendor),
    }
    with logs_into_nothing():
        counts = {name: _counted(url, client) for name, client in clients.items()}
        rows = interleave(clients, ROUNDS, warmups=0)
    base, pages = rows["page after page"], MEETINGS / PAGES[vendor]
    lines = []
    for name, row in rows.items():
        row.base = base
        far = latency >= LATENCIES[-1] and name != "page after page"
        per_page = counts[name] / pages
        lines.append(
            (
                f"{vendor}, {shape}{order}, {latency * 1000:.0f} ms: {name}",
                str(counts[name]),
                f"{per_page:.2f}",
                f"{_median(row):.0f} ms",
                f"{row.ratio or 1:.2f}",
                f"{verdict(row.ratio or 1, 0.45, '0.45')}, a page {verdict(per_page, 1.5, '1.5')}" if far else "",
            )
        )
    return lines


def _median(row: Row) -> float:
    return sorted(row.wall)[len(row.wall) // 2]


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
        airflow_home(Path(home))
        lines = []
        for latency in LATENCIES:
            for shape, order in itertools.product(("uniform", "office hours"), ("by date", "in no order")):
                with serving("volume.py", latency, shape, order) as url:
                    for vendor, path in (("hiringcenter", "/v2"), ("builderprime", "/api")):
                        if vendor == "hiringcenter" and order != "by date":
                            continue  # it documents its order
                        connection: dict[str, Any] = {"conn_type": vendor, "host": url + path, "password": KEY}
                        if vendor == "hiringcenter":
                            # The loops beside it know no limit: let it not be what is measured.
                            connection["extra"] = {"rate_limit_per_minute": 10**6, "rate_limit_per_hour": 10**6}
                        airflow_home(Path(home), **{f"{vendor}_default": json.dumps(connection)})
                        words = "" if order == "by date" else f" {order}"
                        lines += measure(vendor, shape, latency, url, words)
        print_table(
            f"A year of {MEETINGS:,} meetings, four requests at a time, from a server so far away; {ROUNDS} rounds",
            ("client", "requests", "a page", "wall", "ratio", "target"),
            lines,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:6])
    else:
        main()
