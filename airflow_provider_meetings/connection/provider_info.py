"""What Airflow learns about the provider: its modules, its connection types and their forms.

Airflow reads this in every process that it starts, and draws the connection forms from it without importing a hook.
The module is therefore data and imports nothing of Airflow. `tests/provider` holds it against Airflow's schemas.

What the form of Airflow 3.3 does with a field, and why the types below are what they are:

- It saves **all** fields into the connection's `extra` under their plain names, as JSON values (a number is a number,
  a switch a boolean). A field that nobody touched is saved with its `default`, one without a default as `null`, and one
  that was emptied as `null`. To the hooks, `null` means "not given".
- A type without `"null"` makes the field required. Only a choice is, so that it always holds one of its values.
- The first type that is not `"null"` picks the editor; two such types make a bare text area. Hence one each.
- There is no way to hide the raw `extra`: it stays editable beside the fields, and shows the same values.
"""

from typing import Any

__all__ = ["describe"]

_Field = dict[str, Any]


def _number(label: str, description: str, default: int, *, kind: str = "integer", minimum: int = 1) -> _Field:
    """Return a field for a number, which may be left empty."""
    schema = {"type": [kind, "null"], "default": default, "minimum": minimum}
    return {"label": label, "description": description, "schema": schema}


def _secret(label: str, description: str) -> _Field:
    """Return a field that the form shows as dots. Airflow masks the value in logs by the `api_key` in its name."""
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], "format": "password"}}


_HIRINGCENTER_FIELDS: dict[str, _Field] = {
    "rate_limit_per_minute": _number(
        "Requests per minute", "What HiringCenter allows this API key. Waiting tasks stay below it together.", 500
    ),
    "rate_limit_per_hour": _number(
        "Requests per hour", "What HiringCenter allows this API key. Waiting tasks stay below it together.", 10000
    ),
    "idempotency_window": _number(
        "Idempotency window (s)",
        "How long HiringCenter remembers an idempotency key. Past it, a repeat looks for the meeting before it sends.",
        86400,
    ),
    "update_method": {
        "label": "Update method",
        "description": "HTTP method that changes a meeting. Leave it at POST unless HiringCenter tells you otherwise.",
        "schema": {"type": "string", "enum": ["POST", "PUT", "PATCH"], "default": "POST"},
    },
}

_BUILDERPRIME_FIELDS: dict[str, _Field] = {
    "read_api_key": _secret(
        "Read API key",
        "Key with the scopes meetings.read, meetingtypes.read and meetingresults.read. Empty: the API key above.",
    ),
    "create_api_key": _secret("Create API key", "Key with the scope meetings.create. Empty: the API key above."),
    "edit_api_key": _secret("Edit API key", "Key with the scope meetings.edit. Empty: the API key above."),
    "delete_api_key": _secret("Delete API key", "Key with the scope meetings.delete. Empty: the API key above."),
    "max_window_days": _number(
        "Longest window (days)",
        "Builder Prime refuses to list more days at once. Longer windows are cut into slices.",
        31,
    ),
}

_COMMON_FIELDS: dict[str, _Field] = {
    "web_url_template": {
        "label": "Link to a meeting",
        "description": (
            "Where your browser shows a meeting, with {id} in its place: https://app.example.com/meetings/{id}. "
            "Tasks then link to their meeting."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "timeout": _number(
        "Timeout (s)", "How long a whole request may take, from connecting to the last byte.", 30, kind="number"
    ),
    "max_attempts": _number("Attempts", "How often a request that may be repeated is sent before it is an error.", 5),
    "max_wait": _number(
        "Longest wait (s)",
        "How long a worker may sleep for the API in all before it gives up.",
        60,
        kind="number",
        minimum=0,
    ),
    "max_parallel_requests": _number(
        "Parallel requests",
        "How many requests one task, or the triggerer, may have under way on this connection at once.",
        4,
    ),
    "verify": {
        "label": "Verify TLS",
        "description": "true: against the system's authorities. Otherwise the path of a CA bundle on the workers.",
        "schema": {"type": ["string", "null"], "default": "true", "examples": ["true"]},
    },
    "proxies": {
        "label": "Proxies",
        "description": 'Scheme to proxy address, for instance {"https": "http://proxy.example.com:3128"}.',
        "schema": {"type": ["object", "null"]},
    },
    "allow_insecure": {
        "label": "Allow plain HTTP",
        "description": "Permit an http:// host other than this machine. The API key then travels in clear.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}


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
    return {
        "package-name": "airflow-provider-meetings",
        "name": "Meetings",
        "description": "Book, move, cancel, list and wait for CRM meetings on HiringCenter and Builder Prime.",
        "versions": [version],
        "integrations": [
            {"integration-name": "Meetings", "tags": ["service"]},
            {"integration-name": "HiringCenter", "tags": ["service"]},
            {"integration-name": "Builder Prime", "tags": ["service"]},
        ],
        "hooks": [
            {"integration-name": "Meetings", "python-modules": [f"{package}.hooks.meetings"]},
            {"integration-name": "HiringCenter", "python-modules": [f"{package}.hooks.hiringcenter"]},
            {"integration-name": "Builder Prime", "python-modules": [f"{package}.hooks.builderprime"]},
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
                "connection-type": "hiringcenter",
                "hook-class-name": f"{package}.hooks.hiringcenter.HiringCenterHook",
                "hook-name": "HiringCenter",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "login"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {"host": "https://api.hiringcenterpro.com/v2"},
                },
                "conn-fields": {**_HIRINGCENTER_FIELDS, **_COMMON_FIELDS},
            },
            {
                "connection-type": "builderprime",
                "hook-class-name": f"{package}.hooks.builderprime.BuilderPrimeHook",
                "hook-name": "Builder Prime",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "login"],
                    "relabeling": {"host": "Subdomain or base URL", "password": "API key"},
                    "placeholders": {"host": "acme", "password": "used where no narrower key is set below"},
                },
                "conn-fields": {**_BUILDERPRIME_FIELDS, **_COMMON_FIELDS},
            },
        ],
    }
