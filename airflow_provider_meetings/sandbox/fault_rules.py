"""Faults: rules that say which requests are hit, when, and by what. Hits are counted, logged and readable."""

import random
import re
import time
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .api_request import ApiRequest
from .responses import Vendor

When = Literal["before", "after"]
WaitForm = Literal["seconds", "http-date", "epoch-seconds", "epoch-ms", "body", "none"]

#: These put a response of their own in the place of the server's.
REPLACING = frozenset({"status", "ratelimit", "success_false", "answer"})
#: These change the response that leaves, also one that another fault has made; several can hit one request.
DECORATING = frozenset({"headers", "interim", "rewrite"})
#: These need a response to work on.
_AFTER_ONLY = frozenset({"drip", "truncate", "headers", "rewrite"})


class RequestMatch(BaseModel):
    """Which requests a rule is about; what is left out matches all. Expressions are searched, not anchored."""

    model_config = ConfigDict(extra="forbid")

    vendor: Vendor | None = None
    method: str | None = None
    path_regex: str | None = None
    query_regex: str | None = None
    body_regex: str | None = None
    header: dict[str, str] = Field(default_factory=dict, description="header name to expression")
    status: int | None = Field(default=None, description="only with when=after: the status that the server decided on")

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        for expression in (self.path_regex, self.query_regex, self.body_regex, *self.header.values()):
            _compile(expression or "")
        return self

    def matches(self, request: ApiRequest, status: int | None) -> bool:
        """Return whether the request is one of these."""
        return (
            self.vendor in (None, request.vendor)
            and (self.method or request.method).upper() == request.method
            and self.status in (None, status)
            and re.search(self.path_regex or "", request.path) is not None
            and re.search(self.query_regex or "", request.query) is not None
            and (not self.body_regex or re.search(self.body_regex, request.body.decode("utf-8", "replace")) is not None)
            and all(
                name.lower() in request.headers and re.search(expression, request.headers[name.lower()]) is not None
                for name, expression in self.header.items()
            )
        )


class FaultRule(BaseModel):
    """One fault.

    ``before``: the server never acts (delay, interim and a kill that spares the peer excepted); ``after``: it acted,
    and the response suffers. ``drip``, ``truncate``, ``headers`` and ``rewrite`` need a response and are ``after``.
    The first rule that matches a request hits it alone, but for ``headers``, ``interim`` and ``rewrite``: each of these
    that matches changes what leaves, the response of another fault included.
    """

    model_config = ConfigDict(extra="forbid")

    match: RequestMatch = Field(default_factory=RequestMatch)
    when: When = "before"
    action: Literal[
        "reset",
        "close",
        "delay",
        "drip",
        "truncate",
        "status",
        "ratelimit",
        "success_false",
        "answer",
        "kill",
        "headers",
        "interim",
        "rewrite",
    ] = Field(
        description="reset: cuts the connection with a TCP reset; close: closes it without a response; delay: waits; "
        "drip: sends the body slowly; truncate: sends a part of the body and closes; status: answers with a status; "
        "ratelimit: answers 429; success_false: answers 200 with success false; answer: answers anything; kill: kills "
        "the calling process; headers: adds or replaces headers; interim: sends a 1xx before the final response; "
        "rewrite: replaces parts of the body"
    )
    times: int | None = Field(default=1, ge=1, description="how many requests it hits; null: all")
    skip: int = Field(default=0, ge=0, description="matching requests that pass before the first hit")
    probability: float = Field(default=1.0, ge=0, le=1)
    seconds: float = Field(default=1.0, ge=0, description="delay")
    bytes_per_second: float = Field(default=10.0, gt=0, description="drip: speed of the body")
    keep: float = Field(default=0.5, ge=0, lt=1, description="truncate: the part of the body that is sent")
    status: int = Field(default=503, ge=200, le=599, description="status, answer: the status to send")
    html: bool = Field(default=True, description="status: an HTML page, as a proxy makes it, or the vendor's envelope")
    form: WaitForm = Field(
        default="seconds",
        description="status, ratelimit, success_false: how the wait is given: Retry-After in seconds, as an HTTP date, "
        "as a Unix timestamp in seconds or milliseconds; retryAfter in the body; or not at all",
    )
    retry_after: int | str | None = Field(
        default=None,
        description="status, ratelimit, success_false: the wait in seconds (ratelimit: 1 if left out, the others: no "
        "wait), or the very text of Retry-After, such as 1e20",
    )
    explained: bool = Field(default=True, description="success_false: with the vendor's words, or bare")
    code: str | None = Field(default=None, description="ratelimit, success_false, status without html: the error code")
    message: str | None = Field(default=None, description="ratelimit, success_false, status without html: the message")
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="answer, status, ratelimit, success_false, headers, interim: headers to send; {number} becomes the "
        "request's number in the log",
    )
    body: str = Field(default="", description="answer: its body")
    pad_to: int = Field(default=0, ge=0, description="answer: fill the body with spaces up to so many bytes")
    interim: list[int] = Field(
        default=[103], min_length=1, description="interim: informational responses (1xx) before the final one"
    )
    find: str = Field(default="", description="rewrite: an expression; each match in the body is replaced")
    put: str = Field(
        default="", description="rewrite: the replacement as it is; a character up to U+00FF is one byte on the wire"
    )
    peer: bool = Field(default=True, description="kill: the process that holds the other end of the connection")
    parent: bool = Field(default=False, description="kill: that process's parent, for Airflow the task's supervisor")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.action in _AFTER_ONLY and "when" not in self.model_fields_set:
            self.when = "after"
        if self.when == "before" and self.action in _AFTER_ONLY:
            raise ValueError(f"{self.action} needs a response to work on: when must be 'after'")
        if self.when == "before" and self.match.status is not None:
            raise ValueError("match.status is not known before the server acted: when must be 'after'")
        if self.action == "kill" and not (self.peer or self.parent):
            raise ValueError("kill needs peer, parent or both")
        if self.action == "rewrite" and not self.find:
            raise ValueError("rewrite needs an expression to find")
        _compile(self.find)
        if not all(100 <= status <= 199 for status in self.interim):  # noqa: PLR2004 - the 1xx
            raise ValueError("interim takes statuses from 100 to 199")
        for text in (self.put, *self.headers, *self.headers.values()):
            if not _is_latin_1(text):
                raise ValueError(f"{text!r} has characters beyond U+00FF, which are no bytes of a header or of put")
        return self

    @property
    def wait(self) -> int | str | None:
        """The wait to give, in seconds or as the header's text."""
        return 1 if self.action == "ratelimit" and self.retry_after is None else self.retry_after


@dataclass(frozen=True)
class Hit:
    """A rule that hits a request, and the record of it, which the log and the list of rules both show."""

    rule: FaultRule
    record: dict[str, Any]


class FaultRules:
    """The rules in the order they came, and the hits of each."""

    def __init__(self) -> None:
        self._rules: list[_CountedRule] = []
        self._next = 1
        self._random = random.Random(0)  # noqa: S311 - repeatable on purpose

    def add(self, rule: FaultRule) -> dict[str, Any]:
        """Add a rule and return it with its number."""
        counted = _CountedRule(self._next, rule)
        self._next += 1
        self._rules.append(counted)
        return counted.show()

    def take(self, when: When, request: ApiRequest, status: int | None = None) -> Hit | None:
        """Return the first rule that hits the request now and alone, counted down by one."""
        for counted in self._rules:
            if counted.rule.action not in DECORATING and (hit := self._hit(counted, when, request, status)):
                return hit
        return None

    def take_decorating(self, when: When, request: ApiRequest, status: int | None = None) -> list[Hit]:
        """Return every rule that decorates the request now, each counted down by one."""
        decorating = [counted for counted in self._rules if counted.rule.action in DECORATING]
        return [hit for counted in decorating if (hit := self._hit(counted, when, request, status))]

    def show(self) -> list[dict[str, Any]]:
        """Return every rule with what remains of it and its hits."""
        return [counted.show() for counted in self._rules]

    def clear(self) -> int:
        """Drop every rule and return how many there were."""
        count = len(self._rules)
        self._rules.clear()
        return count

    def _hit(self, counted: "_CountedRule", when: When, request: ApiRequest, status: int | None) -> Hit | None:
        rule = counted.rule
        if rule.when != when or counted.exhausted or not rule.match.matches(request, status):
            return None
        counted.seen += 1
        if counted.seen <= rule.skip or self._random.random() >= rule.probability:
            return None
        # one dict for both places, so that what the effect adds to it (killed pids) shows in both
        record = {"rule": counted.number, "when": when, "action": rule.action}
        request.faults.append(record)
        now = int(time.time() * 1000)
        hit = {"journal": request.number, "at": now, "method": request.method, "path": request.path}
        counted.hits.append((hit, record))
        return Hit(rule, record)


class _CountedRule:
    def __init__(self, number: int, rule: FaultRule) -> None:
        self.number = number
        self.rule = rule
        self.seen = 0
        self.hits: list[tuple[dict[str, Any], dict[str, Any]]] = []

    @property
    def exhausted(self) -> bool:
        return self.rule.times is not None and len(self.hits) >= self.rule.times

    def show(self) -> dict[str, Any]:
        remaining = None if self.rule.times is None else self.rule.times - len(self.hits)
        hits = [hit | record for hit, record in self.hits]
        return {"id": self.number, **self.rule.model_dump(), "remaining": remaining, "seen": self.seen, "hits": hits}


def _compile(expression: str) -> None:
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"{expression!r} is no regular expression: {error}") from error


def _is_latin_1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
