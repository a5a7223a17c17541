"""What passes between a vendor's rules and a transport: values, and the generators that exchange them.

A vendor module never opens a socket. It writes its part of a conversation as a generator that yields steps and is sent
the answers; a transport drives it. So one piece of code serves the worker (``requests``) and the triggerer
(``aiohttp``), and a test drives it with canned answers::

    call = vendor.get("42")
    request = next(call)                        # a Request
    call.send(Response(200, body=b"..."))       # StopIteration.value is the meeting

An answer that never came is thrown into the generator as a
:class:`~airflow_provider_meetings.exceptions.MeetingsTransportError`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from airflow_provider_meetings.exceptions import MeetingsError

__all__ = [
    "AskCaller",
    "BeforeSend",
    "Command",
    "Flow",
    "Gather",
    "Log",
    "Now",
    "Page",
    "PageFlow",
    "RenewKey",
    "Request",
    "Response",
    "SaveJournal",
    "Sleep",
    "relay",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without host and without credentials: the transport adds both.

    Attributes:
        method: The HTTP method.
        path: Below the connection's base URL, with a leading slash.
        params: The query, in order.
        body: The exact bytes to send, or None. Repeats send these very bytes.
        idempotency_key: Goes into the header that the vendor has for it; None sends no such header.
        scope: What the key must be allowed to do; it chooses the key where a connection has several.
        repeatable: Whether sending it twice is as good as once. Not a property of the method: Builder Prime updates
            with a POST that may be repeated and creates with a POST that must not be.
        creates: It makes a meeting: an :class:`BeforeSend` goes before each send of it.
        attempt: Counts the sends of the same request, from 1; for the log.
        one_of_many: Its success is worth no line of its own in the log.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    idempotency_key: str | None = None
    scope: str = ""
    repeatable: bool = True
    creates: bool = False
    attempt: int = 1
    one_of_many: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The decoded bytes.
        sent_at: When the request was sent, in seconds since the epoch.
        received_at: When the answer had been read, in seconds since the epoch.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    sent_at: float = 0.0
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait before going on.

    Attributes:
        seconds: How long.
        reason: Why, for the log.
    """

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Calls that do not depend on each other; the answer is the list of their results, in order."""

    calls: Sequence[Flow[Any]]


@dataclass(frozen=True, slots=True)
class BeforeSend:
    """A request that makes a meeting is sent next. A transport ignores it; the journal writes it down first."""


@dataclass(frozen=True, slots=True)
class RenewKey:
    """The vendor has refused the key of a read; the answer is whether there is another one now, to be sent with.

    Attributes:
        scope: What the key must be allowed to do.
    """

    scope: str


@dataclass(frozen=True, slots=True)
class Now:
    """Tell the time; the answer is in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class SaveJournal:
    """Write the journal, durably, before going on.

    Attributes:
        document: The journal as plain JSON; or what returns it when it is written, for calls in parallel that share it.
    """

    document: dict[str, Any] | Callable[[], dict[str, Any]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskCaller:
    """Have whoever made the call read something that is not the vendor's; the answer is what was read.

    Attributes:
        read: Reads it.
    """

    read: Callable[[], Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Log:
    """A line of the story for the task log.

    Attributes:
        text: The line.
        event: What it is called where such things are counted (:mod:`.metrics`); blank: it is not.
    """

    text: str
    event: str = ""


@dataclass(slots=True)
class Page:
    """Some meetings of a list; whoever takes it owns the list of items and may empty it."""

    items: list[dict[str, Any]]


Command: TypeAlias = Request | Sleep | Gather | BeforeSend | RenewKey | Now | SaveJournal | AskCaller | Log
#: A conversation with one result.
Flow: TypeAlias = Generator[Command, Any, T]
#: A conversation that hands over meetings page by page.
PageFlow: TypeAlias = Generator[Command | Page, Any, None]


def relay(
    flow: Flow[T],
    before: Callable[[Command], Flow[Command | None]],
    after: Callable[[Command, Any], None] = lambda *_: None,
) -> Flow[T]:
    """Run a flow within another one, which sees its commands before they are carried out.

    Args:
        flow: The flow; an error of a command that was passed on is raised in it.
        before: Does what has to be done before a command; returns the command to pass on, or None for nothing.
        after: Gets each command that was passed on, with its answer.
    """
    answer: Any = None
    failure: MeetingsError | None = None
    while True:
        try:
            command = flow.send(answer) if failure is None else flow.throw(failure)
        except StopIteration as done:
            result: T = done.value
            return result
        answer = failure = None
        passed_on = yield from before(command)
        if passed_on is None:
            continue
        try:
            answer = yield passed_on
        except MeetingsError as error:
            failure = error
        else:
            after(passed_on, answer)
