"""The gateway: what happens to every request to either API before and after the vendor's own rules."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import api_keys
from .api_errors import ApiError, unauthorized
from .api_request import ApiRequest
from .client_socket import ClientSocket
from .fault_effects import FaultEffects
from .fault_rules import REPLACING
from .responses import ApiResponse, Vendor, vendor_of
from .sandbox import Sandbox

MAX_BODY = 5_000_000


class Gateway:
    """ASGI middleware: request log, key, rate limit, idempotency and faults around the vendors' routes."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        vendor = vendor_of(scope["path"]) if scope["type"] == "http" else None
        if vendor is None:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:  # the client left in the middle of its request
            return
        request = _api_request(vendor, scope, body)
        request.number = self._sandbox.log.record_arrival(request)
        try:
            await self._serve(request, scope, ClientSocket(scope, receive, send, self._sandbox.clock))
        finally:
            self._sandbox.keys.release(request)

    async def _serve(self, request: ApiRequest, scope: Scope, connection: ClientSocket) -> None:
        headers, refused = self._admit(request)
        faults, effects = self._sandbox.faults, FaultEffects(request, connection, self._sandbox.clock)
        response: ApiResponse | None = None
        status: int | None = None
        # Nothing is known of a real server's order; the key is claimed first, so that a slow request is "in progress".
        effects.send_interim(faults.take_decorating("before", request))
        if (hit := faults.take("before", request)) is not None:
            response = await effects.apply(hit, None)
        after = None
        if response is None and not request.ended:
            response = refused or await self._perform(request, scope)
            # the response is decided and stored: a repeat from now on gets it, however slowly this one leaves
            self._sandbox.keys.release(request)
            response.headers |= headers
            status = response.status
            after = faults.take("after", request, status)
            if after is not None:
                # The log knows what the server decided before the fault does its work.
                self._sandbox.log.record_response(request, status=status, sent=None)
                if after.rule.action in REPLACING:
                    response, after = effects.replacement(after.rule), None
        if response is not None:
            decorating = faults.take_decorating("after", request, response.status)
            effects.send_interim(decorating)
            response = effects.decorate(decorating, response)
            if after is not None:
                response = await effects.apply(after, response)
        if response is None:
            self._sandbox.log.record_response(request, status=status, sent=request.sent)
            return
        # written before the response leaves: a client that has the response finds its row complete
        self._sandbox.log.record_response(request, status=status, sent=response.status)
        await connection.send(response)

    def _admit(self, request: ApiRequest) -> tuple[dict[str, str], ApiResponse | None]:
        """Return the headers that the key's limits ask for, and the response if the request goes no further."""
        if request.key is None:
            return {}, unauthorized(request.vendor)
        headers: dict[str, str] = {}
        if request.vendor == "hiringcenter":
            headers, limited = self._sandbox.limiter.hit(request.key.name)
            if limited is not None:
                return headers, limited
        if len(request.body) > MAX_BODY:
            return headers, ApiError(413, "Payload too large").render(request.vendor)
        try:
            return headers, self._sandbox.keys.claim(request)
        except ApiError as error:
            return headers, error.render(request.vendor)

    async def _perform(self, request: ApiRequest, scope: Scope) -> ApiResponse:
        # at least one turn of the loop, so that of two simultaneous requests with one key the second finds the first
        await asyncio.sleep(self._sandbox.options.latency)
        scope.setdefault("state", {})["api_request"] = request
        if request.vendor == "builderprime" and request.method == "HEAD":
            # Builder Prime allows HEAD, which is a GET whose body stays away; the server leaves the body out
            scope = {**scope, "method": "GET"}
        collector = _ResponseCollector(request.body)
        await self._app(scope, collector.receive, collector.send)
        return ApiResponse(collector.status, bytes(collector.body), collector.headers)


class _ResponseCollector:
    """Plays the server towards the routes: hands them the body, and collects their response."""

    def __init__(self, body: bytes) -> None:
        self._request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self.status = 500
        self.headers: dict[str, str] = {}
        self.body = bytearray()

    async def receive(self) -> Message:
        return self._request.pop() if self._request else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            raw = message.get("headers", [])
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
            self.headers.pop("content-length", None)  # a fault may still change the body
        else:
            self.body += message.get("body", b"")


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _api_request(vendor: Vendor, scope: Scope, body: bytes) -> ApiRequest:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return ApiRequest(
        vendor=vendor,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        key=api_keys.find(vendor, headers),
        client=scope.get("client"),
        server=scope.get("server"),
    )
