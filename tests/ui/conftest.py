"""The application over a database of its own, with users who may read different things."""

import json

import pytest
from airflow import settings
from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models import import_all_models
from airflow.models.base import Base
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_meetings.ui.app import create_app
from tests.support.ui import Database

TOKEN = "_token"


@pytest.fixture(scope="session")
def engine():
    """Airflow's database, with its tables."""
    import_all_models()
    Base.metadata.create_all(settings.engine)
    return settings.engine


@pytest.fixture
def database(engine):
    """The database, empty before and after."""
    database = Database(engine)
    database.clear()
    yield database
    database.clear()


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """The pages, mounted as Airflow mounts them, and its auth manager."""
    folder = tmp_path_factory.mktemp("auth")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({"admin": "admin"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.support.dag_rights.DagRights")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s3cret" * 16)
        root = FastAPI()
        airflow_app.init_auth_manager(root)
        root.mount("/meetings", create_app())
        yield root
        airflow_app.purge_cached_app()


@pytest.fixture
def client(application, database):  # noqa: ARG001 - the pages read it
    """Returns a browser in which a user is logged in; None: nobody is."""

    def log_in(username="admin", role="viewer"):
        browser = TestClient(application, base_url="http://airflow.example.com/meetings", headers={"accept": "*/*"})
        if username is not None:
            user = SimpleAuthManagerUser(username=username, role=role)
            browser.cookies.set(TOKEN, airflow_app.get_auth_manager().generate_jwt(user))
        return browser

    return log_in
