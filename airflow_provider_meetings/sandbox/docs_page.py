"""The reference page at ``/docs``: the OpenAPI document as one plain page, which needs nothing from the network."""

import json
import re
from html import escape
from typing import Any

# The web framework adds this response to the document by itself; neither vendor sends it.
_FRAMEWORKS_OWN = "422"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
details { border: 1px solid #ddd; border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } code, pre { background: #f4f4f4; border-radius: 3px; padding: 0 .25rem; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0; } td, th { text-align: left; vertical-align: top;
padding: .2rem .6rem; border-bottom: 1px solid #eee; } .verb { display: inline-block; width: 4.5rem; font-weight: 700; }
"""


def render(document: dict[str, Any]) -> str:
    """Render an OpenAPI document as HTML."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            tag = (operation.get("tags") or ["Other"])[0]
            by_tag.setdefault(tag, []).append(_operation(document, path, verb, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(entries)}" for tag, entries in by_tag.items())
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        f'<p>The same as a document: <a href="/openapi.json">/openapi.json</a></p>{sections}</body></html>'
    )


def _operation(document: dict[str, Any], path: str, verb: str, operation: dict[str, Any]) -> str:
    title = (
        f'<span class="verb">{verb.upper()}</span><code>{escape(path)}</code> {escape(operation.get("summary", ""))}'
    )
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            (item["name"], item["in"], _kind(document, item["schema"]), item.get("required", False), _note(item))
            for item in parameters
        ]
        parts.append("<h4>Parameters</h4>" + _table(("name", "in", "type", "required", ""), rows))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        parts.append("<h4>Body</h4>" + _schema(document, body))
    parts.append("<h4>Responses</h4>")
    for status, response in sorted(operation.get("responses", {}).items()):
        if status == _FRAMEWORKS_OWN:
            continue
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        parts.append(
            f"<p><b>{escape(status)}</b> {escape(response.get('description', ''))}</p>" + _schema(document, schema)
        )
    return f"<details><summary>{title}</summary>{''.join(parts)}</details>"


def _schema(document: dict[str, Any], schema: dict[str, Any]) -> str:
    resolved = _resolve(document, schema)
    properties = resolved.get("properties")
    if not properties:
        return f"<p><code>{escape(_kind(document, schema))}</code></p>" if schema else ""
    required = set(resolved.get("required", []))
    rows = [(name, _kind(document, part), name in required, _note(part)) for name, part in properties.items()]
    intro = f"<p>{_prose(resolved.get('description', ''))}</p>"
    return intro + _table(("field", "type", "required", ""), rows)


def _prose(text: str) -> str:
    """Render a docstring, whose code stands between double backquotes."""
    return re.sub(r"``(.+?)``", r"<code>\1</code>", escape(text))


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    resolved: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return resolved


def _kind(document: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        fields = ", ".join(
            f"{name}: {_kind(document, part)}"
            for name, part in _resolve(document, schema).get("properties", {}).items()
        )
        return f"{{{fields}}}" if fields else schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_kind(document, part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"[{_kind(document, schema.get('items', {}))}]"
    if isinstance(values := schema.get("additionalProperties"), dict):
        return f"{{name: {_kind(document, values)}}}"
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    return str(schema.get("type", "any"))


def _note(item: dict[str, Any]) -> str:
    limits = item.get("schema", item)
    shown = {
        name: limits[name] for name in ("default", "minimum", "maximum", "minLength", "maxLength") if name in limits
    }
    words = [
        item.get("description") or "",
        *(f"{name} {value}" for name, value in shown.items() if value not in (None, "")),
    ]
    return "; ".join(word for word in words if word)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    def cell(value: Any) -> str:
        return escape({True: "yes", False: ""}.get(value, str(value)) if isinstance(value, bool) else str(value))

    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"
