"""The OpenAPI documents themselves: valid, strict, and true to their own examples; and what installs Prism."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from jsonschema import Draft202012Validator

from tests.contract.mocks import HERE, VENDORS, document

pytestmark = pytest.mark.contract

ENVELOPES = ("Failure", "ResourceMissing", "Framework")
METHODS = {"get", "post", "put", "patch", "delete"}


def nodes(node: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document with its place."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from nodes(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{path}/{index}")


def resolved(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a $ref inside a document."""
    while "$ref" in node:
        target = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


@pytest.mark.parametrize("vendor", VENDORS)
def test_document_is_valid_openapi_3_1(vendor):
    """The document passes the OpenAPI 3.1 schema that schemathesis carries, and every operation in it can be read."""
    assert document(vendor)["openapi"] == "3.1.0"
    schema = schemathesis.openapi.from_path(HERE / f"{vendor}.yaml")
    schema.validate()
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == {"hiringcenter": 6, "builderprime": 11}[vendor]


@pytest.mark.parametrize("vendor", VENDORS)
def test_references_resolve(vendor):
    """No $ref of the document leads nowhere or outside."""
    root = document(vendor)
    references = [node["$ref"] for _, node in nodes(root) if isinstance(node.get("$ref"), str)]
    assert references
    for reference in references:
        assert reference.startswith("#/components/"), reference
        assert resolved(root, {"$ref": reference})


@pytest.mark.parametrize("vendor", VENDORS)
def test_examples_match_their_schemas(vendor):
    """What Prism answers, and what a reader copies, is what the schemas beside it allow."""
    root = document(vendor)
    checked = 0
    for path, node in nodes(root):
        if "schema" not in node:
            continue
        schema = {
            "$schema": Draft202012Validator.META_SCHEMA["$id"],
            "components": root["components"],
            **node["schema"],
        }
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        values = [example["value"] for example in node.get("examples", {}).values()]
        values += [node["example"]] if "example" in node else []
        for value in values:
            assert [error.message for error in validator.iter_errors(value)] == [], path
            checked += 1
    assert checked > 20


def objects(root: dict[str, Any], schema: dict[str, Any], place: str, seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield every object schema under a schema with its place, through references."""
    if (reference := schema.get("$ref")) in seen:
        return
    if reference:
        seen.add(reference)
    schema = resolved(root, schema)
    if schema.get("type") == "object":
        yield place, schema
    parts = {
        f"{key}/{index}": part for key in ("anyOf", "oneOf", "allOf") for index, part in enumerate(schema.get(key, []))
    }
    parts |= schema.get("properties", {})
    parts |= {"items": schema["items"]} if "items" in schema else {}
    for key, part in parts.items():
        yield from objects(root, part, f"{place}/{key}", seen)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_request_body_is_a_closed_list(vendor):
    """A field that the page does not list is a violation, at every depth of every request body."""
    root = document(vendor)
    found, seen = [], set()
    for place, node in nodes(root):
        if "requestBody" in node:
            found += objects(root, node["requestBody"]["content"]["application/json"]["schema"], place, seen)
    assert len(found) >= 2
    assert [place for place, schema in found if schema.get("additionalProperties") is not False] == []


def test_builder_primes_responses_can_be_told_apart():
    """No response is of two envelopes: a success, a failure, a missing resource, an error of the framework."""
    root = document("builderprime")
    failure, missing, framework = ({"$ref": f"#/components/schemas/{name}"} for name in ENVELOPES)
    samples = {
        "Failure": {"success": False, "errors": [{"code": "API_GENERAL", "message": "Meeting not found."}]},
        "ResourceMissing": {"errorCode": "404", "errorMessage": "x", "showAsWarning": False},
        "Framework": {"timestamp": "2026-06-01T08:00:00.000+00:00", "status": 405, "error": "x", "path": "/api"},
    }
    for schema in (failure, missing, framework):
        validator = Draft202012Validator({"components": root["components"], **schema})
        assert [schema["$ref"].rpartition("/")[2]] == [
            name for name, sample in samples.items() if validator.is_valid(sample)
        ]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_operation_says_what_the_page_says(vendor):
    """Each operation has an id, a quoting description, a success, and the errors that any request can meet."""
    root = document(vendor)
    for path, item in root["paths"].items():
        for method in METHODS & item.keys():
            operation = item[method]
            assert operation["operationId"], (path, method)
            assert '"' in operation["description"] or "Inferred:" in operation["description"], (path, method)
            assert {"400", "401", "429"} <= operation["responses"].keys(), (path, method)
            assert {"200", "201"} & operation["responses"].keys(), (path, method)


def test_prism_is_pinned_and_the_lock_holds_no_address():
    """Prism's version is exact, and the lock file names versions and digests but neither host nor address."""
    package = json.loads((HERE / "package.json").read_text())
    lock = json.loads((HERE / "package-lock.json").read_text())
    version = package["dependencies"]["@stoplight/prism-cli"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert lock["packages"]["node_modules/@stoplight/prism-cli"]["version"] == version
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all(entry["integrity"] and entry["version"] for entry in packages.values())
    assert not re.search(r'"resolved"|://', (HERE / "package-lock.json").read_text())
    assert "omit-lockfile-registry-resolved=true" in (HERE / ".npmrc").read_text().splitlines()
