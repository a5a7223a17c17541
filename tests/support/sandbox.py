"""What the tests of hooks, operators and sensors share: a sandbox with its referee, both vendors, and tiny servers."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_meetings.core import retry
from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from airflow_provider_meetings.testing import MeetingsSandbox, run_sandbox

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: Monday, 2 February 2026, 10:00 UTC; the tests' meetings lie about it.
NOON = 1_770_026_400_000
WINDOW = (NOON, NOON + HOUR)
WRONG_KEY = "wrong-key-canary-7c1f93"


@dataclass(frozen=True)
class Kind:
    """A vendor, and how its meetings look."""

    name: str
    hook: type
    default: str
    date: str
    collection: str
    counterpart: str

    def __str__(self) -> str:
        return self.name

    def meeting(self, **changes: Any) -> dict[str, Any]:
        """Make a meeting to send."""
        if self.name == "hiringcenter":
            basis = {
                "prospectId": "9d2f1e0a7c5b4a3d8e6f102938475610",
                "meetingDate": NOON,
                "timeZone": "America/New_York",
                "meetingType": "virtual",
                "ownerId": "00000000000000000000000000000001",
                "location": "Zoom",
            }
        else:
            basis = {
                "title": "Site visit",
                "location": "5 Main Street",
                "startDateTime": NOON,
                "endDateTime": NOON + HOUR,
                "clientOpportunityId": 102988,
                "meetingTypeId": 1012,
                "employee": {"id": 50},
            }
        return basis | changes

    def declared(self, counterpart: Any, number: int, **changes: Any) -> dict[str, Any]:
        """Make a row of a set, so many minutes after noon."""
        whole = self.meeting(**{self.counterpart: counterpart, self.date: NOON + number * MINUTE})
        whole.pop("endDateTime", None)
        return whole | changes

    def row(self, date: int, **changes: Any) -> dict[str, Any]:
        """Make a row for the sandbox's table, as somebody else's booking."""
        return {self.date: date, **changes}


HIRINGCENTER = Kind(
    "hiringcenter", HiringCenterHook, "hiringcenter_default", "meetingDate", "/v2/meetings", "prospectId"
)
BUILDERPRIME = Kind(
    "builderprime", BuilderPrimeHook, "builderprime_default", "startDateTime", "/api/meetings/v1", "clientOpportunityId"
)
KINDS = (HIRINGCENTER, BUILDERPRIME)


class Server(MeetingsSandbox):
    """A running sandbox, asked by the kind of vendor."""

    def meetings(self, kind: Kind) -> list[dict[str, Any]]:
        """Read a vendor's raw table."""
        return super().meetings(kind.name)

    def insert(self, kind: Kind, *rows: dict[str, Any]) -> list[Any]:
        """Book meetings as somebody else."""
        return super().insert(kind.name, *rows)

    def remove(self, kind: Kind, meeting_id: Any) -> None:
        """Cancel a meeting as somebody else."""
        super().remove(kind.name, meeting_id)

    def acted(self) -> list[str]:
        """Return what was written, in order."""
        return [entry["acted"] for entry in self.journal() if entry["acted"]]

    def counterparts(self, kind: Kind) -> list[Any]:
        """Return whom meetings may be with."""
        if kind is BUILDERPRIME:
            return [one["id"] for one in self.reference()["opportunities"]]
        return [f"{number:032x}" for number in range(1, 200)]

    def connection(self, kind: Kind, **changes: Any) -> Connection:
        """Make a connection to it; what is no field of a connection goes into extra."""
        fields = {name: changes.pop(name) for name in ("host", "password", "login") if name in changes}
        api = self.facts[kind.name]
        return Connection(
            conn_id="meetings",
            conn_type=kind.name,
            **({"host": api["host"], "password": api["api_key"]} | fields),
            extra=json.dumps({"timeout": 10} | changes),
        )

    def hook(self, kind: Kind, **changes: Any) -> Any:
        """Make a hook that speaks to it."""
        return kind.hook("meetings", connection=self.connection(kind, **changes))


@pytest.fixture(scope="session")
def process():
    """The facts of a sandbox for this folder's tests alone: they clear its tables."""
    with run_sandbox(conn_ids={}, rate_limit_per_minute=1_000_000, rate_limit_per_hour=1_000_000) as sandbox:
        yield Server(sandbox.facts)


@pytest.fixture
def server(process):
    """The sandbox, empty, without faults, and with its usual options."""
    process.reset()
    return process


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """Each of the two vendors."""
    return request.param


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Short waits between attempts, no proxies of the machine, and no connection but the test's."""
    monkeypatch.setattr(retry, "BASE", 0.02)
    for name in list(os.environ):
        bundles = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
        if name.lower().endswith("_proxy") or name in bundles | {"NETRC"}:
            monkeypatch.delenv(name)


@pytest.fixture
def connect(server, monkeypatch):
    """Set a connection to the sandbox as Airflow finds it; returns its id."""

    def add(kind: Kind, conn_id: str = "meetings", **changes: Any) -> str:
        conn = server.connection(kind, **changes)
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{conn_id.upper()}",
            json.dumps({"conn_type": kind.name, "host": conn.host, "password": conn.password, "extra": conn.extra}),
        )
        return conn_id

    return add


# -- both ways to list


def listed_by_worker(hook: Any, *window: Any, **keywords: Any) -> list[dict[str, Any]]:
    """List as a task does."""
    return list(hook.list_meetings(*window, **keywords))


def listed_by_triggerer(hook: Any, *window: Any, **keywords: Any) -> list[dict[str, Any]]:
    """List as a trigger does."""

    async def collect() -> list[dict[str, Any]]:
        return [meeting async for meeting in hook.alist_meetings(*window, **keywords)]

    return asyncio.run(collect())


WAYS = pytest.mark.parametrize("listed", [listed_by_worker, listed_by_triggerer], ids=["worker", "triggerer"])


# -- tiny servers, for what no sandbox should be able to do


class Tiny:
    """A server on a free port of the loopback, that gives each connection to a function in a thread of its own.

    Args:
        serve: Gets the accepted socket and its number, from 0.
        context: Makes it a TLS server.
    """

    def __init__(self, serve: Any, context: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.accepted = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme = "https" if self._context else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        # closing alone does not wake a thread that waits in accept
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number, self.accepted = self.accepted, self.accepted + 1
            self._open.append(sock)
            thread = threading.Thread(target=self._handle, args=(sock, number))
            self._threads.append(thread)
            thread.start()

    def _handle(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            self._serve(sock, number)


def read_request(sock: socket.socket) -> bytes | None:
    """Read one request, head and body; None: the client has left."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(status: str, body: bytes, *headers: str) -> bytes:
    """Make a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Any:
    """Serve requests on each connection, with the answers in turn and the last one for ever."""

    def serve(sock: socket.socket, _: int) -> None:
        count = 0
        while (request := read_request(sock)) is not None:
            if seen is not None:
                seen.append(request)
            sock.sendall(answers[min(count, len(answers) - 1)])
            count += 1

    return serve


def one_meeting(kind: Kind, status: str = "200 OK", meeting: Any = None) -> bytes:
    """Make the answer that has meeting 7, or another one."""
    content = {"item" if kind is HIRINGCENTER else "data": meeting or {"id": 7, kind.date: NOON}}
    return reply(status, json.dumps({"success": True, **content}).encode(), "Content-Type: application/json")


EMPTY_LIST = {
    "hiringcenter": reply("200 OK", b'{"success": true, "items": [], "pagination": {}}'),
    "builderprime": reply("200 OK", b'{"success": true, "data": []}'),
}


def hook_to(kind: Kind, url: str, **changes: Any) -> Any:
    """Make a hook that speaks to a tiny server, with one attempt and little time unless told otherwise."""
    suffix = "/v2" if kind is HIRINGCENTER else "/api"
    extra = {"timeout": 0.8, "max_attempts": 1} | changes
    password = extra.pop("password", "secret-key-canary-51")
    conn = Connection(
        conn_id="meetings", conn_type=kind.name, host=url + suffix, password=password, extra=json.dumps(extra)
    )
    return kind.hook("meetings", connection=conn)


def certificate(folder: Path, host: str = "127.0.0.1", *, begins: int = -1, ends: int = 1) -> tuple[Path, Any]:
    """Make a certificate that nobody trusts; returns its file, and the server's side of it.

    Args:
        folder: Where the files go.
        host: An address, or a name.
        begins: Days from now.
        ends: Days from now.
    """
    import datetime as dt  # noqa: PLC0415 - with what else only this needs
    import ipaddress  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    try:
        san: Any = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        san = x509.DNSName(host)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=begins))
        .not_valid_after(now + dt.timedelta(days=ends))
        .add_extension(x509.SubjectAlternativeName([san]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context
