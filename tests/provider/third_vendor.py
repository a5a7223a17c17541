"""Plinth, a vendor that there is not: its connection, its rules, its hook, and the line that registers it.

All that the package has to know of a vendor is in this file, which no line of the package names; the server of it, for
the tests alone, is in the file beside it. It differs from both
real ones: meetings are called appointments, their id is ``uid``, moments come back as text, lists are turned by a
cursor, earliest first, ``ok`` says whether all is well, a change is a PATCH, and a deletion is answered without a body.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_meetings.connection.form import VendorInfo, number
from airflow_provider_meetings.connection.reader import ConnectionReader, read_positive
from airflow_provider_meetings.connection.registry import VendorEntry
from airflow_provider_meetings.connection.settings import Settings
from airflow_provider_meetings.core.flow import Page, Request
from airflow_provider_meetings.core.retry import RetryState
from airflow_provider_meetings.hooks.meetings import MeetingsHook
from airflow_provider_meetings.vendors.creates import KeyedVendor
from airflow_provider_meetings.vendors.fields import Field, FieldTable
from airflow_provider_meetings.vendors.matching import same_moment, same_text
from airflow_provider_meetings.vendors.records import RecordMapping
from airflow_provider_meetings.vendors.responses import Envelope, VendorError, decode, is_gone, is_success

#: The line of the registry.
LINE = ("plinth", VendorEntry(f"{__name__}.PlinthHook", f"{__name__}.INFO"))

INFO = VendorInfo(
    name="Plinth",
    host_label="Address",
    placeholders={"host": "https://plinth.test/v7"},
    own_fields={"key_life": number("Key life (s)", "How long Plinth remembers an idempotency key.", 600)},
    moments=frozenset({"begins", "made", "touched"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlinthSettings(Settings):
    """A ``plinth`` connection."""

    vendor = "plinth"
    api_key: str = field(repr=False)
    key_life: float = float(INFO.default("key_life"))

    @classmethod
    def from_connection(cls, conn: Any) -> "PlinthSettings":
        """Read an Airflow connection."""
        form = ConnectionReader(conn, INFO)
        values = {"base_url": form.url(form.host, endpoint="/v7/appointments"), "api_key": form.password}
        values |= {"key_life": form.take("key_life", read_positive), **form.common()}
        form.finish()
        return cls(**values)

    def credentials(self, scope: str) -> Mapping[str, str]:  # noqa: ARG002 - one key does everything
        """``X-Plinth-Token``."""
        return {"X-Plinth-Token": self.api_key}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The one key."""
        return (self.api_key,)


@dataclass(frozen=True, slots=True)
class Plinth(KeyedVendor):
    """Plinth over one connection."""

    name = "Plinth"
    collection = "/appointments"
    fields = FieldTable(
        vendor="Plinth",
        table=(
            Field("party", "id", "Who comes.", required=True, updatable=False),
            Field("begins", "moment", "When it begins.", required=True),
            Field("subject", "text", "What it is about."),
            Field("room", "label", "Where it is.", clearable=True),
            Field("notes", "text", "What to remember.", clearable=True, nullable=True),
        ),
    )
    filters: ClassVar = {"room": "label"}
    comparable_filters: ClassVar = {"room": "room"}
    comparable_fields: ClassVar = {
        "party": (("party",), same_text),
        "begins": (("begins",), same_moment),
        "subject": (("subject",), same_text),
        "room": (("room",), same_text),
        "notes": (("notes",), same_text),
    }
    record_mapping = RecordMapping(
        vendor="plinth",
        sources={"id": "uid", "starts_at": "begins", "title": "subject", "location": "room", "notes": "notes",
                 "counterpart_id": "party", "cancelled": "void", "created_at": "made", "updated_at": "touched"},
    )  # fmt: skip
    no_success = "`ok` is not true in it"
    id_field = "uid"
    date_field = "begins"
    created_field = "made"
    cancelled_field = "void"
    last_modified_fields = frozenset({"touched"})
    counterpart_field = "party"
    counterpart_is_mutable = False

    page_size: int = 3
    idempotency_window: float = field(kw_only=True)

    def parse(self, request, response):
        """Open ``{"ok": true, "result": …}`` or ``{"ok": false, "problem": {"kind": …, "text": …}}``."""
        content = {"ok": True} if is_gone(request, response) else decode(response.body)
        problem = (content or {}).get("problem")
        if is_success(response.status) and content is not None and content.get("ok") is True:
            return Envelope(response, response.status, content=content)
        if not isinstance(problem, dict):
            return Envelope(response, response.status, is_own=False, content=content)
        error = VendorError(str(problem.get("kind")), str(problem.get("text")))
        return Envelope(response, response.status, content=content, error=error)

    def record_in(self, content):
        """Return the appointment."""
        return content.get("result")

    def update_request(self, path, body, key):
        """Change an appointment."""
        return Request("PATCH", path, body=body, idempotency_key=key, scope="meetings.edit")

    def listing(self, window, filters=(), expected=()):  # noqa: ARG002 - each page leads to the next
        """List by cursor, earliest first; a cursor names the last appointment, so that nothing slips through."""
        whole, cursor = RetryState(self.retry_limits), ""
        while cursor is not None:
            state = whole.child()
            items, cursor, _ = yield from self._page(window, filters, cursor, state)
            whole.slept = state.slept
            yield Page(items)

    def list_instant(self, instant, body, retry_state):  # noqa: ARG002 - an instant is few appointments
        """List what begins at a moment."""
        found, cursor = [], ""
        while cursor is not None:
            items, cursor, response = yield from self._page(instant, (), cursor, retry_state.child())
            found += items
        return found, response

    def _page(self, window, filters, cursor, retry_state):
        bounds = {"from": window.start, "until": window.end, "after": cursor or None}
        params = (*filters, *((name, str(value)) for name, value in bounds.items() if value is not None))
        request = Request("GET", self.collection, params=params, scope="meetings.read")
        envelope = yield from self.call(request, retry_state, names_record=False)
        items = self.records_of(request, envelope, envelope.content.get("result"), "result")
        return items, envelope.content.get("more"), envelope.response

    def check(self):
        """Ask who we are."""
        envelope = yield from self.call(Request("GET", "/whoami"), RetryState(self.retry_limits), names_record=False)
        return f"Plinth knows the key of {envelope.content['result']}"


class PlinthHook(MeetingsHook[PlinthSettings, Plinth]):
    """Appointments in Plinth."""

    conn_type = "plinth"
    hook_name = "Plinth"
    default_conn_name = "plinth_default"
    settings_type = PlinthSettings
    record_mapping = Plinth.record_mapping

    def _vendor_of(self, settings, errors):
        return Plinth(errors, settings.retry_limits, idempotency_window=settings.key_life)

    def _check(self, vendor):
        return vendor.check()
