"""Who may see what: Airflow's own answers, asked for in each request.

A record is the content of an XCom, so whoever wants to see one needs what Airflow's own pages ask for: the right to
read XComs and task instances, and the right to read the DAG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Depends

__all__ = ["AUTHENTICATED", "READS_RUN", "Reader", "ReaderDep"]

#: The user is logged in.
AUTHENTICATED = Depends(get_user)
#: The user may read the XComs and the task instances of the DAG in the route's path; of any DAG where there is none.
READS_RUN = [
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM)),
    Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.TASK_INSTANCE)),
]


@dataclass(frozen=True, slots=True)
class Reader:
    """What a user may read.

    Attributes:
        dag_ids: The DAGs.
        assets: Whether assets are among it.
    """

    dag_ids: frozenset[str]
    assets: bool


def _reader(user: GetUserDep) -> Reader:
    manager: Any = get_auth_manager()
    return Reader(
        frozenset(manager.get_authorized_dag_ids(user=user, method="GET")),
        manager.is_authorized_asset(method="GET", user=user),
    )


ReaderDep = Annotated[Reader, Depends(_reader)]
