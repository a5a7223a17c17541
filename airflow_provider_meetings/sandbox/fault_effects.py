"""What a fault does to a request: on the socket, in time, in place of the response, or to the response."""

import asyncio
import re
from typing import Any

from .api_errors import GENERAL_CODE, ApiError
from .api_request import ApiRequest
from .client_socket import ClientSocket
from .clock import VendorClock
from .fault_rules import REPLACING, FaultRule, Hit, WaitForm
from .peer_process import kill_caller
from .responses import ApiResponse, Vendor

_RATE_LIMIT_TEXT = "Minute limit exceeded. Please try again later."
_NOT_SAVED_TEXT = "The meeting could not be saved."


class FaultEffects:
    """Carries out the faults of one request."""

    def __init__(self, request: ApiRequest, connection: ClientSocket, clock: VendorClock) -> None:
        self._request = request
        self._socket = connection
        self._clock = clock

    async def apply(self, hit: Hit, response: ApiResponse | None) -> ApiResponse | None:
        """Let a fault do its work.

        Args:
            hit: The fault.
            response: What the server would send; None while it has not acted.

        Returns:
            The response that is to leave, or ``response`` as it came if the fault only took time; None if the request
            is over (``request.ended``), or if the server has yet to act.
        """
        rule = hit.rule
        if rule.action in REPLACING:
            return self.replacement(rule)
        match rule.action:
            case "delay":
                await asyncio.sleep(rule.seconds)
                return response
            case "kill":
                return await self._kill(hit, response)
            case "drip" if response is not None:
                await self._socket.drip(response, rule.bytes_per_second)
                self._request.sent = hit.record["sent"] = response.status
            case "truncate" if response is not None:
                await self._socket.truncate(response, rule.keep)
            case "close":
                await self._socket.close()
            case _:
                await self._socket.reset()
        self._end(hit)
        return None

    def send_interim(self, hits: list[Hit]) -> None:
        """Send the informational responses that decorating faults ask for."""
        for hit in hits:
            if hit.rule.action == "interim":
                for status in hit.rule.interim:
                    self._socket.send_interim(status, self._filled(hit.rule.headers))

    def decorate(self, hits: list[Hit], response: ApiResponse) -> ApiResponse:
        """Return the response with the headers and the rewritten body that decorating faults ask for."""
        body, headers = response.body, dict(response.headers)
        for hit in hits:
            if hit.rule.action == "headers":
                headers |= self._filled(hit.rule.headers)
            elif hit.rule.action == "rewrite":
                body = _rewritten(body, hit.rule.find, hit.rule.put)
        return ApiResponse(response.status, body, headers)

    def replacement(self, rule: FaultRule) -> ApiResponse:
        """Make the response that a fault puts in the place of the server's."""
        headers, extra = self._wait(rule)
        headers |= self._filled(rule.headers)
        vendor = self._request.vendor
        match rule.action:
            case "status" if rule.html:
                title = f"{rule.status} from a proxy"
                page = f"<html><head><title>{title}</title></head></html>".encode()
                return ApiResponse.html(rule.status, page, headers)
            case "status":
                text = rule.message or "Something went wrong."
                title, code = rule.code or "Server error", rule.code or GENERAL_CODE
                error = ApiError(rule.status, title, text, code=code, headers=headers)
                return error.render(vendor, **extra)
            case "ratelimit":
                text = rule.message or _RATE_LIMIT_TEXT
                title, code = rule.code or "Too many requests", rule.code or "RATE_LIMIT"
                return ApiError(429, title, text, code=code, headers=headers).render(vendor, **extra)
            case "success_false":
                return ApiResponse.json(200, {"success": False, **_explanation(rule, vendor), **extra}, headers)
            case _:
                return ApiResponse(rule.status, rule.body.encode().ljust(rule.pad_to), headers)

    def _wait(self, rule: FaultRule) -> tuple[dict[str, str], dict[str, Any]]:
        """Return how long to wait, as headers and as fields of the body."""
        wait = rule.wait
        if wait is None or rule.form == "none":
            return {}, {}
        if rule.form == "body":
            return {}, {"retryAfter": wait}
        return {"Retry-After": self._retry_after(wait, rule.form) if isinstance(wait, int) else wait}, {}

    def _retry_after(self, seconds: int, form: WaitForm) -> str:
        match form:
            case "http-date":
                # RFC 9110, section 10.2.3: an HTTP date is the other form of Retry-After
                return self._clock.http_date(seconds)
            # no RFC knows these two; gateways send them
            case "epoch-seconds":
                return str(int(self._clock.now()) + seconds)
            case "epoch-ms":
                return str(self._clock.milliseconds() + 1000 * seconds)
            case _:
                return str(seconds)

    def _filled(self, headers: dict[str, str]) -> dict[str, str]:
        return {name: value.replace("{number}", str(self._request.number)) for name, value in headers.items()}

    async def _kill(self, hit: Hit, response: ApiResponse | None) -> ApiResponse | None:
        rule = hit.rule
        client, server = self._request.client or ("", 0), self._request.server or ("", 0)
        # in a thread, for it reads the whole of /proc
        killed = await asyncio.to_thread(kill_caller, client[1], server[1] or 0, peer=rule.peer, parent=rule.parent)
        hit.record["killed"] = killed
        if not rule.peer:
            return response
        self._end(hit)
        await self._socket.reset()
        return None

    def _end(self, hit: Hit) -> None:
        self._request.ended = hit.record["over"] = True


def _explanation(rule: FaultRule, vendor: Vendor) -> dict[str, Any]:
    """Return the words of a failure that comes with status 200."""
    if not rule.explained:
        return {}
    text = rule.message or _NOT_SAVED_TEXT
    if vendor == "hiringcenter":
        return {"error": rule.code or "Validation failed", "message": text}
    return {"errors": [{"code": rule.code or GENERAL_CODE, "message": text}]}


def _rewritten(body: bytes, find: str, put: str) -> bytes:
    # Latin-1 maps bytes to characters one to one, so any byte can be found and put
    return re.sub(find, lambda _: put, body.decode("latin-1")).encode("latin-1")
