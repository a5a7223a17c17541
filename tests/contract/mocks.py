"""What the contract tests share: the documents, waiting for a process, and a recorder in front of Prism."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

HERE = Path(__file__).parent
VENDORS = ("hiringcenter", "builderprime")
PRISM = HERE / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"


def document(vendor: str) -> dict[str, Any]:
    """Read the OpenAPI document of a vendor."""
    return yaml.safe_load((HERE / f"{vendor}.yaml").read_text())


@dataclass(frozen=True)
class Exchange:
    """One request as it stood on the wire, and how Prism took it."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    status: int
    violations: str


@dataclass
class Mock:
    """A Prism behind a recorder: what was sent is compared with the document where Prism is lenient (unknown names)."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)


@contextlib.contextmanager
def recorder(target: str) -> Iterator[Mock]:
    """Pass everything on to ``target`` and remember it."""
    mock = Mock("")
    host = urlsplit(target).netloc

    class Handler(BaseHTTPRequestHandler):
        """Forwards one request at a time; every connection is closed after its answer."""

        def forward(self) -> None:
            """Send the request on, record both sides and send the answer back."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(host, timeout=30)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                connection.request(self.command, self.path, body=body or None, headers=headers)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            parts = urlsplit(self.path)
            mock.exchanges.append(
                Exchange(
                    self.command,
                    parts.path,
                    tuple(parse_qsl(parts.query, keep_blank_values=True)),
                    {name.lower(): value for name, value in self.headers.items()},
                    body,
                    answer.status,
                    answer.headers.get("sl-violations", ""),
                )
            )
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in {"connection", "keep-alive", "transfer-encoding", "content-length", "date"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - the names http.server calls

        def log_message(self, *_args: object) -> None:
            """Write no access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        mock.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield mock
        finally:
            server.shutdown()
            thread.join()
