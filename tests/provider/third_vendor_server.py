"""The server of the third vendor: in memory for the model of exactly-once, and over HTTP for everything else."""

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_meetings.core.flow import Request
from airflow_provider_meetings.vendors.responses import ErrorFactory
from tests.provider.third_vendor import Plinth
from tests.support.model import HOUR, NOON, Crm


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat()


def _problem(status: int, text: str) -> tuple[int, Any]:
    return status, {"ok": False, "problem": {"kind": text, "text": text}}


class PlinthCrm(Crm):
    """Plinth's server."""

    collection, date = "/appointments", "begins"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.keys: dict[str, Any] = {}

    def rules(self) -> Plinth:
        """Our side of it, new for each process."""
        return Plinth(ErrorFactory("Plinth", "p", "https://plinth.test/v7"), self.retry_limits, idempotency_window=600)

    def new_id(self) -> str:
        """Make an id."""
        return f"apt-{next(self._ids)}"

    def complaint(self, text: str) -> bytes:
        """Make an error in the envelope."""
        return json.dumps(_problem(0, text)[1]).encode()

    def shape(self, row: Any) -> dict[str, Any]:
        """What comes back."""
        shown = {"room": None, "notes": None, **row["body"]} | {
            "begins": _text(row["body"]["begins"]),
            "made": row["created"],
        }
        return shown | {"uid": row["id"], "void": row.get("void", False), "touched": row.get("changed", row["created"])}

    def accept_late(self, request: Request, due: float, owner: str) -> None:
        """Take a request that is worked on later; its key is in use from now on."""
        if request.idempotency_key not in self.keys:
            self.keys[request.idempotency_key] = (request.body, due, None)
            self.later(due, lambda: self._remember(request, self._write(request, "", owner)))

    def serve(self, request: Request, *, refused: bool) -> tuple[int, Any]:
        """Answer a request."""
        uid, row = request.path.removeprefix(self.collection).strip("/"), None
        if request.method == "GET" and not uid:
            return self._list(dict(request.params))
        if request.path == "/whoami":
            return 200, {"ok": True, "result": "the tests"}
        if uid and (row := self.rows.get(uid)) is None and request.method == "GET":
            return _problem(404, "no such appointment")
        if request.method == "GET":
            return 200, {"ok": True, "result": self.shape(row)}
        body, at, answer = self.keys.get(request.idempotency_key, (None, 0.0, ()))
        if answer is None or (answer and at + 600 >= self.now):
            same = answer if body == request.body else _problem(409, "this key was used for a different request")
            return same or _problem(409, "still being processed")
        answer = _problem(400, "no") if refused else self.refuse(json.loads(request.body or b"{}"))
        return self._remember(request, answer or self._write(request, uid, self.owner))

    def _remember(self, request, answer):
        self.keys[request.idempotency_key] = (request.body, self.now, answer)
        return answer

    def _write(self, request, uid, owner):
        if uid and uid not in self.rows:
            return _problem(404, "no such appointment")
        if request.method == "DELETE":
            del self.rows[uid]
            return 204, None
        body = json.loads(request.body)
        row = self.rows[uid] if uid else self.insert(body, owner)
        if uid:
            self.change(row, body)
            row["changed"] = round(self.now * 1000)
        return 200, {"ok": True, "result": self.shape(row)}

    def _list(self, query):
        low, high = int(query.get("from", 0)), int(query.get("until", 1 << 60))
        rows = sorted(self.rows.values(), key=lambda row: (row["body"]["begins"], row["id"]))
        rows = [row for row in rows if low <= row["body"]["begins"] < high]
        rows = [row for row in rows if query.get("room") in {None, row["body"].get("room")}]
        after = [f"{row['body']['begins']}|{row['id']}" for row in rows]
        start = sum(mark <= query.get("after", "") for mark in after)
        more = after[start + 2] if len(rows) > start + 3 else None
        return 200, {"ok": True, "result": [self.shape(row) for row in rows[start : start + 3]], "more": more}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        crm, (path, _, query) = self.server.crm, self.path.partition("?")
        body, key = self.rfile.read(int(self.headers.get("Content-Length") or 0)), self.headers.get("Idempotency-Key")
        path, params = path.removeprefix("/v7"), tuple(parse_qsl(query))
        request = Request(self.command, path, params=params, body=body or None, idempotency_key=key)
        with self.server.lock:
            crm.now = time.time()
            wrong = self.headers.get("X-Plinth-Token") != "plinth-key"
            status, content = _problem(401, "unknown key") if wrong else crm.serve(request, refused=False)
        answer = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that the library looks for

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def serving():
    """Serve Plinth over HTTP; gives the server's tables and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.crm, server.lock = True, PlinthCrm(), threading.Lock()
    server.crm.owner = "human"
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        yield server.crm, f"http://127.0.0.1:{server.server_port}/v7"
    finally:
        server.shutdown()
        server.server_close()


def body(party: Any = 1, variant: int = 0, subject: str = "Visit") -> dict[str, Any]:
    """One of some payloads for the same party."""
    basis = {"party": str(party), "begins": NOON + HOUR * (variant // 3 % 2), "subject": subject}
    return basis | ({}, {"room": "A"}, {"notes": "first"}, {"room": "B", "notes": "second"}, {}, {"room": "C"})[variant]
