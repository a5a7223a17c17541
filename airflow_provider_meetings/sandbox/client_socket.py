"""The connection of one request: sends whole responses, or spoils them."""

import asyncio
import contextlib
import socket
import struct
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from .clock import VendorClock
from .responses import ApiResponse

_TICK = 0.05


class ClientSocket:
    """One request's connection, beside the web framework: faults reach the TCP connection itself."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, clock: VendorClock) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._clock = clock

    async def send(self, response: ApiResponse) -> None:
        """Send a whole response."""
        await self._start(response)
        await self._send({"type": "http.response.body", "body": response.body})

    def send_interim(self, status: int, headers: dict[str, str]) -> None:
        """Send an informational response (RFC 9110, section 15.2); the final one is still due."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Informational"
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        if not self._transport.is_closing():
            self._transport.write("\r\n".join(lines).encode("latin-1"))

    async def drip(self, response: ApiResponse, bytes_per_second: float) -> None:
        """Send the head at once and the body a few bytes at a time."""
        await self._start(response)
        step = max(1, int(bytes_per_second * _TICK))
        for start in range(0, len(response.body), step):
            part = response.body[start : start + step]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(len(part) / bytes_per_second)
        await self._send({"type": "http.response.body", "body": b""})

    async def truncate(self, response: ApiResponse, keep: float) -> None:
        """Promise the whole body, send a part of it, and close."""
        await self._start(response)
        part = response.body[: int(len(response.body) * keep)]
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self.close()

    async def close(self) -> None:
        """Close the connection in good order, without a response."""
        self._transport.close()
        await self._wait_until_gone()

    async def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        connection = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the client has gone before, as one does that was killed
            # SO_LINGER with a time of 0 turns the close into an RST
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._wait_until_gone()

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._scope["state"]["transport"]
        return transport

    async def _start(self, response: ApiResponse) -> None:
        # by lower-case name, so that a fault's header replaces the one that is there
        headers = {"content-length": str(len(response.body)), "date": self._clock.http_date()}
        headers |= {name.lower(): value for name, value in response.headers.items()}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": response.status, "headers": raw})

    async def _wait_until_gone(self) -> None:
        # until the server has noticed; it would answer 500 for an application that returns without a response
        while (await self._receive())["type"] != "http.disconnect":
            pass
