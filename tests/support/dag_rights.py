"""An auth manager whose users may read some DAGs only: what a real deployment has, without a user database."""

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: The DAGs of each user; anybody else may read all.
DAGS_OF = {"recruiter": {"interviews"}, "nobody": set()}
#: Users who may read DAGs, and nothing in them.
WITHOUT_XCOMS = {"bystander"}
WITHOUT_ASSETS = {"recruiter"}


class DagRights(SimpleAuthManager):
    """Decides by the user's name."""

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        """Whether the user may read a DAG, or a part of it; of any DAG, when none is named."""
        if user.username in WITHOUT_XCOMS and access_entity == DagAccessEntity.XCOM:
            return False
        own = DAGS_OF.get(user.username)
        if own is not None and details is not None and details.id is not None and details.id not in own:
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)

    def is_authorized_asset(self, *, method, user, details=None):
        """Whether the user may read assets."""
        if user.username in WITHOUT_ASSETS:
            return False
        return super().is_authorized_asset(method=method, user=user, details=details)
