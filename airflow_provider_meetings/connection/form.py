"""What a connection form is made of: data, and nothing else; Airflow reads it in every process that it starts.

What the form of Airflow 3.3 does with a field, and why the types below are what they are:

- It saves **all** fields into the connection's `extra` under their plain names, as JSON values (a number is a number,
  a switch a boolean). An untouched field is saved with its `default`, one without a default as `null`, and one
  that was emptied as `null`. To the hooks, `null` means "not given".
- A type without `"null"` makes the field required. Only a choice is, so that it always holds one of its values.
- The first type that is not `"null"` picks the editor; two such types make a bare text area. Hence one each.
- There is no way to hide the raw `extra`: it stays editable beside the fields, and shows the same values.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_meetings.core import defaults

__all__ = ["COMMON_FIELDS", "FormField", "VendorInfo", "number", "secret"]

#: A field as Airflow's `conn-fields` has it: label, description and JSON schema.
FormField = dict[str, Any]


def number(label: str, description: str, default: float, *, kind: str = "integer", minimum: int = 1) -> FormField:
    """Return a field for a number, which may be left empty."""
    schema = {"type": [kind, "null"], "default": default, "minimum": minimum}
    return {"label": label, "description": description, "schema": schema}


def secret(label: str, description: str) -> FormField:
    """Return a field that the form shows as dots. Airflow masks the value in logs by its name: `api_key`, `dsn`."""
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], "format": "password"}}


#: The fields that the connections of all vendors have.
COMMON_FIELDS: Mapping[str, FormField] = {
    "web_url_template": {
        "label": "Link to a meeting",
        "description": (
            "Where your browser shows a meeting, with {id} in its place: https://app.example.com/meetings/{id}. "
            "Tasks then link to their meeting."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "timeout": number(
        "Timeout (s)",
        "How long a whole request may take, from connecting to the last byte.",
        defaults.TIMEOUT,
        kind="number",
    ),
    "max_attempts": number(
        "Attempts", "How often a request that may be repeated is sent before it is an error.", defaults.MAX_ATTEMPTS
    ),
    "max_wait": number(
        "Longest wait (s)",
        "How long a worker may sleep for the API in all before it gives up.",
        defaults.MAX_WAIT,
        kind="number",
        minimum=0,
    ),
    "max_parallel_requests": number(
        "Parallel requests",
        "How many requests one task, or the triggerer, may have under way on this connection at once.",
        defaults.MAX_PARALLEL_REQUESTS,
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


class VendorInfo(NamedTuple):
    """What is known of a vendor without its rules: its name, and the form of its connections.

    Attributes:
        name: The vendor's name, for people.
        host_label: What the form calls the host.
        placeholders: What the form suggests in the fields that every connection has.
        own_fields: The extras that only this vendor's connections have, with their defaults.
        moments: The fields of its meetings that are moments: text that ``match`` has for one must be a moment.
    """

    name: str
    host_label: str
    placeholders: Mapping[str, str]
    own_fields: Mapping[str, FormField]
    moments: frozenset[str]

    @property
    def fields(self) -> dict[str, FormField]:
        """All extras of its connections."""
        return {**self.own_fields, **COMMON_FIELDS}

    @property
    def behaviour(self) -> dict[str, Any]:
        """What its form does with the fields that every connection has, as Airflow's `ui-field-behaviour`."""
        return {
            "hidden-fields": ["schema", "port", "login"],
            "relabeling": {"host": self.host_label, "password": "API key"},
            "placeholders": dict(self.placeholders),
        }

    def default(self, name: str) -> Any:
        """Return what an extra is where a connection does not give it; None: it has no default."""
        return self.fields[name]["schema"].get("default")
