"""The session under the worker's transport: authenticated, pooled, and with a deadline under its sockets."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.transport.common import user_agent

__all__ = ["deadline", "make_session"]


class _Credentials(AuthBase):
    """Authenticates requests that are made with the session directly, and keeps ``.netrc`` out of it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        for name, value in self._headers.items():
            request.headers.setdefault(name, value)
        return request

    def __repr__(self) -> str:
        return "<credentials>"


class _Session(requests.Session):
    """A session that follows no redirect, and in which the connection's settings win over the environment's."""

    def resolve_redirects(self, resp: Any, req: Any, *args: Any, yield_requests: bool = False, **kwargs: Any) -> Any:
        # requests looks where a redirect leads even when nobody wants to go there, and counts that as going.
        if yield_requests:
            return iter(())
        return super().resolve_redirects(resp, req, *args, **kwargs)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        verify = self.verify if verify is None else verify
        merged = super().merge_environment_settings(url, dict(proxies or {}), stream, verify, cert)
        if self.proxies:
            merged["proxies"] = {**self.proxies, **(proxies or {})}
        return merged


def make_session(settings: Settings, sockets: int) -> requests.Session:
    """Make a session for a connection that keeps at most so many sockets open to the vendor."""
    session = _Session()
    session.headers.update({"User-Agent": user_agent(), "Accept": "application/json"})
    session.auth = _Credentials(settings.credentials(""))
    session.verify = settings.verify
    session.proxies.update(settings.proxies)
    session.max_redirects = 0  # for who uses the session directly: a redirect is an error there, too
    adapter = _Adapter(pool_connections=1, pool_maxsize=sockets)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


# When the request that this thread is sending has to be over, by the monotonic clock.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


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


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        due = deadline.get()
        super().__init__(sock if due is None else _TimedSocket(sock, due), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _TimedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS: dict[str, Callable[..., Any]] = {"http": _Pool, "https": _SecurePool}
