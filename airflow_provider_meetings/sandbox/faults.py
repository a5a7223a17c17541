"""Faults: rules that say which request is to be hit, when, and by what. They are consumed, journaled and readable."""

import random
import re
import time
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .answers import Vendor
from .call import Call

When = Literal["before", "after"]


class Match(BaseModel):
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
            try:
                re.compile(expression or "")
            except re.error as error:
                raise ValueError(f"{expression!r} is no regular expression: {error}") from error
        return self

    def matches(self, call: Call, status: int | None) -> bool:
        """Say whether the call is one of these."""
        return (
            self.vendor in (None, call.vendor)
            and (self.method or call.method).upper() == call.method
            and self.status in (None, status)
            and re.search(self.path_regex or "", call.path) is not None
            and re.search(self.query_regex or "", call.query) is not None
            and re.search(self.body_regex or "", call.body.decode("utf-8", "replace")) is not None
            and all(
                name.lower() in call.headers and re.search(expression, call.headers[name.lower()]) is not None
                for name, expression in self.header.items()
            )
        )


class Rule(BaseModel):
    """One fault. ``before``: the server never acts (a delay excepted); ``after``: it acted, and the answer suffers."""

    model_config = ConfigDict(extra="forbid")

    match: Match = Field(default_factory=Match)
    when: When = "before"
    action: Literal[
        "reset", "close", "delay", "drip", "truncate", "status", "ratelimit", "success_false", "answer", "kill"
    ]
    times: int | None = Field(default=1, ge=1, description="how many requests it hits; null: all")
    skip: int = Field(default=0, ge=0, description="matching requests that pass before the first hit")
    probability: float = Field(default=1.0, ge=0, le=1)
    seconds: float = Field(default=1.0, ge=0, description="delay")
    bytes_per_second: float = Field(default=10.0, gt=0, description="drip: speed of the body")
    keep: float = Field(default=0.5, ge=0, lt=1, description="truncate: the part of the body that is sent")
    status: int = Field(default=503, ge=200, le=599, description="status, answer: the status to send")
    html: bool = Field(default=True, description="status: an HTML page, as a proxy makes it, or the vendor's envelope")
    form: Literal["seconds", "http-date", "body", "none"] = Field(
        default="seconds", description="ratelimit: where the wait is"
    )
    retry_after: int = Field(default=1, ge=0, description="ratelimit: the wait in seconds")
    explained: bool = Field(default=True, description="success_false: with the vendor's words, or bare")
    headers: dict[str, str] = Field(default_factory=dict, description="answer: its headers")
    body: str = Field(default="", description="answer: its body")
    pad_to: int = Field(default=0, ge=0, description="answer: fill the body with spaces up to so many bytes")
    peer: bool = Field(default=True, description="kill: the process that holds the other end of the connection")
    parent: bool = Field(default=False, description="kill: that process's parent, for Airflow the task's supervisor")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.when == "before" and self.action in {"drip", "truncate"}:
            raise ValueError(f"{self.action} needs an answer to work on: when must be 'after'")
        if self.when == "before" and self.match.status is not None:
            raise ValueError("match.status is not known before the server acted: when must be 'after'")
        if self.action == "kill" and not (self.peer or self.parent):
            raise ValueError("kill needs peer, parent or both")
        return self


class FaultBook:
    """The rules, in the order they came, and each one's hits."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._next = 1
        self._random = random.Random(0)  # noqa: S311 - repeatable on purpose

    def add(self, rule: Rule) -> dict[str, Any]:
        """Add a rule and return it with its number."""
        entry = _Entry(self._next, rule)
        self._next += 1
        self._entries.append(entry)
        return entry.show()

    def take(self, when: When, call: Call, status: int | None = None) -> Rule | None:
        """Return the first rule that hits the call now, consumed by one."""
        for entry in self._entries:
            rule = entry.rule
            if rule.when != when or entry.exhausted or not rule.match.matches(call, status):
                continue
            entry.seen += 1
            if entry.seen <= rule.skip or self._random.random() >= rule.probability:
                continue
            # the call carries the very dict of the hit, so what the effect adds (pids) shows in both places
            hit = {"rule": entry.number, "when": when, "action": rule.action}
            call.faults.append(hit)
            entry.hits.append((call, int(time.time() * 1000), hit))
            return rule
        return None

    def show(self) -> list[dict[str, Any]]:
        """Return every rule with what remains of it and its hits."""
        return [entry.show() for entry in self._entries]

    def clear(self) -> int:
        """Drop every rule and return how many there were."""
        count = len(self._entries)
        self._entries.clear()
        return count


class _Entry:
    def __init__(self, number: int, rule: Rule) -> None:
        self.number = number
        self.rule = rule
        self.seen = 0
        self.hits: list[tuple[Call, int, dict[str, Any]]] = []

    @property
    def exhausted(self) -> bool:
        return self.rule.times is not None and len(self.hits) >= self.rule.times

    def show(self) -> dict[str, Any]:
        remaining = None if self.rule.times is None else self.rule.times - len(self.hits)
        hits = [
            {"journal": call.number, "at": at, "method": call.method, "path": call.path} | hit
            for call, at, hit in self.hits
        ]
        return {"id": self.number, **self.rule.model_dump(), "remaining": remaining, "seen": self.seen, "hits": hits}
