"""The worker's HTTP/1.1 connections: ``urllib3``'s, with a deadline under the sockets.

Connecting may take nine tenths of a request's time: what cannot be answered in time is not sent. Each read gets the
time that is left.
"""

from __future__ import annotations

import http.client
import io
import socket
import sys
import time
from functools import partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout

from airflow_provider_meetings.transport.connecting import open_socket

__all__ = ["CONNECT_SHARE", "MOST_HEADERS", "MOST_HEADER_BYTES", "POOLS", "Deadline", "was_never_sent"]

#: The part of a request's time that connecting may take.
CONNECT_SHARE = 0.9
#: Bytes of one line of an answer's head, and lines of it.
MOST_HEADER_BYTES = 65_536
MOST_HEADERS = 1_000
# Interim answers (1xx) before the answer.
_MOST_INTERIM = 100

_FOREVER = float("inf")
_NEVER_SENT = "_meetings_never_sent"


def was_never_sent(error: BaseException) -> bool:
    """Whether an error came up before the request left this machine."""
    return getattr(error, _NEVER_SENT, False)


class _TimedSocket:
    """Gives an answer's reader the time that is left, before each read: a dripping answer does not go on for ever."""

    def __init__(self, sock: socket.socket, due: float) -> None:
        self._sock = sock
        self._due = due

    def makefile(self, mode: str) -> io.BufferedReader:
        raw: Any = self._sock.makefile(mode, buffering=0)  # type: ignore[call-overload]
        return io.BufferedReader(_TimedReader(raw, self._sock, self._due), 64 * 1024)


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, due: float) -> None:
        self._raw = raw
        self._sock = sock
        self._due = due

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._due - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the whole request is up")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose head may be larger than ``http.client`` allows, and come after any interim answers."""

    def __init__(self, sock: Any, *args: Any, due: float, **kwargs: Any) -> None:
        timed = sock if due == _FOREVER else _TimedSocket(sock, due)
        super().__init__(timed, *args, **kwargs)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Read the head, as the class above does."""
        if self.headers is not None:
            return
        for _ in range(_MOST_INTERIM + 1):
            version, status, reason = self._read_status()
            headers = _read_headers(self.fp)
            # RFC 9110 15.2: a client reads all interim answers past, whether it knows them or not. 101 is final.
            if not 100 <= status < 200 or status == 101:
                break
        else:
            raise http.client.HTTPException(f"more than {_MOST_INTERIM} interim answers")
        if not version.startswith("HTTP/"):
            raise http.client.UnknownProtocol(version)
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 10 if version in {"HTTP/1.0", "HTTP/0.9"} else 11
        self.headers = self.msg = headers
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.will_close = self._check_close()
        self.length = None if self.chunked else _length(headers.get("content-length"))
        if status in {101, 204, 304} or self._method == "HEAD":
            self.length = 0
        if not self.will_close and not self.chunked and self.length is None:
            self.will_close = True


def _read_headers(file: Any) -> http.client.HTTPMessage:
    lines: list[bytes] = []
    while (line := file.readline(MOST_HEADER_BYTES + 1)) not in {b"\r\n", b"\n", b""}:
        if len(line) > MOST_HEADER_BYTES:
            raise http.client.LineTooLong("header line")
        if len(lines) >= MOST_HEADERS:
            raise http.client.HTTPException(f"more than {MOST_HEADERS} headers")
        if line[:1] in b" \t" and lines:  # a line that goes on
            lines[-1] = lines[-1].rstrip(b"\r\n") + b" " + line.strip()
        else:
            lines.append(line)
    headers = http.client.HTTPMessage()
    for line in lines:
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if colon and name:
            headers[name.strip()] = value.strip()
    return headers


def _length(value: str | None) -> int | None:
    text, *others = {part.strip() for part in (value or "").split(",")}  # RFC 9110 8.6: "42, 42" is 42
    return int(text) if not others and text.isascii() and text.isdigit() else None


class _Left(float):
    """Seconds that are left, and until when that is, by the monotonic clock."""

    __slots__ = ("due",)
    due: float

    @classmethod
    def until(cls, due: float) -> _Left:
        """Count from now; never less than nothing."""
        left = cls(max(0.0, due - time.monotonic()))
        left.due = due
        return left


class Deadline(Timeout):
    """The time of one whole request, from now on, in place of ``urllib3``'s times for its parts.

    Args:
        seconds: How long it may take.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(total=seconds)
        now = time.monotonic()
        self._connect_due, self._due = now + seconds * CONNECT_SHARE, now + seconds

    def clone(self) -> Deadline:
        """Return the same: the time goes on."""
        return self

    def start_connect(self) -> float:
        """Take no note of it: the time has begun before."""
        return 0.0

    @property
    def connect_timeout(self) -> float:
        """What is left to connect in."""
        return _Left.until(self._connect_due)

    @property
    def read_timeout(self) -> float:
        """What is left of all."""
        return _Left.until(self._due)


class _Timed(HTTPConnection):
    """What the connections with and without TLS share."""

    _due = _FOREVER
    _timeout: Any = None

    @property
    def timeout(self) -> Any:
        """Seconds for an operation of the socket: what is left now, where the whole request has its time."""
        # Not 0, which would mean not to wait at all.
        return self._timeout if self._due == _FOREVER else max(self._due - time.monotonic(), 1e-3)

    @timeout.setter
    def timeout(self, seconds: Any) -> None:
        self._timeout = seconds
        self._due = seconds.due if isinstance(seconds, _Left) else _FOREVER

    @property
    def response_class(self) -> Any:  # type: ignore[override]
        """What reads an answer, within the request's time."""
        return partial(_Answer, due=self._due)

    def connect(self) -> None:
        """Connect; what goes wrong here went wrong before the request was sent."""
        try:
            super().connect()
            if time.monotonic() >= self._due:
                self.close()
                raise ConnectTimeoutError(self, "connecting has used up the time of the request")
        except Exception as error:
            setattr(error, _NEVER_SENT, True)
            raise

    def _new_conn(self) -> socket.socket:
        due = self._due
        if due == _FOREVER and isinstance(self._timeout, int | float):
            due = time.monotonic() + self._timeout
        try:
            sock = open_socket(self._dns_host, self.port or self.default_port, due, self.socket_options or ())  # type: ignore[arg-type]
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:
            raise LocationParseError(self.host) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        sock.settimeout(self.timeout)  # for the handshakes with a proxy and of TLS
        sys.audit("http.client.connect", self, self.host, self.port)
        return sock


class _Connection(_Timed):
    """Without TLS."""


class _SecureConnection(_Timed, HTTPSConnection):
    """With TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


#: For ``PoolManager.pool_classes_by_scheme``.
POOLS: dict[str, Any] = {"http": _Pool, "https": _SecurePool}
