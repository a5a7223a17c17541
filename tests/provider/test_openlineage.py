"""Assets of meetings as OpenLineage sees them."""

import importlib
from dataclasses import dataclass

import pytest
from airflow.providers.common.compat.openlineage import facet
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_meetings import get_provider_info
from airflow_provider_meetings.assets import meetings_asset


@dataclass
class Dataset:
    """What the client of OpenLineage has for a dataset."""

    namespace: str
    name: str


@pytest.mark.parametrize(
    ("asset", "namespace", "name"),
    [
        (meetings_asset("hiringcenter_default"), "meetings://hiringcenter_default", "/"),
        (meetings_asset("crm", "visits/soon"), "meetings://crm", "visits/soon"),
        (Asset(name="by name", uri="meetings://crm/visits/"), "meetings://crm", "visits"),
    ],
)
def test_an_asset_becomes_a_dataset(monkeypatch, asset, namespace, name):
    """The converter that the provider names gives a dataset; without one OpenLineage drops the asset."""
    monkeypatch.setattr(facet, "Dataset", Dataset)
    (entry,) = get_provider_info()["asset-uris"]
    module, _, function = entry["to_openlineage_converter"].rpartition(".")
    convert = getattr(importlib.import_module(module), function)
    assert Dataset(namespace, name) == convert(asset=asset, lineage_context=None)
