"""What Airflow loads: in every process, so it is light; and whatever is wrong with it, Airflow starts."""

import importlib
from importlib.metadata import entry_points

import pytest
from airflow import plugins_manager
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_meetings import get_provider_info
from airflow_provider_meetings.ui import plugin
from tests.support.interpreter import modules_of


@pytest.fixture
def loaded(monkeypatch):
    """Loads the plugin anew, with this in the environment, as another Airflow would."""

    def load(version="3.3.2", **environment):
        monkeypatch.setattr("airflow.__version__", version)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return importlib.reload(plugin).MeetingsPlugin

    yield load
    monkeypatch.undo()
    importlib.reload(plugin)


def test_airflow_finds_it_through_the_entry_point():
    """Airflow's own plugin manager lists both views and the application, and has nothing to complain of."""
    (point,) = [point for point in entry_points(group="airflow.plugins") if point.name == "meetings"]
    assert "airflow_provider_meetings.ui.plugin:MeetingsPlugin" == point.value
    (ours,) = [one for one in plugins_manager.get_plugin_info() if one["name"] == "meetings"]
    assert [("nav", "meetings"), ("dag_run", "run-meetings")] == [
        (view["destination"], view["url_route"]) for view in ours["external_views"]
    ]
    assert ["/meetings"] == [app["url_prefix"] for app in ours["fastapi_apps"]]


def test_it_is_light(tmp_path):
    """Workers import it as well: neither FastAPI nor the pages' modules come along."""
    heavy = ("fastapi", "airflow_provider_meetings.ui.app", "airflow_provider_meetings.hooks")
    assert [] == modules_of("import airflow_provider_meetings.ui.plugin", *heavy, home=tmp_path)


@pytest.mark.parametrize(
    ("version", "environment"),
    [
        ("3.0.6", {}),
        ("2.11.2", {}),
        ("3.3.2", {"AIRFLOW__MEETINGS__UI": "False"}),
        ("3.3.2", {"AIRFLOW__MEETINGS__UI": "what"}),
    ],
)
def test_without_pages_there_is_nothing(loaded, version, environment):
    """On an older Airflow, switched off, or with a setting that is none."""
    ours = loaded(version, **environment)
    assert ("meetings", [], []) == (ours.name, ours.external_views, ours.fastapi_apps)


def test_an_airflow_below_a_path_is_followed(loaded):
    """The addresses in Airflow's UI begin with the path of its base URL."""
    ours = loaded(AIRFLOW__API__BASE_URL="https://example.com/airflow/")
    assert ["/airflow/meetings/", "/airflow/meetings/run?dag_id={DAG_ID}&run_id={RUN_ID}"] == [
        view["href"] for view in ours.external_views
    ]


def test_broken_pages_are_an_answer(monkeypatch, caplog):
    """Whatever keeps the application from being loaded, a request is answered with what to do, and the log has why."""
    monkeypatch.setattr(plugin, "_APP", "airflow_provider_meetings.ui.no_such_module")
    plugin._load.cache_clear()
    root = FastAPI()
    root.mount("/meetings", plugin.pages)
    answer = TestClient(root).get("/meetings/")
    assert 503 == answer.status_code
    assert "The log of Airflow's API server says why." in answer.text
    plugin._load.cache_clear()
    assert "no_such_module" in caplog.text


def test_the_pages_are_loaded_at_the_first_request(application):  # noqa: ARG001 - an auth manager
    """And are the real ones."""
    root = FastAPI()
    root.mount("/meetings", plugin.pages)
    assert 401 == TestClient(root).get("/meetings/").status_code


def test_the_setting_is_described():
    """Airflow lists it, with its default."""
    option = get_provider_info()["config"]["meetings"]["options"]["ui"]
    assert ("boolean", "True") == (option["type"], option["default"])
