"""The hook for HiringCenter."""

from __future__ import annotations

from typing import Any

from airflow_provider_meetings.connection import legacy_forms
from airflow_provider_meetings.connection.hiringcenter import HiringCenterSettings
from airflow_provider_meetings.core.flow import Flow
from airflow_provider_meetings.hooks.meetings import MeetingsHook
from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.responses import ErrorFactory

__all__ = ["HiringCenterHook"]


class HiringCenterHook(MeetingsHook[HiringCenterSettings, HiringCenter]):
    """Meetings in HiringCenter, a connection of type ``hiringcenter``; see :class:`.MeetingsHook`."""

    conn_type = "hiringcenter"
    hook_name = "HiringCenter"
    default_conn_name = "hiringcenter_default"
    settings_type = HiringCenterSettings
    record_mapping = HiringCenter.record_mapping

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of the connection form below Airflow 3.2; newer ones take them from the description."""
        return legacy_forms.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the connection form below Airflow 3.2 hides, renames and suggests."""
        return legacy_forms.behaviour(cls.conn_type)

    def _vendor_of(self, settings: HiringCenterSettings, errors: ErrorFactory) -> HiringCenter:
        return HiringCenter(
            errors,
            settings.retry_limits,
            rate_limits=settings.rate_limits,
            update_method=settings.update_method,
            idempotency_window=settings.idempotency_window,
            parallel=settings.max_parallel_requests,
        )

    def _check(self, vendor: HiringCenter) -> Flow[str]:
        return vendor.check()
