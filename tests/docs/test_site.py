"""The site is built without a warning, and its reference has every public name."""

import asyncio
import importlib
import inspect
import json
import subprocess
import sys

import pytest
from sphinx.util.inventory import InventoryFile

from airflow_provider_meetings.triggers.meetings import MeetingsEventTrigger
from tests.docs.blocks import PUBLIC, ROOT, of_kind
from tests.support.operators import first_event

METHODS = {
    "airflow_provider_meetings.hooks.meetings.MeetingsHook": {
        "get_conn",
        "list_meetings",
        "get_meeting",
        "create_meeting",
        "update_meeting",
        "delete_meeting",
        "test_connection",
        "alist_meetings",
    },
    "airflow_provider_meetings.hooks.builderprime.BuilderPrimeHook": {
        "list_meeting_types",
        "get_meeting_type",
        "list_meeting_results",
        "get_meeting_result",
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; building it fails on any warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    command += ["-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def inventory(site):
    """The names that the site explains, as other projects' sites would look them up."""
    found = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    return {name for kind, names in found.items() if kind.startswith("py:") for name in names}


def test_every_page_is_built(site):
    """Each page in docs/ is a page of the site."""
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {path for path in pages if not (site / path).exists()} == set()


def test_nothing_is_fetched_from_elsewhere(site):
    """The pages load no script, style or font from another host, so that they can be read offline."""
    loads = [
        line
        for path in site.rglob("*.html")
        for line in path.read_text().splitlines()
        if "<script" in line or '<link rel="stylesheet"' in line
        if "//" in line.split("src=")[-1].split(">")[0] and "http" in line
    ]
    assert loads == []


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_explained(module, inventory):
    """What a public module offers is what the interface names, and the reference has it."""
    assert PUBLIC[module] <= set(importlib.import_module(module).__all__)
    assert {f"{module}.{name}" for name in PUBLIC[module]} - inventory == set()


@pytest.mark.parametrize("owner", METHODS)
def test_public_methods_are_explained(owner, inventory):
    """Each method of a hook that the interface names is in the reference, with a docstring."""
    module, _, name = owner.rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    ours = [base for base in hook.__mro__ if base.__module__.startswith("airflow_provider_meetings.")]
    assert METHODS[owner] <= {name for base in ours for name in vars(base)}
    assert {f"{owner}.{name}" for name in METHODS[owner]} - inventory == set()
    assert all(inspect.getdoc(getattr(hook, name)) for name in METHODS[owner])


def test_an_event_is_as_the_page_shows_it(reader):
    """The payload of an event has the fields of the example on its page."""
    reader.start()
    asset = {"window_start": "2027-01-11T00:00:00Z", "window_end": "2027-01-12T00:00:00Z", "initial": "emit"}
    event = asyncio.run(first_event(MeetingsEventTrigger(meetings_conn_id="hiringcenter_default", **asset)))
    (shown,) = (json.loads(block.text) for block in of_kind("json") if block.page == "docs/events.md")
    assert list(shown) == list(event.payload)
    assert "moved_in" == event.payload["kind"]
