"""The registry of vendors: a line each says where a vendor stands, and what is said twice agrees."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import airflow_provider_meetings
from airflow_provider_meetings.connection.registry import VENDORS, load
from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.hooks.resolve import hook_for
from airflow_provider_meetings.vendors.records import COLUMNS
from airflow_provider_meetings.vendors.vendor import Vendor
from tests.support.interpreter import modules_of

ROOT = Path(airflow_provider_meetings.__file__).parent
# The lines of the registry, and what stands apart: the sandbox, and what starts it for tests.
NAMES_VENDORS = {"connection/registry.py", "sandbox", "testing"}
HOSTS = {"hiringcenter": None, "builderprime": "acme"}


@pytest.fixture(params=sorted(VENDORS))
def conn_type(request):
    """Each type of connection."""
    return request.param


def vendor_of(conn_type):
    """Make the rules of a vendor for a connection that gives as little as it may."""
    hook = load(VENDORS[conn_type].hook)
    conn = SimpleNamespace(conn_id="c", conn_type=conn_type, host=HOSTS[conn_type], password="k", extra=None)
    return hook("c", connection=conn).vendor


def test_the_hook_is_the_vendors(conn_type):
    """The class that a line names is the hook for connections of this type, under the name that the form shows."""
    hook = load(VENDORS[conn_type].hook)

    assert (conn_type, VENDORS[conn_type].info.name) == (hook.conn_type, hook.hook_name)
    assert (conn_type, conn_type) == (hook.settings_type.vendor, hook.record_mapping.vendor)
    assert hook.hook_name == vendor_of(conn_type).name


def test_the_moments_are_those_of_the_tables(conn_type):
    """What the light description calls a moment is what the vendor's tables of fields call one."""
    vendor = vendor_of(conn_type)
    sent = {field.name for field in vendor.fields.table if field.kind == "moment"}
    listed = {source for column, source in vendor.record_mapping.sources.items() if COLUMNS[column] == "moment"}

    assert sent | listed == VENDORS[conn_type].info.moments


def test_a_connection_without_extras_has_the_forms_defaults(conn_type):
    """Settings that are read from an empty connection are those that are made without extras: a default stands once."""
    settings = load(VENDORS[conn_type].hook).settings_type
    conn = SimpleNamespace(conn_id="c", conn_type=conn_type, host=HOSTS[conn_type], password="k", extra=None)
    read = settings.from_connection(conn)

    assert settings(conn_id="c", base_url=read.base_url, api_key="k") == read


def test_nothing_of_a_vendor_is_imported_to_know_of_it():
    """The description of all forms loads no hook and no rules."""
    code = "import airflow_provider_meetings as p; p.get_provider_info()"

    assert [] == modules_of(code, "airflow_provider_meetings.hooks", "airflow_provider_meetings.vendors")


def test_an_unknown_type_is_refused_with_the_known_ones(monkeypatch):
    """A connection of another type is refused with the types that there are."""
    monkeypatch.setenv("AIRFLOW_CONN_CRM", '{"conn_type": "http", "host": "https://h"}')
    with pytest.raises(MeetingsConfigurationError, match=", ".join(VENDORS)):
        hook_for("crm")


def test_the_rules_are_a_vendor(conn_type):
    """What a hook makes is a :class:`Vendor`, which everything above asks."""
    assert isinstance(vendor_of(conn_type), Vendor)


def own_files(conn_type):
    """Return a vendor's own modules: in each folder those that begin with its name."""
    return {path for path in ROOT.rglob(f"{conn_type}*.py") if "sandbox" not in path.parts}


def words_of(path):
    """Yield what a module's code says: its names and its texts, without comments and docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value
        for field in ("id", "attr", "name", "arg", "module"):
            if isinstance(getattr(node, field, None), str):
                yield getattr(node, field)


def test_only_its_own_modules_name_a_vendor(conn_type):
    """The code of all other modules names neither the vendor nor a field that only its meetings have."""
    entry, vendor = VENDORS[conn_type], vendor_of(conn_type)
    names = {conn_type, entry.info.name.replace(" ", "")}
    fields = {field.name for field in vendor.fields.table} | entry.info.moments | set(vendor.comparable_fields)
    fields = {name for name in fields if re.search("[a-z][A-Z]", name)}
    own = own_files(conn_type)
    others = [
        path
        for path in ROOT.rglob("*.py")
        if path not in own and not {str(path.relative_to(ROOT)), path.relative_to(ROOT).parts[0]} & NAMES_VENDORS
    ]
    said = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in others
        for word in words_of(path)
        if any(name in word.lower().replace(" ", "") for name in map(str.lower, names)) or word in fields
    }
    # What is likely, of a field that no vendor's page names, is no vendor's own.
    likely = {f"vendors/vendor.py: {name}" for name in Vendor.last_modified_fields}

    assert len(own) >= 4
    assert len(others) > 80
    assert set() == said - likely
