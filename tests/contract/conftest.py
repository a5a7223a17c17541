"""Prism and the sandbox, each started on a free port of the loopback and stopped by its process group."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_meetings.testing import SandboxProcess
from demo.processes import Processes
from tests.contract.mocks import HERE, PRISM, VENDORS, Mock, recorder
from tests.support.npm import NODE, installed


@pytest.fixture(scope="session")
def prism() -> Path:
    """Return Prism's script, installed."""
    installed(HERE)
    return PRISM


@pytest.fixture(scope="session")
def mocks(prism: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Mock]]:
    """Start Prism as a validating mock of both documents."""
    folder = tmp_path_factory.mktemp("prism")

    environment = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "0"}
    with Processes(folder) as processes, contextlib.ExitStack() as recorders:
        for vendor in VENDORS:
            # Port 0: the system picks a free one and Prism prints it.
            command = [NODE, prism, "mock", "--errors", "--host", "127.0.0.1", "--port", "0", HERE / f"{vendor}.yaml"]
            processes.start(vendor, [str(part) for part in command], environment)

        def address(vendor: str) -> str | None:
            words = processes.log_path(vendor).read_text(errors="replace").partition("Prism is listening on ")[2]
            return words.split()[0] if "\n" in words else None

        addresses = {
            vendor: processes.wait("Prism listens", partial(address, vendor), 200, every=0.05) for vendor in VENDORS
        }
        yield {vendor: recorders.enter_context(recorder(url)) for vendor, url in addresses.items()}


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Run the sandbox with fixed seed data and rate limits that no test reaches; yield its ready file."""
    process = SandboxProcess(
        folder,
        *("--db", str(folder / "sandbox.db"), "--seed", "1", "--now", "2026-06-01T00:00:00Z"),
        *("--rate-limit-per-minute", "1000000", "--rate-limit-per-hour", "1000000", "--update-methods", "POST"),
        *options,
    )
    try:
        yield process.facts
    finally:
        process.stop()


@pytest.fixture(scope="session")
def contract_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Start the sandbox as it is by default."""
    with serving(tmp_path_factory.mktemp("sandbox")) as ready:
        yield ready


@pytest.fixture
def older_sandbox(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Start the sandbox with the older revision of what HiringCenter's pages leave open."""
    with serving(tmp_path, "--envelope", "older", "--ratelimit-reset", "timestamp", "--tokens", "keyset") as ready:
        yield ready


@pytest.fixture
def real_sandbox(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Start the sandbox with the other answers that Builder Prime may give, as public clients have seen them."""
    with serving(tmp_path, "--builderprime-missing", "error-code", "--builderprime-wrong-shape", "500") as ready:
        yield ready
