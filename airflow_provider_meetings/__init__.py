"""Book, move, cancel, list and wait for CRM meetings from Apache Airflow.

Every DAG file that uses the provider imports this module, so it imports nothing itself.
"""

from typing import Any

__all__ = ["__version__", "get_provider_info"]

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Describe the provider to Airflow: its modules, its connection types and their forms."""
    from airflow_provider_meetings.connection import provider_info  # noqa: PLC0415 - Airflow asks, no DAG file

    return provider_info.describe(__version__)
