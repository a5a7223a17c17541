"""The session under the worker's transport: authenticated, pooled, without cookies, and another one after a fork."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from requests.utils import select_proxy

from airflow_provider_meetings.connection.network import Proxy
from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.forks import forget_in_children
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.transport.common import base_headers
from airflow_provider_meetings.transport.proxies import proxy_for
from airflow_provider_meetings.transport.tls import make_context
from airflow_provider_meetings.transport.wire import POOLS

__all__ = ["Adapter", "Session"]


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


class Session(requests.Session):
    """A session for a connection: it follows no redirect, keeps no cookie, and takes its proxies from the settings.

    Args:
        settings: The connection's.
        sockets: How many sockets it keeps open to the vendor at most.

    Raises:
        MeetingsConfigurationError: A bundle of authorities, or a proxy's address, cannot be right.
    """

    def __init__(self, settings: Settings, sockets: int) -> None:
        super().__init__()
        self._settings = settings
        self.trust_env = False  # proxies and authorities of the environment are read below
        self.headers.update(base_headers())
        self.max_redirects = 0  # where the session is used directly: a redirect is an error there, too
        self.adapter = Adapter(settings, sockets)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)
        self.renew(settings)
        self.forget()
        forget_in_children(self)

    def renew(self, settings: Settings) -> None:
        """Go on with another key."""
        self._settings = settings
        self.auth = _Credentials(settings.credentials(""))

    def forget(self) -> None:
        """Start afresh in a child process: neither sockets nor locks are shared with the parent.

        The parent's sockets are left alone: a lock that another thread held is never released here.
        """
        self.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self.adapter.forget()

    def resolve_redirects(self, resp: Any, req: Any, *args: Any, yield_requests: bool = False, **kwargs: Any) -> Any:
        """Return no target of a redirect: requests counts reading it as following it."""
        if yield_requests:
            return iter(())
        return super().resolve_redirects(resp, req, *args, **kwargs)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Take a request's proxy from the connection, else from the environment, as every call of the hook does."""
        merged = super().merge_environment_settings(url, {}, stream, verify, cert)
        merged["proxies"] = dict(proxies or {})
        if not merged["proxies"] and (proxy := self.adapter.proxy(url)) is not None:
            merged["proxies"] = {"all": proxy.url}
        return merged


# Where the session is used directly: other hosts whose sockets are kept.
_HOSTS = 10


class Adapter(HTTPAdapter):
    """Holds the pools of sockets; TLS trusts whom the connection trusts."""

    def __init__(self, settings: Settings, sockets: int) -> None:
        self._settings = settings
        self._context: ssl.SSLContext | None = None
        self._authorizations: dict[str, str | None] = {}
        self._pools: dict[tuple[str, Proxy | None], Any] = {}
        self._sockets = sockets
        super().__init__(pool_connections=_HOSTS, pool_maxsize=sockets)

    def forget(self) -> None:
        """Make new pools at the next request, without touching the old ones."""
        self._context = None
        self._pools = {}
        self.proxy_manager: dict[str, Any] = {}
        self.init_poolmanager(_HOSTS, self._sockets)

    def close(self) -> None:
        """Close the sockets that no request is using."""
        # A pool closes its sockets when nobody holds it any more: urllib3 does it so for requests that still run.
        self._pools = {}
        super().close()

    def proxy(self, url: str) -> Proxy | None:
        """Choose the proxy for an address."""
        return proxy_for(url, self._settings.proxies, self._settings.conn_id)

    def pool(self, url: str, proxy: Proxy | None) -> Any:
        """Return the pool of sockets for an address; found again without a look into all that it depends on."""
        known = self._pools.get((url, proxy))
        if known is None or known.pool is None:  # that is what it loses when it is closed
            known = self._pools[url, proxy] = self._make_pool(url, proxy)
        return known

    def _make_pool(self, url: str, proxy: Proxy | None) -> Any:
        manager = self.poolmanager
        if proxy is not None:
            self._authorizations[proxy.url] = proxy.authorization
            secure = {"proxy_ssl_context": self.context()} if proxy.url.startswith("https:") else {}
            manager = self.proxy_manager_for(proxy.url, **secure)
        is_secure = "https:" in {url[:6], proxy.url[:6] if proxy else ""}
        return manager.connection_from_url(url, pool_kwargs={"ssl_context": self.context()} if is_secure else {})

    def context(self) -> ssl.SSLContext:
        """Return the context of its TLS sockets; read once."""
        if self._context is None:
            self._context = make_context(self._settings)
        return self._context

    # -- what requests calls

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools of our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make pools of our connections by way of a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Authenticate at a proxy."""
        authorization = self._authorizations.get(proxy)
        return {} if authorization is None else {"Proxy-Authorization": authorization}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - requests' signature
        """Leave the sockets' context as it is; it is not turned off for one request."""
        if url.startswith("https:") and (verify is not True or cert):
            raise MeetingsConfigurationError(
                f"TLS is verified as connection {self._settings.conn_id!r} says: give it an extra `verify`, "
                "not an argument to the session. Nothing was sent."
            )

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """Return the pool for a request that is made with the session directly."""
        self.cert_verify(None, request.url, verify, cert)
        return self.get_connection(request.url, proxies)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        """Return the pool for an address; what requests before 2.32 calls."""
        proxy = self.proxy(url)
        asked = select_proxy(url, proxies)
        if asked and (proxy is None or asked != proxy.url):
            proxy = Proxy.parse(asked)
        return self._make_pool(url, proxy)
