"""Running the application: one process, one event loop, a connection that faults can take hold of, a clean stop."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import api_keys
from .app import create_app
from .settings import Settings

_STOP_SECONDS = 1  # what a dripping or delayed response gets when the server stops


class _Protocol(H11Protocol):
    """HTTP/1.1 whose requests can reach their own connection, as ``scope["state"]["transport"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does this only for sockets made with an explicit protocol number; without it the second packet of an
        # response waits 40 ms for the client's delayed acknowledgement
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # uvicorn copies this state into every request's scope
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves the signals to this module."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises a caught SIGTERM again afterwards, which would make a clean stop look like a crash
        yield


def facts(settings: Settings, port: int) -> dict[str, Any]:
    """Return what a client needs to know: addresses, keys, and both Airflow connections as JSON."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    hiringcenter = {"host": f"{url}/v2", "api_key": api_keys.HIRINGCENTER[0].secret}
    builderprime = {"host": f"{url}/api"}
    for key in api_keys.BUILDERPRIME:
        builderprime["api_key" if key.name == "full" else f"{key.name}_api_key"] = key.secret
    connections = {
        f"{kind}_default": json.dumps({"conn_type": kind, "host": api["host"], "password": api["api_key"]})
        for kind, api in (("hiringcenter", hiringcenter), ("builderprime", builderprime))
    }
    return {
        "url": url,
        "hiringcenter": {**hiringcenter, "second_api_key": api_keys.HIRINGCENTER[1].secret},
        "builderprime": builderprime,
        "connections": connections,
        "control": f"{url}/_control" if settings.control else None,
        "pid": os.getpid(),
    }


def banner(known: dict[str, Any], database: object) -> str:
    """Return what is printed at the start: addresses, keys, and lines ready to paste."""
    lines = [f"Meetings sandbox at {known['url']} (reference: {known['url']}/docs, data: {database})", ""]
    for title, api in (("HiringCenter", known["hiringcenter"]), ("Builder Prime", known["builderprime"])):
        lines.append(f"{title}: {api['host']}")
        lines += [f"  {name:<16} {value}" for name, value in api.items() if name != "host"]
    if known["control"]:
        lines.append(f"Control: {known['control']}")
    lines += ["", "# ready to paste:"]
    lines += [f"export AIRFLOW_CONN_{name.upper()}='{value}'" for name, value in known["connections"].items()]
    return "\n".join(lines)


def serve(settings: Settings, *, on_ready: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until standard input is closed where the settings say so.

    Args:
        settings: Where to listen, and what to serve.
        on_ready: Called with the server's facts once it listens.
    """
    app = create_app(settings)
    sandbox = app.state.sandbox
    # bound here and not by uvicorn, so that port 0 is known before anything is announced
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    known = facts(settings, listener.getsockname()[1])

    def ready() -> None:
        print(banner(known, sandbox.store.path), flush=True)  # noqa: T201 - the program's own output
        if settings.ready_file is not None:
            _write_ready_file(settings, known)
        if on_ready is not None:
            on_ready(known)

    config = uvicorn.Config(
        app,
        http=_Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        access_log=False,  # the request log has more
        log_level="warning",
        date_header=False,  # the vendors' clock may differ from this machine's; ClientSocket sends their Date
        # longer than a client's pause between two requests: pooled connections stay
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    try:
        asyncio.run(_run(_Server(config, ready), listener, watch_stdin=settings.watch_stdin))
    finally:
        sandbox.close()


async def _run(server: _Server, listener: socket.socket, *, watch_stdin: bool) -> None:
    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if watch_stdin:
        # nothing is ever written to it: it becomes readable when the parent process has ended, killed or not
        loop.add_reader(sys.stdin.fileno(), stop)
    await server.serve(sockets=[listener])


def _write_ready_file(settings: Settings, known: dict[str, Any]) -> None:
    """Write the file in one step, so that a reader never sees half of it."""
    if settings.ready_file is not None:
        draft = settings.ready_file.with_name(f"{settings.ready_file.name}.{os.getpid()}")
        draft.write_text(json.dumps(known, indent=2))
        draft.replace(settings.ready_file)
