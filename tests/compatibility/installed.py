"""A plugin for pytest: the installed wheel is tested, also with an Airflow 2 that asks its database for reschedules."""

import importlib.util
import sys
from pathlib import Path

import pytest

import airflow_provider_meetings


def pytest_configure() -> None:
    """End the run where something else than the installed package would be tested."""
    where = Path(str(airflow_provider_meetings.__file__))
    if not where.is_relative_to(sys.prefix):
        raise RuntimeError(f"{where} is not what was installed in {sys.prefix}")


@pytest.fixture(autouse=True)
def _first_reschedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow 2 ask the test's task instance when it first rescheduled, as Airflow 3 does; there is no database."""
    if importlib.util.find_spec("airflow.sdk") is None:
        # Airflow is imported after the tests have set its home.
        from airflow.providers.common.compat.sdk import BaseSensorOperator  # noqa: PLC0415

        execute = BaseSensorOperator.execute

        def with_the_test_as_database(self, context):
            monkeypatch.setattr(
                "airflow.sensors.base._orig_start_date", lambda **_: getattr(context["ti"], "first", None)
            )
            return execute(self, context)

        monkeypatch.setattr(BaseSensorOperator, "execute", with_the_test_as_database)
