"""The hook for Builder Prime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_meetings.connection import legacy_forms
from airflow_provider_meetings.connection.builderprime import BuilderPrimeSettings
from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.core.lazy import lazy
from airflow_provider_meetings.core.times import DAY
from airflow_provider_meetings.hooks.meetings import MeetingsHook
from airflow_provider_meetings.vendors.builderprime import BuilderPrime
from airflow_provider_meetings.vendors.builderprime_types import TYPE_ID, TYPE_NAME, as_named, with_type_id
from airflow_provider_meetings.vendors.responses import ErrorFactory

__all__ = ["BuilderPrimeHook"]


class BuilderPrimeHook(MeetingsHook[BuilderPrimeSettings, BuilderPrime]):
    """Meetings in Builder Prime, a connection of type ``builderprime``; see :class:`.MeetingsHook`."""

    conn_type = "builderprime"
    hook_name = "Builder Prime"
    default_conn_name = "builderprime_default"
    settings_type = BuilderPrimeSettings
    record_mapping = BuilderPrime.record_mapping

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of the connection form below Airflow 3.2; newer ones take them from the description."""
        return legacy_forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the connection form below Airflow 3.2 hides, renames and suggests."""
        return legacy_forms.behaviour(cls.conn_type)

    def list_meeting_types(self) -> list[dict[str, Any]]:
        """List the account's meeting types, such as ``{"id": 1011, "name": "Sales Meeting", …}``."""
        return self._transport.drive(self._vendor.types())

    def get_meeting_type(self, meeting_type_id: Any) -> dict[str, Any]:
        """Get one meeting type.

        Raises:
            MeetingNotFoundError: There is no such meeting type.
        """
        return self._transport.drive(self._vendor.type(meeting_type_id))

    def list_meeting_results(self) -> list[dict[str, Any]]:
        """List the account's meeting results, such as ``{"id": 1001, "name": "Sale", …}``."""
        return self._transport.drive(self._vendor.results())

    def get_meeting_result(self, meeting_result_id: Any) -> dict[str, Any]:
        """Get one meeting result.

        Raises:
            MeetingNotFoundError: There is no such meeting result.
        """
        return self._transport.drive(self._vendor.result(meeting_result_id))

    def list_employees(self) -> list[dict[str, Any]]:
        """List the account's employees, such as ``{"id": 50, "firstName": "Betty", "isActiveUser": true, …}``.

        The scope is ``employees.read``. An employee's ``timezone`` is a text such as ``America/New York``: with a
        space, and so no IANA name.
        """
        return self._transport.drive(self._vendor.employees())

    def get_employee(self, employee_id: Any) -> dict[str, Any]:
        """Get one employee; see :meth:`list_employees`.

        Raises:
            MeetingNotFoundError: There is no such employee.
        """
        return self._transport.drive(self._vendor.employee(employee_id))

    def resolve_names(self, given: Any) -> Any:
        """Return a meeting, or changes, with ``meetingTypeId`` in place of ``meetingTypeName``.

        The account's types are read once per hook (scope ``meetingtypes.read``), and only for a name.

        Raises:
            MeetingsConfigurationError: The name is not known, or contradicts the id beside it. Nothing was written.
            MeetingsPermissionError: The key may not read the meeting types.
        """
        named = as_named(given)
        if named is None:
            return given
        if named[TYPE_NAME] is None:
            return {TYPE_ID: None} | {name: value for name, value in named.items() if name != TYPE_NAME}
        return with_type_id(named, self._types)

    @lazy
    def _types(self) -> list[dict[str, Any]]:
        return self.list_meeting_types()

    def _checked(self, given: Any, check: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        named = as_named(given)
        if named is not None:
            # Errors of the other fields are raised before the types are read.
            check({TYPE_ID: 0} | {name: value for name, value in named.items() if name != TYPE_NAME})
        return super()._checked(given, check)

    def _vendor_of(self, settings: BuilderPrimeSettings, errors: ErrorFactory) -> BuilderPrime:
        return BuilderPrime(
            errors,
            settings.retry_limits,
            key_fields={scope: settings.field_of(scope) for scope in settings.FIELD_OF_SCOPE},
            max_window=int(settings.max_window_days * DAY),
            parallel=settings.max_parallel_requests,
        )

    def _check(self, vendor: BuilderPrime) -> Flow[str]:
        fields, keys = self._settings.FIELD_OF_SCOPE, self._settings.keys
        # Where reading has a key of its own, the main key is another one that writes.
        main = bool(self._settings.api_key) and "read_api_key" in keys
        own_keys = [scope for scope, name in fields.items() if not scope.endswith(".read") and (name in keys or main)]
        return vendor.check(own_keys)
