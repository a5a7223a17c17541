"""What a fault does to a request: on the socket, in time, or in place of the answer."""

import asyncio
import contextlib
import socket
import struct
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.types import Receive, Scope, Send

from .answers import Answer, Refusal
from .call import Call
from .faults import Rule
from .peer import kill_caller

_TICK = 0.05


class Wire:
    """The connection of one request: sends whole answers, or spoils them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def answer(self, answer: Answer) -> None:
        """Send a whole answer."""
        await self._start(answer)
        await self._send({"type": "http.response.body", "body": answer.body})

    async def drip(self, answer: Answer, bytes_per_second: float) -> None:
        """Send the head at once and the body a few bytes at a time."""
        await self._start(answer)
        step = max(1, int(bytes_per_second * _TICK))
        for start in range(0, len(answer.body), step):
            part = answer.body[start : start + step]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(len(part) / bytes_per_second)
        await self._send({"type": "http.response.body", "body": b""})

    async def truncate(self, answer: Answer, keep: float) -> None:
        """Promise the whole body, send a part of it, and close."""
        await self._start(answer)
        part = answer.body[: int(len(answer.body) * keep)]
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self.close()

    async def close(self) -> None:
        """Close the connection in good order, without an answer."""
        self._transport.close()
        await self._gone()

    async def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        connection = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the client has gone before, as one does that was killed
            # SO_LINGER with a time of 0 turns the close into an RST
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._gone()

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self._scope["state"]["transport"]
        return transport

    async def _start(self, answer: Answer) -> None:
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": raw})

    async def _gone(self) -> None:
        # until the server has noticed; it would answer 500 for an application that returns without an answer
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def apply(rule: Rule, call: Call, wire: Wire, answer: Answer | None) -> Answer | None:
    """Let a fault do its work.

    Args:
        rule: The fault.
        call: The request that it hits.
        wire: The request's connection.
        answer: What the server would answer; None while it has not acted.

    Returns:
        The answer that goes on its way, or ``answer`` as it came if the fault only took time; None if the request is
        over (``call.faults`` then says ``over``).
    """
    match rule.action:
        case "delay":
            await asyncio.sleep(rule.seconds)
            return answer
        case "kill":
            return await _kill(rule, call, wire, answer)
        case "status" | "ratelimit" | "success_false" | "answer":
            return replacement(rule, call)
        case "drip" if answer is not None:
            await wire.drip(answer, rule.bytes_per_second)
            call.faults[-1]["sent"] = answer.status
        case "truncate" if answer is not None:
            await wire.truncate(answer, rule.keep)
        case "close":
            await wire.close()
        case _:
            await wire.reset()
    call.faults[-1]["over"] = True
    return None


async def _kill(rule: Rule, call: Call, wire: Wire, answer: Answer | None) -> Answer | None:
    client, server = call.client or ("", 0), call.server or ("", 0)
    # in a thread, for it reads the whole of /proc
    killed = await asyncio.to_thread(kill_caller, client[1], server[1] or 0, peer=rule.peer, parent=rule.parent)
    call.faults[-1]["killed"] = killed
    if not rule.peer:
        return answer
    call.faults[-1]["over"] = True
    await wire.reset()
    return None


def replacement(rule: Rule, call: Call) -> Answer:
    """Make the answer that a fault puts in the place of the server's."""
    match rule.action:
        case "status" if rule.html:
            title = f"{rule.status} from a proxy"
            return Answer.html(rule.status, f"<html><head><title>{title}</title></head></html>".encode())
        case "status":
            return Refusal(rule.status, "Server error", "Something went wrong.").render(call.vendor)
        case "ratelimit":
            return _ratelimit(rule, call)
        case "success_false":
            return _success_false(rule, call)
        case _:
            return Answer(rule.status, rule.body.encode().ljust(rule.pad_to), dict(rule.headers))


def _ratelimit(rule: Rule, call: Call) -> Answer:
    headers, extra = {}, {}
    if rule.form == "seconds":
        headers["Retry-After"] = str(rule.retry_after)
    elif rule.form == "http-date":
        # RFC 9110, section 10.2.3: an HTTP date is the other form of Retry-After
        moment = datetime.now(UTC) + timedelta(seconds=rule.retry_after)
        headers["Retry-After"] = format_datetime(moment, usegmt=True)
    elif rule.form == "body":
        extra["retryAfter"] = rule.retry_after
    message = "Minute limit exceeded. Please try again later."
    return Refusal(429, "Too many requests", message, headers=headers).render(call.vendor, **extra)


def _success_false(rule: Rule, call: Call) -> Answer:
    payload: dict[str, Any] = {"success": False}
    if rule.explained and call.vendor == "hiringcenter":
        payload |= {"error": "Validation failed", "message": "The meeting could not be saved."}
    elif rule.explained:
        payload |= {"errors": [{"code": "VALIDATION_FAILED", "message": "The meeting could not be saved."}]}
    return Answer.json(200, payload)
