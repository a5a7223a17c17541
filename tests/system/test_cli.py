"""Airflow's own command line shows the provider."""

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


def test_providers_list(system):
    """`airflow providers list` has the package."""
    assert "airflow-provider-meetings" in system.home.run("providers", "list")


def test_providers_hooks(system):
    """`airflow providers hooks` has both connection types with their hooks."""
    text = system.home.run("providers", "hooks")

    assert "hiringcenter" in text
    assert "builderprime" in text
    assert "HiringCenterHook" in text
    assert "BuilderPrimeHook" in text
