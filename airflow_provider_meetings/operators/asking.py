"""Asking a person from inside a task: the task parks as a required action (Airflow 3.1+) and holds no worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from airflow_provider_meetings.exceptions import MeetingsConfigurationError
from airflow_provider_meetings.version_compat import can_ask, never_expire, park_for_answer

__all__ = ["AskingTerms", "PersonAnswer", "ask_person", "check_can_ask", "note_stop", "stopped"]

# A headline that Airflow's list of required actions still shows in one line.
_MAX_SUBJECT = 200


# Where in the task state store it stands that a person has stopped the task.
_STOPPED_KEY = "meetings_stopped"


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """What a person has answered.

    Attributes:
        choice: The option that was chosen; None: nobody has answered in time, or the form failed.
        by: Who has chosen it; "nobody" where Airflow does not say, "the default choice" where nobody has in time.
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
        nobody = "the default choice" if chosen[0] is not None and told.get("timedout") else "nobody"
        return cls(chosen[0], str(name or user_id or nobody))


@dataclass(frozen=True, slots=True)
class AskingTerms:
    """How long a question stands, and what holds then.

    Attributes:
        timeout: How long a person has time to answer; None: for ever.
        default: The choice that holds where nobody has answered in time; None: the task fails.
    """

    timeout: timedelta | None = None
    default: str | None = None

    @classmethod
    def parse(cls, response_timeout: Any, default_choice: Any, choices: Sequence[str]) -> AskingTerms:
        """Read an operator's arguments; a template may have turned them into text.

        Args:
            response_timeout: A ``timedelta``, or seconds as a number or digits; None: there is no end.
            default_choice: One of the choices, or None.
            choices: What may be chosen without looking.

        Raises:
            MeetingsConfigurationError: One of them cannot be right.
        """
        timeout = None if _is_none(response_timeout) else _as_timedelta(response_timeout)
        default = None if _is_none(default_choice) else str(default_choice).strip()
        if default is not None and default not in choices:
            raise MeetingsConfigurationError(
                f"default_choice must be one of {', '.join(choices)}, not {default_choice!r}. Nothing was sent."
            )
        if default is not None and timeout is None:
            raise MeetingsConfigurationError(
                "default_choice is what holds when response_timeout is over: give both. Nothing was sent."
            )
        return cls(timeout, default)


def note_stop(context: Any, by: str, what: str = "") -> None:
    """Write down that a person has stopped the task, so that nobody is asked again after a kill."""
    store = context.get("task_state_store")
    if store is not None:
        value = {"by": by, "what": what, "max_tries": getattr(context.get("ti"), "max_tries", None)}
        store.set(_STOPPED_KEY, value, retention=never_expire())


def stopped(context: Any) -> Mapping[str, Any] | None:
    """Return ``by`` and ``what`` where a person has stopped the task since it was last cleared; None: nobody has.

    Airflow raises ``max_tries`` with each clear, and with nothing else.
    """
    store = context.get("task_state_store")
    found: Mapping[str, Any] | None = store.get(_STOPPED_KEY) if store is not None else None
    return found if found and found["max_tries"] == getattr(context.get("ti"), "max_tries", None) else None


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
    timeout: timedelta | None = None,
    default: str | None = None,
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
        timeout: How long a person has time; None: for ever.
        default: The option that holds where nobody has answered in time; None: there is none.
    """
    park_for_answer(
        operator,
        context["ti"].id,
        subject=subject[:_MAX_SUBJECT],
        body=body,
        options=list(options),
        method_name=method_name,
        kwargs=dict(kwargs),
        defaults=None if default is None else [default],
        timeout=timeout,
    )


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in {"", "None"})


def _as_timedelta(given: Any) -> timedelta:
    try:
        length = given if isinstance(given, timedelta) else timedelta(seconds=float(given))
    except (TypeError, ValueError, OverflowError):
        length = timedelta()
    if isinstance(given, bool) or length <= timedelta():
        raise MeetingsConfigurationError(
            f"response_timeout must be a timedelta or seconds, and longer than nothing, not {given!r}. Nothing was "
            "sent."
        )
    return length


def _get(user: Any, name: str) -> Any:
    return user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)
