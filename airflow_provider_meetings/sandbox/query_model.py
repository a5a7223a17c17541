"""The query of a request as a model, with whichever FastAPI the Airflow beside it asks for."""

from typing import Any

import fastapi
from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["Query"]

# Before 0.124 FastAPI hands a parameter over under the field's name instead of its alias. Airflow 3.0 and 3.1 need one.
_BY_FIELD_NAME = tuple(int(part) for part in fastapi.__version__.split(".")[:2]) < (0, 124)


class Query(BaseModel):
    """A query; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _under_its_alias(cls, given: Any) -> Any:
        if not (_BY_FIELD_NAME and isinstance(given, dict)):
            return given
        aliases = {name: field.alias for name, field in cls.model_fields.items() if field.alias}
        return {aliases.get(name, name): value for name, value in given.items()}
