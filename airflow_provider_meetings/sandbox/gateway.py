"""The gateway: what happens to every request to either API before and after the vendor's own rules."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import keys
from .answers import Answer, Refusal, Vendor, vendor_of
from .call import Call
from .effects import Wire, apply
from .sandbox import Sandbox

MAX_BODY = 5_000_000


class Gateway:
    """ASGI middleware: journal, key, rate limit, idempotency and faults around the vendors' routes."""

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
        call = _call(vendor, scope, body)
        call.number = self._sandbox.journal.arrive(call)
        try:
            await self._serve(call, scope, Wire(scope, receive, send))
        finally:
            self._sandbox.keys.release(call)

    async def _serve(self, call: Call, scope: Scope, wire: Wire) -> None:
        headers, refused = self._admit(call)
        answer: Answer | None = None
        status: int | None = None
        before = self._sandbox.faults.take("before", call)
        # Nothing is known of a real server's order; the key is claimed first, so that a slow request is "in progress".
        if before is not None:
            answer = await apply(before, call, wire, None)
        if answer is None and not _over(call):
            answer = refused or await self._perform(call, scope)
            # the answer is settled and stored: whoever asks again from now on gets it, however slowly this one leaves
            self._sandbox.keys.release(call)
            answer.headers |= headers
            status = answer.status
            after = self._sandbox.faults.take("after", call, status)
            if after is not None:
                # The journal knows what the server decided before the fault does its work.
                self._sandbox.journal.finish(call, status=status, sent=None)
                answer = await apply(after, call, wire, answer)
        if answer is None or _over(call):
            dripped = call.faults[-1].get("sent") if call.faults else None
            self._sandbox.journal.finish(call, status=status, sent=dripped)
            return
        # written before the answer leaves: who has the answer finds its row complete
        self._sandbox.journal.finish(call, status=status, sent=answer.status)
        await wire.answer(answer)

    def _admit(self, call: Call) -> tuple[dict[str, str], Answer | None]:
        """Return the headers that the key's limits ask for, and the answer if the request goes no further."""
        if call.key is None:
            return {}, Refusal(401, "Unauthorized", "The API key is missing or not known.").render(call.vendor)
        headers: dict[str, str] = {}
        if call.vendor == "hiringcenter":
            headers, limited = self._sandbox.limiter.hit(call.key.name)
            if limited is not None:
                return headers, limited
        if len(call.body) > MAX_BODY:
            return headers, Refusal(413, "Payload too large").render(call.vendor)
        try:
            return headers, self._sandbox.keys.claim(call)
        except Refusal as refusal:
            return headers, refusal.render(call.vendor)

    async def _perform(self, call: Call, scope: Scope) -> Answer:
        # at least one turn of the loop, so that of two simultaneous requests with one key the second finds the first
        await asyncio.sleep(self._sandbox.options.latency)
        scope.setdefault("state", {})["call"] = call
        collected = _Collector(call.body)
        await self._app(scope, collected.receive, collected.send)
        return Answer(collected.status, bytes(collected.body), collected.headers)


class _Collector:
    """Plays the server towards the routes: hands them the body, and collects their answer."""

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
        else:
            self.body += message.get("body", b"")


def _over(call: Call) -> bool:
    return bool(call.faults) and bool(call.faults[-1].get("over"))


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _call(vendor: Vendor, scope: Scope, body: bytes) -> Call:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Call(
        vendor=vendor,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        key=keys.find(vendor, headers),
        client=scope.get("client"),
        server=scope.get("server"),
    )
