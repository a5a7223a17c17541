"""What Airflow loads through the entry point ``airflow.plugins``.

Every process of Airflow imports this, workers included: it is light, and nothing in it can raise. The application
itself is loaded at the first request, in the API server; should that fail, the pages say so and Airflow goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_provider_meetings.version_compat import shows_pages

__all__ = ["MeetingsPlugin"]

_PREFIX = "/meetings"
_APP = "airflow_provider_meetings.ui.app"

_Message = MutableMapping[str, Any]
_Asgi = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]

log = logging.getLogger(__name__)


@cache
def _load() -> _Asgi:
    app: _Asgi = import_module(_APP).create_app()
    return app


async def pages(
    scope: _Message,
    receive: Callable[[], Awaitable[_Message]],
    send: Callable[[_Message], Awaitable[None]],
) -> None:
    """Serve the pages: an ASGI application that loads the real one when it is first asked for something."""
    try:
        app = await asyncio.to_thread(_load)
    except Exception:
        log.exception("The Meetings pages cannot be loaded")
        if scope["type"] != "http":
            return
        text = b"The Meetings pages cannot be loaded. The log of Airflow's API server says why.\n"
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": text})
        return
    await app(scope, receive, send)


def _views() -> list[dict[str, Any]]:
    """Return the entries in Airflow's UI; none where they are switched off or this Airflow cannot show them."""
    try:
        if not shows_pages():
            return []
        root = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    except Exception:
        log.exception("The Meetings pages are left out: Airflow's configuration cannot be read")
        return []
    icons = {
        "icon": f"{root}{_PREFIX}/static/calendar.svg",
        "icon_dark_mode": f"{root}{_PREFIX}/static/calendar-dark.svg",
    }
    return [
        {
            "name": "Meetings",
            "href": f"{root}{_PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "meetings",
            **icons,
        },
        {
            "name": "Meetings",
            "href": f"{root}{_PREFIX}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "run-meetings",
            **icons,
        },
    ]


_VIEWS = _views()


class MeetingsPlugin(AirflowPlugin):
    """The plugin; without views it does nothing."""

    name = "meetings"
    external_views = _VIEWS
    fastapi_apps = [{"app": pages, "url_prefix": _PREFIX, "name": "Meetings"}] if _VIEWS else []
