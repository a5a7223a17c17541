"""What Airflow is told about the provider: valid, complete, cheap to ask for, and shown without importing a hook."""

import importlib
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, version
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

import airflow_provider_meetings
from airflow_provider_meetings import get_provider_info
from tests.support.interpreter import python

ROOT = Path(__file__).resolve().parents[2]

# The extras of each connection type, with their defaults. The public interface, typed out: the forms must equal it.
COMMON_EXTRAS = {
    "timeout": 30,
    "max_attempts": 5,
    "max_wait": 60,
    "max_parallel_requests": 4,
    "verify": "true",
    "proxies": None,
    "allow_insecure": False,
    "web_url_template": None,
}
EXTRAS = {
    "hiringcenter": COMMON_EXTRAS
    | {
        "update_method": "POST",
        "idempotency_window": 86400,
        "rate_limit_per_minute": 500,
        "rate_limit_per_hour": 10000,
        "rate_limit_redis_dsn": None,
    },
    "builderprime": COMMON_EXTRAS
    | {
        "read_api_key": None,
        "create_api_key": None,
        "edit_api_key": None,
        "delete_api_key": None,
        "max_window_days": 31,
    },
}
SECRETS = {
    "hiringcenter": {"rate_limit_redis_dsn"},
    "builderprime": {"read_api_key", "create_api_key", "edit_api_key", "delete_api_key"},
}


def _connection_types():
    return {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}


def _schema(name):
    return json.loads((files("airflow") / name).read_text(encoding="utf-8"))


def _airflow(*args, tmp_path):
    """Run an airflow command and return the JSON that it prints."""
    command = [sys.executable, "-m", "airflow", *args, "--output", "json"]
    env = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index("[{") :])


def test_valid_for_airflow():
    """The description passes the schema that Airflow checks at run time; a failure there takes every command down."""
    jsonschema.validate(get_provider_info(), _schema("provider_info.schema.json"))


def test_connection_types_valid_for_the_strict_schema():
    """The connection types pass the schema of Airflow's own providers, which refuses unknown and misspelt keys."""
    schema = _schema("provider.yaml.schema.json")

    jsonschema.validate(get_provider_info()["connection-types"], schema["properties"]["connection-types"])


def test_customised_fields_valid():
    """The changes to the standard fields pass Airflow's schema, or they would be dropped with a warning."""
    schema = _schema("customized_form_field_behaviours.schema.json")

    for entry in _connection_types().values():
        behaviour = entry["ui-field-behaviour"]
        jsonschema.validate({key.replace("-", "_"): value for key, value in behaviour.items()}, schema)


def test_package_name_is_the_distribution():
    """Airflow refuses a provider whose package name is not the name of its distribution."""
    (entry_point,) = (
        found
        for found in entry_points(group="apache_airflow_provider")
        if found.value.partition(":")[0] == "airflow_provider_meetings"
    )

    assert entry_point.load() is get_provider_info
    assert entry_point.dist is not None
    assert entry_point.dist.metadata["Name"] == get_provider_info()["package-name"]


def test_one_version():
    """The version is written once: in the package; the distribution and the description repeat it."""
    assert airflow_provider_meetings.__version__ == version("airflow-provider-meetings")
    assert [airflow_provider_meetings.__version__] == get_provider_info()["versions"]


@pytest.mark.parametrize("connection_type", EXTRAS)
def test_form_has_every_extra_and_no_other(connection_type):
    """A form offers exactly the extras of the interface, with their defaults."""
    fields = _connection_types()[connection_type]["conn-fields"]

    assert EXTRAS[connection_type] == {name: field["schema"].get("default") for name, field in fields.items()}


@pytest.mark.parametrize("connection_type", EXTRAS)
def test_defaults_fit_their_fields(connection_type):
    """What a form fills in, or `null` where it fills in nothing, is valid for the field."""
    for field in _connection_types()[connection_type]["conn-fields"].values():
        jsonschema.validate(field["schema"].get("default"), field["schema"])


@pytest.mark.parametrize("connection_type", EXTRAS)
def test_every_field_explains_itself(connection_type):
    """Each field has a label and a sentence, and one editor: Airflow makes a bare text area of two types."""
    for field in _connection_types()[connection_type]["conn-fields"].values():
        types = field["schema"]["type"]
        assert field["label"]
        assert field["description"].endswith((".", "}"))
        assert len({types} if isinstance(types, str) else set(types) - {"null"}) == 1


@pytest.mark.parametrize("connection_type", SECRETS)
def test_secrets_are_passwords(connection_type):
    """The keys are shown as dots, and carry a name that Airflow masks in logs and in its API."""
    fields = _connection_types()[connection_type]["conn-fields"]
    shown_as_dots = {name for name, field in fields.items() if field["schema"].get("format") == "password"}

    assert SECRETS[connection_type] == shown_as_dots
    assert all("api_key" in name or "dsn" in name for name in shown_as_dots)


@pytest.mark.parametrize("connection_type", EXTRAS)
def test_standard_fields(connection_type):
    """Of the standard fields only those stay that mean something, under the names that they have at the vendor."""
    behaviour = _connection_types()[connection_type]["ui-field-behaviour"]

    assert {"schema", "port", "login"} == set(behaviour["hidden-fields"])
    assert {"host", "password"} == set(behaviour["relabeling"])
    assert behaviour["placeholders"]["host"]


def test_asking_is_cheap(tmp_path):
    """The package and its description load nothing heavy: every DAG file and every Airflow process pays for it."""
    code = """
import sys
before = set(sys.modules)
import airflow_provider_meetings
airflow_provider_meetings.get_provider_info()
import json
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    loaded = set(python(code, tmp_path))

    assert "airflow_provider_meetings" in loaded
    assert not loaded & {"airflow", "requests", "aiohttp", "pendulum", "httpx", "urllib3", "fastapi"}


def test_forms_reach_the_ui_without_a_hook(tmp_path):
    """What the API server hands to the browser holds both forms, complete, without any hook being imported for it."""
    code = """
import json, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
ours = {
    meta.connection_type: meta.model_dump()
    for meta in HookMetaService.hook_meta_data()
    if (meta.hook_class_name or "").startswith("airflow_provider_meetings.")
}
loaded = [name for name in sys.modules if name.startswith("airflow_provider_meetings.hooks")]
print(json.dumps({"forms": ours, "loaded": loaded}))
"""
    shown = python(code, tmp_path)

    assert shown["loaded"] == []
    assert set(EXTRAS) == set(shown["forms"])
    for connection_type, form in shown["forms"].items():
        assert EXTRAS[connection_type] == {name: field["value"] for name, field in form["extra_fields"].items()}
        assert all(field["schema"]["title"] for field in form["extra_fields"].values())
        assert form["standard_fields"]["url_schema"]["hidden"]
        assert form["standard_fields"]["port"]["hidden"]
        assert form["standard_fields"]["password"]["title"] == "API key"
    assert shown["forms"]["hiringcenter"]["hook_name"] == "HiringCenter"
    assert shown["forms"]["builderprime"]["hook_name"] == "Builder Prime"
    assert shown["forms"]["builderprime"]["standard_fields"]["host"]["placeholder"] == "acme"


def test_older_forms_change_the_same_fields():
    """What the hooks tell the Airflows below 3.2 is what the description tells the newer ones."""
    for entry in _connection_types().values():
        module, _, name = entry["hook-class-name"].rpartition(".")
        told = getattr(importlib.import_module(module), name).get_ui_field_behaviour()

        assert {key.replace("-", "_"): value for key, value in entry["ui-field-behaviour"].items()} == told
        jsonschema.validate(told, _schema("customized_form_field_behaviours.schema.json"))


def test_older_forms_stay_away(tmp_path):
    """Importing the hooks as a newer Airflow does neither warns of a deprecated form nor loads what it was made of."""
    code = """
import json, sys, warnings
from airflow.providers_manager import ProvidersManager
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    hooks = {kind: info.hook_name for kind, info in ProvidersManager().hooks.items() if info}
ours = [str(warning.message) for warning in caught if "airflow_provider_meetings" in str(warning.message)]
loaded = [name for name in ("wtforms", "flask_appbuilder") if name in sys.modules]
print(json.dumps({"hooks": hooks, "warned": ours, "loaded": loaded}))
"""
    seen = python(code, tmp_path)

    assert {"hiringcenter": "HiringCenter", "builderprime": "Builder Prime"}.items() <= seen["hooks"].items()
    assert [] == seen["warned"] == seen["loaded"]


def test_airflow_lists_the_provider(tmp_path):
    """`airflow providers list` shows the package with its version."""
    listed = {row["package_name"]: row for row in _airflow("providers", "list", tmp_path=tmp_path)}

    assert listed["airflow-provider-meetings"]["version"] == airflow_provider_meetings.__version__


def test_airflow_lists_the_hooks(tmp_path):
    """`airflow providers hooks` imports both hooks and shows their classes and names."""
    listed = {row["connection_type"]: row for row in _airflow("providers", "hooks", tmp_path=tmp_path)}

    for connection_type, entry in _connection_types().items():
        row = listed[connection_type]
        assert entry["hook-class-name"] == row["class"]
        assert entry["hook-name"] == row["hook_name"]
        assert row["conn_id_attribute_name"] == "meetings_conn_id"
        assert row["package_name"] == "airflow-provider-meetings"


def test_wheel_is_complete(tmp_path):
    """The wheel carries the type marker, the description, the entry point and the licence, and no test."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_point_file,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
        declared = archive.read(entry_point_file).decode()

    assert {"airflow_provider_meetings/py.typed", "airflow_provider_meetings/connection/provider_info.py"} <= names
    assert "provider_info = airflow_provider_meetings:get_provider_info" in declared
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "demo/", "example_dags/"))]
