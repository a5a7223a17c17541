"""The sandbox keeps the two contracts: schemathesis drives it from the documents, over real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.mocks import HERE, VENDORS, document

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]

BASE = {"hiringcenter": "", "builderprime": "/api"}


def headers(vendor: str, sandbox: dict[str, Any]) -> dict[str, str]:
    """Return what authenticates a request."""
    key = sandbox[vendor]["api_key"]
    return {"Authorization": f"Bearer {key}"} if vendor == "hiringcenter" else {"x-api-key": key}


def root(vendor: str, sandbox: dict[str, Any]) -> str:
    """Return the address that the document's paths are relative to."""
    return sandbox[vendor]["host"].removesuffix(BASE[vendor])


def known(vendor: str, sandbox: dict[str, Any]) -> dict[str, Any]:
    """Read from the sandbox which values a good request may name."""

    def read(path: str, **query: Any) -> Any:
        address = sandbox[vendor]["host"] + path
        answer = requests.get(address, params=query, headers=headers(vendor, sandbox), timeout=30)
        answer.raise_for_status()
        return answer.json()

    if vendor == "hiringcenter":
        page = read("/meetings", limit=1)
        return {"page_token": page.get("pagination", page)["nextPageToken"]}
    meetings: list[dict[str, Any]] = []
    for days in range(-60, 61, 30):
        start = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=days)  # where the fixture starts the seed
        window = {
            "start-date-from": int(start.timestamp() * 1000),
            "start-date-to": int((start + timedelta(days=30)).timestamp() * 1000),
        }
        meetings += read("/meetings/v1", **window)["data"]
    people = {(m["employeeFirstName"], m["employeeLastName"]) for m in meetings if m["employeeFirstName"]}
    return {
        "clientOpportunityId": sorted({m["opportunityId"] for m in meetings if m["opportunityId"]}),
        "employee": [{"firstName": first, "lastName": last} for first, last in sorted(people)],
        "meetingTypeId": [entry["id"] for entry in read("/meeting-types/v1")["data"]],
        "meetingResultId": [entry["id"] for entry in read("/meeting-results/v1")["data"]],
    }


def drive(vendor: str, sandbox: dict[str, Any], folder: Path, *options: str) -> None:
    """Run schemathesis; fail with its report."""
    values = known(vendor, sandbox)
    assert all(values.values())
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"),
        *(str(HERE / f"{vendor}.yaml"), "--url", root(vendor, sandbox), "--checks", "all", *options),
        *(part for name, value in headers(vendor, sandbox).items() for part in ("--header", f"{name}: {value}")),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE), "CONTRACT_KNOWN": json.dumps(values)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    count = len([method for item in document(vendor)["paths"].values() for method in item if method != "parameters"])
    assert f"Tested: {count}" in done.stdout, done.stdout


@pytest.mark.parametrize("vendor", VENDORS)
def test_sandbox_keeps_the_contract(vendor, contract_sandbox, tmp_path):
    """Good and bad requests of every operation, alone and in sequences, get the answers that the document promises."""
    drive(vendor, contract_sandbox, tmp_path)


def test_sandbox_keeps_the_contract_in_the_older_revision(older_sandbox, tmp_path):
    """The older envelopes, tokens and reset times of HiringCenter are part of the contract as well."""
    drive("hiringcenter", older_sandbox, tmp_path, "--phases", "examples,coverage")


def test_sandbox_keeps_the_contract_with_the_other_errors(real_sandbox, tmp_path):
    """A missing record without success, and a create of a wrong shape that is a 500, are part of the contract."""
    checks = "--exclude-checks=negative_data_rejection,not_a_server_error"  # a 500 is a refusal here
    drive("builderprime", real_sandbox, tmp_path, "--phases", "examples,coverage", checks)
