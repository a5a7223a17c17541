"""Asking a person from inside a task: the task parks as a required action (Airflow 3.1+) and holds no worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.version_compat import can_ask, park_for_answer

__all__ = ["PersonAnswer", "ask_person", "check_can_ask"]

# A headline that Airflow's list of required actions still shows in one line.
_MAX_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """What a person has answered.

    Attributes:
        choice: The option that was chosen; None: the time was over, or the form failed.
        by: Who has chosen it; "nobody" where Airflow does not say.
    """

    choice: str | None
    by: str

    @classmethod
    def of_event(cls, event: Any) -> PersonAnswer:
        """Read what Airflow resumes the task with."""
        told: Mapping[str, Any] = event if isinstance(event, Mapping) else {}
        chosen = told.get("chosen_options") or [None]
        user: Any = told.get("responded_by_user") or {}
        name, user_id = (_get(user, part) for part in ("name", "id"))
        return cls(chosen[0], str(name or user_id or "nobody"))


def check_can_ask(argument: str) -> None:
    """Refuse to ask where Airflow has no required actions.

    Args:
        argument: What asks for it, such as ``approval='always'``.

    Raises:
        MeetingsConfigurationError: Airflow is older than 3.1.
    """
    if not can_ask():
        raise MeetingsConfigurationError(
            f"{argument} needs Airflow 3.1 or newer with the standard provider: older ones have no required actions. "
            "Nothing was sent."
        )


def ask_person(
    operator: Any,
    context: Any,
    *,
    subject: str,
    body: str,
    options: Sequence[str],
    method_name: str,
    kwargs: Mapping[str, Any],
) -> NoReturn:
    """Park the task until a person has chosen; it goes on, in the same try, with a method that gets ``event``.

    Airflow keeps one form a try: a try that asked once must not ask again.

    Args:
        operator: The operator that is running.
        context: Its context.
        subject: The headline.
        body: What is to be decided, as Markdown.
        options: The choices.
        method_name: The operator's method that goes on; see :class:`PersonAnswer`.
        kwargs: What it gets besides; plain JSON.
    """
    park_for_answer(
        operator,
        context["ti"].id,
        subject=subject[:_MAX_SUBJECT],
        body=body,
        options=list(options),
        method_name=method_name,
        kwargs=dict(kwargs),
    )


def _get(user: Any, name: str) -> Any:
    return user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)
