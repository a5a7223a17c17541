"""The sandbox as a test sees it: both connections, what the vendors have and were asked, other users, faults."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import requests

from airflow_provider_meetings.testing.process import SandboxProcess

__all__ = ["DEFAULT_CONN_IDS", "MeetingsSandbox", "Vendor", "run_sandbox"]

Vendor: TypeAlias = Literal["hiringcenter", "builderprime"]

#: The connection ids that a DAG uses when it names none, and whose they are.
DEFAULT_CONN_IDS: Mapping[str, Vendor] = {
    "hiringcenter_default": "hiringcenter",
    "builderprime_default": "builderprime",
}

_ANSWER_SECONDS = 30
_LONGER_THAN_ANY_KEY_LIVES = 1e9
_LOOPBACK = "127.0.0.1,localhost"


class MeetingsSandbox:
    """A running sandbox.

    A meeting of its tables is a ``dict`` of the table's columns: the vendor's own field names, moments as Unix
    milliseconds. Every method speaks to the sandbox's control API, which no DAG sees.

    Args:
        facts: What the sandbox wrote into its ready file; it must have been started with ``--control``.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy is not for this machine
        self._options = self.control("GET", "/settings")
        self._before: dict[str, str | None] | None = None

    @property
    def url(self) -> str:
        """Where it listens; ``/docs`` below it is its reference."""
        return str(self.facts["url"])

    # -- what happened

    def meetings(self, vendor: Vendor) -> list[dict[str, Any]]:
        """Return every meeting that the vendor has now, by id."""
        found: list[dict[str, Any]] = self.control("GET", "/meetings")[vendor]
        return found

    def calendar(self, vendor: Vendor, *fields: str, include_cancelled: bool = False) -> list[dict[str, Any]]:
        """Return a vendor's calendar as a list to compare with: its meetings by start, in the vendor's own shape.

        Where :meth:`meetings` shows columns, this shows what the API can: ``meetingTypeName``, ``employeeFirstName``,
        ``clientLastName``, ``True`` and ``False``.

        Args:
            vendor: Whose calendar.
            fields: Only these fields of each meeting; all that the vendor has if none is named.
            include_cancelled: Also the meetings that Builder Prime marks as cancelled.

        Raises:
            RuntimeError: A meeting of this vendor has no such field; the text names those that it has.
        """
        found: list[dict[str, Any]] = self.control("GET", f"/calendar/{vendor}")
        shown = [meeting for meeting in found if include_cancelled or not meeting.get("isMeetingCancelled")]
        unknown = sorted({name for name in fields for meeting in found if name not in meeting})
        if unknown:
            raise RuntimeError(f"Unknown fields: {', '.join(unknown)}; a meeting has {', '.join(sorted(found[0]))}")
        return [{name: meeting[name] for name in fields or meeting} for meeting in shown]

    def journal(
        self, *, vendor: Vendor | None = None, method: str | None = None, acted: bool | None = None, since: int = 0
    ) -> list[dict[str, Any]]:
        """Return the log of the requests that arrived, oldest first.

        Args:
            vendor: Only those to one vendor.
            method: Only those with this HTTP method, in capitals.
            acted: True: only those that changed a meeting; False: only those that did not.
            since: Only those with a greater ``id``.

        Returns:
            A row each: ``id``, ``at`` (Unix milliseconds), ``vendor``, ``method``, ``path``, ``query``, ``headers``
            (by lower-case name; never a key), ``body``, ``clientPort`` (the same for requests on one connection),
            ``keyName``, ``idempotencyKey``, ``status`` (what the vendor decided), ``sent`` (what the client got, None
            if nothing), ``acted`` (``created``, ``updated``, ``deleted`` or None), ``meetingId``, ``replayed``,
            ``fault``.
        """
        query = {"vendor": vendor, "method": method, "acted": acted, "since": since}
        rows: list[dict[str, Any]] = self.control("GET", "/journal", params=query)
        return rows

    def reference(self) -> dict[str, list[dict[str, Any]]]:
        """Return Builder Prime's ``employees``, ``opportunities``, ``types`` and ``results``, with their ids."""
        lists: dict[str, list[dict[str, Any]]] = self.control("GET", "/reference")
        return lists

    # -- what a user of the vendor's app does

    def insert(self, vendor: Vendor, *meetings: Mapping[str, Any]) -> list[Any]:
        """Book meetings in the vendor's app, and return their ids; columns that are left out are made up.

        Raises:
            RuntimeError: The table has no such column; the text names those that it has.
        """
        edit = {"vendor": vendor, "op": "insert", "meetings": meetings}
        ids: list[Any] = self.control("POST", "/meetings", json=edit)["ids"]
        return ids

    def edit(self, vendor: Vendor, meeting_id: Any, **changes: Any) -> bool:
        """Change columns of a meeting in the vendor's app; False: there is none with this id.

        As at the vendor, this also sets when the meeting was last changed: HiringCenter's ``updatedAt``, Builder
        Prime's ``lastModifiedDate``; unless ``changes`` says when.
        """
        return self._change("edit", vendor, meeting_id, meeting=changes)

    def cancel(self, vendor: Vendor, meeting_id: Any) -> bool:
        """Mark a meeting as cancelled; it stays in the list. False: there is none with this id.

        Raises:
            RuntimeError: The vendor has no such mark: only Builder Prime has (``isMeetingCancelled``).
        """
        return self._change("cancel", vendor, meeting_id)

    def restore(self, vendor: Vendor, meeting_id: Any) -> bool:
        """Take the mark of :meth:`cancel` away; False: there is no meeting with this id.

        Raises:
            RuntimeError: The vendor has no such mark: only Builder Prime has (``isMeetingCancelled``).
        """
        return self._change("restore", vendor, meeting_id)

    def remove(self, vendor: Vendor, meeting_id: Any) -> bool:
        """Delete a meeting in the vendor's app; False: there is none with this id."""
        return self._change("delete", vendor, meeting_id)

    # -- trouble

    def fault(self, action: str, *, match: Mapping[str, Any] | None = None, **rule: Any) -> None:
        """Make the sandbox misbehave.

        Args:
            action: ``status``, ``ratelimit``, ``delay``, ``reset``, ``close``, ``drip``, ``truncate``,
                ``success_false``, ``answer`` or ``kill``, of which the first that matches hits a request; ``headers``
                (adds some), ``interim`` (a 1xx before the final response) or ``rewrite`` (changes the body), which
                also change the response of another fault.
            match: Which requests: ``vendor``, ``method``, ``path_regex``, ``query_regex``, ``body_regex``, ``header``.
            rule: ``times`` (1; None: for ever), ``skip`` (0), ``when`` (``"before"`` the vendor acts, or ``"after"``),
                and what belongs to the action: ``status=503``, ``retry_after=1``, ``seconds=1`` and so on.

        Raises:
            RuntimeError: There is no such action, or it takes no such argument.
        """
        self.control("POST", "/faults", json={"action": action, "match": dict(match or {}), **rule})

    def options(self, **changes: Any) -> None:
        """Change what the vendors' pages leave open, or their figures, such as ``rate_limit_per_minute=5``.

        Raises:
            RuntimeError: There is no such option, or it takes no such value.
        """
        self.control("POST", "/settings", json=changes)

    def reset(self) -> None:
        """Make it as if it had just been started, without a meeting; Builder Prime's reference lists stay."""
        for path in ("/faults", "/meetings", "/journal"):
            self.control("DELETE", path)
        self.control("POST", "/idempotency/age", json={"seconds": _LONGER_THAN_ANY_KEY_LIVES})
        self.control("POST", "/ratelimits/reset")
        self.options(**self._options)

    def control(self, method: str, path: str, **keywords: Any) -> Any:
        """Call the control API and return its JSON; ``keywords`` are those of ``requests``.

        Raises:
            RuntimeError: It refused; the text says why.
        """
        answer = self._session.request(method, f"{self.url}/_control{path}", timeout=_ANSWER_SECONDS, **keywords)
        if not answer.ok:
            raise RuntimeError(f"The sandbox refused {method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    # -- connections

    def connection(self, vendor: Vendor, **extra: Any) -> str:
        """Return a connection to the sandbox in Airflow's JSON form; ``extra`` holds the connection's extras."""
        return json.dumps(json.loads(self.facts["connections"][f"{vendor}_default"]) | {"extra": extra})

    def connect(self, conn_id: str, vendor: Vendor, **extra: Any) -> str:
        """Set one more connection, or one of those there are anew, until the test is over; returns its id.

        Raises:
            RuntimeError: Outside of :meth:`connected`, which puts back what was there before.
        """
        self._set(f"AIRFLOW_CONN_{conn_id.upper()}", self.connection(vendor, **extra))
        for name in ("NO_PROXY", "no_proxy"):  # libraries read the one or the other
            hosts = os.environ.get(name, "")
            if not hosts.endswith(_LOOPBACK):
                self._set(name, f"{hosts},{_LOOPBACK}".lstrip(","))
        return conn_id

    @contextmanager
    def connected(self, conn_ids: Mapping[str, Vendor] = DEFAULT_CONN_IDS) -> Iterator[MeetingsSandbox]:
        """Set connections in the environment, and put back what was there before."""
        before: dict[str, str | None] = {}
        outer, self._before = self._before, before
        try:
            for conn_id, vendor in conn_ids.items():
                self.connect(conn_id, vendor)
            yield self
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            self._before = outer

    def close(self) -> None:
        """Close the connections to the control API."""
        self._session.close()

    def _change(self, operation: str, vendor: Vendor, meeting_id: Any, **fields: Any) -> bool:
        edit = {"vendor": vendor, "op": operation, "id": meeting_id, **fields}
        return bool(self.control("POST", "/meetings", json=edit)["changed"])

    def _set(self, name: str, value: str) -> None:
        if self._before is None:
            raise RuntimeError("Connections are set inside of `with sandbox.connected():`.")
        self._before.setdefault(name, os.environ.get(name))
        os.environ[name] = value


@contextmanager
def run_sandbox(
    *, conn_ids: Mapping[str, Vendor] = DEFAULT_CONN_IDS, meetings: int = 0, seed: int = 1, **options: Any
) -> Iterator[MeetingsSandbox]:
    """Run a sandbox, with its connections set, until the block ends.

    Args:
        conn_ids: The connections to set, and whose they are: the two default ones.
        meetings: How many meetings each vendor begins with, in this week and the next; the same for the same seed.
        seed: Decides the data that is made up: meetings, employees, customers.
        options: What the vendors' pages leave open, by the names of the sandbox's flags, such as ``page_cap=10``.

    Raises:
        RuntimeError: It did not start, an option is unknown, or the extra ``sandbox`` is not installed.
        TimeoutError: It was not ready after three minutes.
    """
    with tempfile.TemporaryDirectory(prefix="meetings-sandbox-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        arguments = ["--control", "--db", str(folder / "sandbox.db"), "--meetings", str(meetings), "--seed", str(seed)]
        for option, value in options.items():
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            arguments += [f"--{option.replace('_', '-')}", text]
        process = SandboxProcess(folder, *arguments)
        try:
            sandbox = MeetingsSandbox(process.facts)
            with sandbox.connected(conn_ids):
                yield sandbox
            sandbox.close()
        finally:
            process.stop()
