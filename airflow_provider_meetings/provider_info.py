"""What Airflow learns about the provider: its modules, its connection types and their forms.

Airflow reads this in every process that it starts, and draws the connection forms from it without importing a hook.
The module is therefore data and imports nothing of Airflow. `tests/provider` holds it against Airflow's schemas.
"""

from typing import Any

__all__ = ["describe"]


def describe(version: str) -> dict[str, Any]:
    """Return the provider's description in the shape of Airflow's `provider_info.schema.json`."""
    return {
        "package-name": "airflow-provider-meetings",
        "name": "Meetings",
        "description": "Book, move, cancel, list and wait for CRM meetings on HiringCenter and Builder Prime.",
        "versions": [version],
        "connection-types": [
            {
                "connection-type": "hiringcenter",
                "hook-class-name": "airflow_provider_meetings.hooks.hiringcenter.HiringCenterHook",
                "hook-name": "HiringCenter",
            },
            {
                "connection-type": "builderprime",
                "hook-class-name": "airflow_provider_meetings.hooks.builderprime.BuilderPrimeHook",
                "hook-name": "Builder Prime",
            },
        ],
    }
