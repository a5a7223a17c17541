"""Listing 10,000 HiringCenter meetings, 50 pages of 200, from a static nginx: ours beside the peers."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import airflow_home, interleave, print_timings, static_pages

MEETINGS = 10_000
PAGE = 200
ROUNDS = int(os.environ.get("ROUNDS", "15"))
NEWEST = 1_790_000_000_000
STEP = 60_000
KEY = "benchmark-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
WINDOW = (NEWEST - STEP * MEETINGS, NEWEST + 1)


def meeting(number: int) -> dict[str, object]:
    """Return a meeting as the vendor's page shows one; number 0 is the latest."""
    date = NEWEST - STEP * number
    return {
        "id": f"{number:032x}",
        "prospectId": f"c1a7e9d34b8f4c2aa6d1{number % 1000:012x}",
        "meetingDate": date,
        "timeZone": "America/New_York",
        "meetingType": ("virtual", "phone", "in-person")[number % 3],
        "ownerId": f"b2e7a1d94c3f4a8eb6d0{number % 20:012x}",
        "location": "Zoom",
        "notes": "Review benefits package and next interview steps, then agree on a date for the site visit.",
        "createdBy": f"b2e7a1d94c3f4a8eb6d0{number % 20:012x}",
        "createdByApi": False,
        "createdByApiKeyId": None,
        "createdByApiKeyName": None,
        "createdAt": date - 86_400_000 * 3,
        "updatedAt": date - 86_400_000 * 2,
        "review": None,
    }


def book() -> tuple[list[bytes], list[str], list[list[str]]]:
    """Return the pages, their tokens, and for each page the upper bounds by which it may be asked for as well."""
    pages, tokens, bounds = [], [], []
    count = MEETINGS // PAGE
    for number in range(count):
        items = [meeting(number * PAGE + index) for index in range(PAGE)]
        following = f"token-{number + 1}" if number + 1 < count else None
        # As for a request by date, which is for what is left: a page that ended before its total would not be the last.
        pagination = {"nextPageToken": following, "totalCount": MEETINGS - number * PAGE}
        envelope = {"success": True, "items": items, "pagination": pagination}
        pages.append(json.dumps(envelope, separators=(",", ":")).encode())
        tokens.append(f"token-{number}" if number else "")
        last_seen = NEWEST - STEP * (number * PAGE - 1)
        bounds.append([str(last_seen), str(last_seen + 1)] if number else [])
    return pages, tokens, bounds


class Clients:
    """The ways to list, each returning all the meetings."""

    def __init__(self, base_url: str) -> None:
        self.url = f"{base_url}/meetings"

    def requests_loop(self) -> list[dict[str, object]]:
        """Walk the pages with a bare `requests.Session`."""
        import requests  # noqa: PLC0415

        found, params = [], {"limit": str(PAGE)}
        with requests.Session() as session:
            session.headers.update(HEADERS)
            while True:
                answer = session.get(self.url, params=params, timeout=30)
                answer.raise_for_status()
                page = answer.json()
                found += page["items"]
                if not page["pagination"]["nextPageToken"]:
                    return found
                params["pageToken"] = page["pagination"]["nextPageToken"]

    async def _aiohttp_loop(self) -> list[dict[str, object]]:
        import aiohttp  # noqa: PLC0415

        found, params = [], {"limit": str(PAGE)}
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            while True:
                async with session.get(self.url, params=params) as answer:
                    answer.raise_for_status()
                    page = await answer.json()
                found += page["items"]
                if not page["pagination"]["nextPageToken"]:
                    return found
                params["pageToken"] = page["pagination"]["nextPageToken"]

    def aiohttp_loop(self) -> list[dict[str, object]]:
        """Walk the pages with a bare `aiohttp.ClientSession`."""
        return asyncio.run(self._aiohttp_loop())

    async def _httpx_loop(self) -> list[dict[str, object]]:
        import httpx  # noqa: PLC0415

        found, params = [], {"limit": str(PAGE)}
        async with httpx.AsyncClient(headers=HEADERS) as client:
            while True:
                answer = await client.get(self.url, params=params)
                answer.raise_for_status()
                page = answer.json()
                found += page["items"]
                if not page["pagination"]["nextPageToken"]:
                    return found
                params["pageToken"] = page["pagination"]["nextPageToken"]

    def httpx_loop(self) -> list[dict[str, object]]:
        """Walk the pages with a bare `httpx.AsyncClient`."""
        return asyncio.run(self._httpx_loop())

    def http_hook(self) -> list[dict[str, object]]:
        """Walk the pages with the HTTP provider's hook."""
        from airflow.providers.http.hooks.http import HttpHook  # noqa: PLC0415

        hook = HttpHook(method="GET", http_conn_id="http_default")
        found, params = [], {"limit": str(PAGE)}
        while True:
            page = hook.run("v2/meetings", data=params, headers=HEADERS).json()
            found += page["items"]
            if not page["pagination"]["nextPageToken"]:
                return found
            params["pageToken"] = page["pagination"]["nextPageToken"]

    def http_operator(self) -> list[dict[str, object]]:
        """Let the HTTP provider's operator walk the pages."""
        import requests  # noqa: PLC0415
        from airflow.providers.http.operators.http import HttpOperator  # noqa: PLC0415

        def following(answer: requests.Response) -> dict[str, Any] | None:
            token = answer.json()["pagination"]["nextPageToken"]
            return {"data": {"limit": str(PAGE), "pageToken": token}} if token else None

        operator = HttpOperator(
            task_id="operator",
            http_conn_id="http_default",
            method="GET",
            endpoint="v2/meetings",
            data={"limit": str(PAGE)},
            headers=HEADERS,
            pagination_function=following,
            response_filter=lambda answers: [item for answer in answers for item in answer.json()["items"]],
        )
        return list(operator.execute(context={}))

    def ours(self) -> list[dict[str, object]]:
        """`HiringCenterHook.list_meetings`, with its validation, its retry policy and its filter of the window."""
        from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook  # noqa: PLC0415

        return list(HiringCenterHook().list_meetings(*WINDOW))

    async def _ours_async(self) -> list[dict[str, object]]:
        from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook  # noqa: PLC0415

        return [found async for found in HiringCenterHook().alist_meetings(*WINDOW)]

    def ours_async(self) -> list[dict[str, object]]:
        """`HiringCenterHook.alist_meetings`."""
        return asyncio.run(self._ours_async())


@contextlib.contextmanager
def logs_into_nothing() -> Iterator[None]:
    """Let every client write its log lines, at INFO as in a worker, but into nothing: a terminal is slower than all."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home, static_pages(*book()) as base_url:
        host, port = base_url.removeprefix("http://").removesuffix("/v2").split(":")
        # The server has the pages of a list that is read from its start to its end, and no others: a page that takes
        # long on a busy machine must not have several parts of the window asked for at once.
        ours = {"conn_type": "hiringcenter", "host": base_url, "password": KEY, "extra": {"max_parallel_requests": 1}}
        airflow_home(
            Path(home),
            hiringcenter_default=json.dumps(ours),
            http_default=json.dumps({"conn_type": "http", "host": f"http://{host}", "port": int(port)}),
        )
        warnings.simplefilter("ignore")
        clients = Clients(base_url)
        contest = {
            "requests.Session loop": clients.requests_loop,
            "aiohttp loop": clients.aiohttp_loop,
            "httpx.AsyncClient loop": clients.httpx_loop,
            "HttpHook.run": clients.http_hook,
            "HttpOperator": clients.http_operator,
        }
        contest |= {"list_meetings": clients.ours, "alist_meetings": clients.ours_async}
        expected = [meeting(number) for number in range(MEETINGS)]
        with logs_into_nothing():
            wrong = [name for name, client in contest.items() if client() != expected]
            rows = {} if wrong else interleave(contest, ROUNDS)
        if wrong:
            raise SystemExit(f"these do not list what is there: {', '.join(wrong)}")
        for row in rows.values():
            row.base = rows["requests.Session loop"]
        rows["list_meetings"].target = 0.70
        rows["alist_meetings"].base = rows["aiohttp loop"]
        rows["alist_meetings"].target = 1.00
        print_timings(
            f"Listing {MEETINGS:,} meetings, pages of {PAGE}, static nginx on loopback; medians of {ROUNDS} rounds",
            list(rows.values()),
        )


if __name__ == "__main__":
    main()
