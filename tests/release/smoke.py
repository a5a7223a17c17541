"""Run by the Python of an environment that has the wheel and what it needs, and nothing else: does it work there?"""

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files

import jsonschema

import airflow_provider_meetings
from airflow_provider_meetings.hooks.builderprime import BuilderPrimeHook
from airflow_provider_meetings.hooks.hiringcenter import HiringCenterHook
from airflow_provider_meetings.testing import run_sandbox

DISTRIBUTION = "airflow-provider-meetings"
INTERVIEW = {
    "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
    "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
    "meetingDate": "2027-01-11T10:00:00-05:00",
    "timeZone": "America/New_York",
    "meetingType": "virtual",
}
WINDOW = ("2027-01-11T00:00:00Z", "2027-01-12T00:00:00Z")


def _modules():
    found = pkgutil.walk_packages(airflow_provider_meetings.__path__, f"{airflow_provider_meetings.__name__}.")
    # Fixtures are for those who have pytest, forms of Airflow 2 for those who have that.
    return [one.name for one in found if not one.name.endswith((".__main__", ".testing.fixtures", ".legacy_forms"))]


def main():
    """Try everything once; what does not work raises."""
    assert "site-packages" in airflow_provider_meetings.__file__, airflow_provider_meetings.__file__
    assert version(DISTRIBUTION) == airflow_provider_meetings.__version__
    modules = _modules()
    for name in modules:
        importlib.import_module(name)
    print(f"{len(modules)} modules are imported")

    info = airflow_provider_meetings.get_provider_info()
    jsonschema.validate(info, json.loads((files("airflow") / "provider_info.schema.json").read_text()))
    shown = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", "get", DISTRIBUTION, "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (provider,) = json.loads(shown[shown.index("[{") :])
    assert provider["Version"] == airflow_provider_meetings.__version__, provider
    print(f"airflow providers get: {provider['Provider']} {provider['Version']}")

    with run_sandbox() as sandbox:
        created = HiringCenterHook().create_meeting(INTERVIEW)
        assert [created] == list(HiringCenterHook().list_meetings(*WINDOW))
        assert BuilderPrimeHook().test_connection()[0]
        assert [created["id"]] == [row["meetingId"] for row in sandbox.journal(acted=True)]
    print(f"the sandbox has booked and listed meeting {created['id']}")


if __name__ == "__main__":
    main()
