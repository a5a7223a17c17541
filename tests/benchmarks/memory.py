"""What a list of 1,000,000 meetings adds to memory when it is consumed as an iterator: no more than about one page.

The server makes the pages up as they are asked for, in a process of its own. Each client runs in two fresh processes,
one that lists a few pages and one that lists the million; the difference of their peaks is what was added.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from bench import airflow_home, in_a_fresh_process, print_table, serving, verdict

MEETINGS = int(os.environ.get("MEETINGS", "1000000"))
PAGE = 200
SMALL = 20 * PAGE
NEWEST = 1_790_000_000_000
STEP = 60_000
KEY = "benchmark-key"
SLACK = 2.0  # an allocator hands memory out in arenas; "about one page" allows for that

ITEM = (
    '{"id":"%032x","prospectId":"c1a7e9d34b8f4c2aa6d15e0f7b3c9d42","meetingDate":%d,"timeZone":"America/New_York",'
    '"meetingType":"virtual","ownerId":"b2e7a1d94c3f4a8eb6d05c1f9a7e2d45","location":"Zoom",'
    '"notes":"Review benefits package and next interview steps, then agree on a date for the site visit.",'
    '"createdBy":"b2e7a1d94c3f4a8eb6d05c1f9a7e2d45","createdByApi":false,"createdByApiKeyId":null,'
    '"createdByApiKeyName":null,"createdAt":1717014400000,"updatedAt":1717014400000,"review":null}'
)


def page(first: int, total: int) -> bytes:
    """Return the page that starts with a meeting; number 0 is the latest."""
    last = min(first + PAGE, total)
    items = ",".join(ITEM % (number, NEWEST - STEP * number) for number in range(first, last))
    token = f'"{last}"' if last < total else "null"
    return f'{{"success":true,"items":[{items}],"pagination":{{"nextPageToken":{token}}}}}'.encode()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one socket. The total stands in the path, so that one server serves every client."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        target = head.split(b" ", 2)[1].decode()
        total = int(target.split("/")[1])
        token = re.search(r"[?&]pageToken=(\d+)", target)
        before = re.search(r"[?&]meetingDateBefore=(\d+)", target)
        after = re.search(r"[?&]meetingDateAfter=(\d+)", target)
        first = 0
        if token:
            first = int(token[1])
        elif before:  # the meetings whose date is below the bound
            first = max(0, (NEWEST - int(before[1])) // STEP + 1)
        if after:  # the meetings whose date is above the bound
            total = max(first, min(total, -(-(NEWEST - int(after[1])) // STEP)))
        body = page(first, total)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()


async def serve(port: int) -> None:
    """Serve until the process is ended."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", port)
    await server.serve_forever()


def requests_loop(base_url: str) -> int:
    """Walk the pages with a bare `requests.Session`, keeping one at a time."""
    import requests  # noqa: PLC0415

    count, params = 0, {"limit": str(PAGE)}
    with requests.Session() as session:
        while True:
            found = session.get(f"{base_url}/meetings", params=params, timeout=30).json()
            for _ in found["items"]:
                count += 1
            if not found["pagination"]["nextPageToken"]:
                return count
            params["pageToken"] = found["pagination"]["nextPageToken"]


def window() -> tuple[int, int]:
    """Return a window that holds every meeting."""
    return NEWEST - STEP * MEETINGS, NEWEST + 1


def list_meetings(_base_url: str) -> int:
    """Consume `HiringCenterHook.list_meetings`."""
    from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook  # noqa: PLC0415

    return sum(1 for _ in HiringCenterHook().list_meetings(*window()))


def alist_meetings(_base_url: str) -> int:
    """Consume `HiringCenterHook.alist_meetings`."""
    from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook  # noqa: PLC0415

    async def count() -> int:
        found = 0
        async for _ in HiringCenterHook().alist_meetings(*window()):
            found += 1
        return found

    return asyncio.run(count())


CLIENTS = {"requests.Session loop": requests_loop, "list_meetings": list_meetings, "alist_meetings": alist_meetings}


def peak_of_this_process() -> int:
    """Return the largest resident size since the process began, in kB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def consume(name: str, base_url: str) -> None:
    """List once, as a process of its own, and print what came of it."""
    start = time.perf_counter()
    count = CLIENTS[name](base_url)
    print(json.dumps([count, peak_of_this_process(), time.perf_counter() - start]))


def run(name: str, url: str, total: int, home: str) -> tuple[int, float]:
    """Run a client in a fresh process; return its peak in kB and its seconds."""
    base_url = f"{url}/{total}"
    airflow_home(
        Path(home), hiringcenter_default=json.dumps({"conn_type": "hiringcenter", "host": base_url, "password": KEY})
    )
    count, peak, seconds = in_a_fresh_process(__file__, "consume", name, base_url)
    if count != total:
        raise SystemExit(f"{name} listed {count:,} of {total:,}")
    return peak, seconds


def size_of_a_page() -> float:
    """Return what one page takes in memory: its bytes and its parsed items, in kB."""
    import tracemalloc  # noqa: PLC0415

    tracemalloc.start()
    body = page(0, MEETINGS)
    kept = body, json.loads(body)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size / 1024


def main() -> None:
    """Print the table."""
    one_page = size_of_a_page()
    lines = []
    with serving("memory.py") as url, tempfile.TemporaryDirectory(prefix="bench-home-") as home:
        for name in CLIENTS:
            small, _ = run(name, url, SMALL, home)
            large, seconds = run(name, url, MEETINGS, home)
            pages = (large - small) / one_page
            lines.append(
                (
                    name,
                    f"{small / 1024:.1f} MB",
                    f"{large / 1024:.1f} MB",
                    f"{large - small:+,} kB",
                    f"{pages:+.2f}",
                    f"{seconds:.1f} s",
                    "" if name.endswith("loop") else verdict(pages, SLACK, "about one page"),
                )
            )
    print_table(
        f"Peak memory, {MEETINGS:,} meetings over {SMALL:,}; a page of {PAGE} takes {one_page:.0f} kB",
        ("client", f"{SMALL:,}", f"{MEETINGS:,}", "added", "pages", "took", "target"),
        lines,
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", number]:
            asyncio.run(serve(int(number)))
        case ["consume", client, url]:
            consume(client, url)
        case _:
            main()
