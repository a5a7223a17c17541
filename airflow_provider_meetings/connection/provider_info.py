"""What Airflow learns about the provider: its modules, its connection types and their forms.

Airflow reads this in every process that it starts, and draws the connection forms from it without importing a hook.
The module is therefore data and imports nothing of Airflow. `tests/provider` holds it against Airflow's schemas.
"""

from typing import Any

from airflow_provider_meetings.connection.registry import VENDORS

__all__ = ["describe"]

_CONFIG: dict[str, Any] = {
    "meetings": {
        "description": "Settings of the provider for CRM meetings.",
        "options": {
            "ui": {
                "description": (
                    "Whether Airflow's UI has the Meetings pages: a tab on each DAG run, and a page in the navigation "
                    "(Airflow 3.1 and newer). Switched off, tasks leave no records for them either. Set it alike for "
                    "the API server and the workers."
                ),
                "version_added": None,
                "type": "boolean",
                "example": None,
                "default": "True",
            },
        },
    },
}


def describe(version: str) -> dict[str, Any]:
    """Return the provider's description in the shape of Airflow's `provider_info.schema.json`."""
    package = "airflow_provider_meetings"
    infos = {kind: entry.info for kind, entry in VENDORS.items()}
    *names, last = (info.name for info in infos.values())
    return {
        "package-name": "airflow-provider-meetings",
        "name": "Meetings",
        "description": f"Book, move, cancel, list and wait for CRM meetings on {', '.join(names)} and {last}.",
        "versions": [version],
        "integrations": [{"integration-name": name, "tags": ["service"]} for name in ("Meetings", *names, last)],
        "hooks": [
            {"integration-name": "Meetings", "python-modules": [f"{package}.hooks.meetings"]},
            *(
                {"integration-name": infos[kind].name, "python-modules": [entry.hook_module]}
                for kind, entry in VENDORS.items()
            ),
        ],
        "operators": [{"integration-name": "Meetings", "python-modules": [f"{package}.operators.meetings"]}],
        "sensors": [{"integration-name": "Meetings", "python-modules": [f"{package}.sensors.meetings"]}],
        "triggers": [{"integration-name": "Meetings", "python-modules": [f"{package}.triggers.meetings"]}],
        "extra-links": [f"{package}.observability.link.MeetingLink"],
        "asset-uris": [
            {
                "schemes": ["meetings"],
                "handler": f"{package}.assets.check_uri",
                "to_openlineage_converter": f"{package}.assets.to_openlineage_dataset",
            }
        ],
        "config": _CONFIG,
        "connection-types": [
            {
                "connection-type": kind,
                "hook-class-name": entry.hook,
                "hook-name": infos[kind].name,
                "ui-field-behaviour": infos[kind].behaviour,
                "conn-fields": infos[kind].fields,
            }
            for kind, entry in VENDORS.items()
        ],
    }
