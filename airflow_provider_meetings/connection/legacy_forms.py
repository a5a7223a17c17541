"""The connection forms of Airflow 2.11 to 3.1, made of the same description that newer ones draw theirs from.

The older form is made of WTForms fields, of four classes and no other. It differs from the newer one in what it saves:

- All connection types share one form, and fields of the same name in `extra` what stands in them. No field may refuse
  what is empty or another type's: the SMTP connection has a `timeout` in whole seconds, and so ours is one as well.
- A number field cannot hold a zero: where one makes sense, it is typed and saved as text. So is JSON. The settings
  understand both.
- An emptied text is left out of the connection's `extra`, an emptied number is saved as `null`.
- Airflow 2 never sends a saved key to a browser, and takes the empty field that comes back for an emptied one. What it
  takes for "as before" is a placeholder, so that is what our fields hold.

WTForms and Flask-AppBuilder are imported when a form is made: newer Airflows neither make one nor have them.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_meetings.connection.registry import VENDORS

__all__ = ["behaviour", "widgets"]

_AS_BEFORE = "RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER"  # of Airflow 2's connection form


def behaviour(connection_type: str) -> dict[str, Any]:
    """Return what a hook's ``get_ui_field_behaviour`` returns: changes to the fields that every connection has."""
    described = VENDORS[connection_type].info.behaviour
    return {key.replace("-", "_"): value for key, value in described.items()}


def widgets(connection_type: str) -> dict[str, Any]:
    """Return what a hook's ``get_connection_form_widgets`` returns: WTForms fields by the names of the extras.

    Raises:
        ImportError: Flask-AppBuilder is not there; Airflow then shows the connection without these fields.
    """
    return {name: _widget(field) for name, field in VENDORS[connection_type].info.fields.items()}


def _widget(field: dict[str, Any]) -> Any:
    from flask_appbuilder.fieldwidgets import (  # type: ignore[import-not-found]  # noqa: PLC0415 - only where a form is made
        BS3PasswordFieldWidget,
        BS3TextFieldWidget,
    )
    from wtforms import (  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise
        BooleanField,
        IntegerField,
        PasswordField,
        StringField,
        validators,
    )

    schema = field["schema"]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    default = schema.get("default")
    texts = {"label": field["label"], "description": field["description"]}
    optional = [validators.Optional()]
    if kind == "boolean":
        return BooleanField(**texts, default=default)
    if kind in {"integer", "number"} and schema.get("minimum"):
        return IntegerField(**texts, default=default, validators=optional, widget=BS3TextFieldWidget())
    if schema.get("format") == "password":
        return PasswordField(**texts, validators=optional, widget=_kept(BS3PasswordFieldWidget))
    if "enum" in schema:
        optional.append(validators.any_of(schema["enum"]))
    text = default if default is None or isinstance(default, str) else json.dumps(default)
    return StringField(**texts, default=text, validators=optional, widget=BS3TextFieldWidget())


def _kept(base: type) -> Any:
    """Return a widget for a key that is kept when the user types no other one."""

    class Kept(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()  # Airflow 3.1 puts a stand-in into the base's place, which takes no arguments
            self.hide_value = False

        def __call__(self, field: Any, **kwargs: Any) -> Any:
            saved = field.data and not field.raw_data  # not typed just now, and sent back for another field's sake
            return super().__call__(field, **kwargs | {"value": _AS_BEFORE if saved else ""})

    return Kept()
