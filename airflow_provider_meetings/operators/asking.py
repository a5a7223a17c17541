"""Asking a person from inside a task: the task parks as a required action (Airflow 3.1+) and holds no worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_meetings.exceptions import MeetingsConfigurationError, MeetingsError
from airflow_provider_meetings.version_compat import can_ask, never_expire, park_for_answer, show_form

__all__ = [
    "AskingTerms",
    "OutdatedFormError",
    "PersonAnswer",
    "ask_person",
    "check_can_ask",
    "note_answered",
    "note_stop",
    "read_answer",
    "stopped",
]

# A headline that Airflow's list of required actions still shows in one line.
_MAX_SUBJECT = 200


# Where in the task state store it stands that a person has stopped the task.
_STOPPED_KEY = "meetings_stopped"
# Where it stands that a form was shown whose answer has not arrived.
_ASKED_KEY = "meetings_asked"
# What of a form people see.
_SHOWN = ("subject", "body", "options")


class OutdatedFormError(MeetingsError, AirflowFailException):
    """Airflow goes on to show a form of the task instance that asks something else. Nobody was asked."""


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


def read_answer(context: Any, event: Any) -> PersonAnswer:
    """Read what Airflow resumes the task with.

    Raises:
        MeetingsError: Airflow could not read the form; the next try asks again.
    """
    told: Mapping[str, Any] = event if isinstance(event, Mapping) else {}
    if told.get("error") and told.get("error_type") != "timeout":
        note_answered(context)
        raise MeetingsError(
            f"Airflow could not read the answer to the form: {told['error']}. Nothing was sent. The next try asks "
            "again."
        )
    return PersonAnswer.of_event(event)


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
    told: str,
    timeout: timedelta | None = None,
    default: str | None = None,
) -> NoReturn:
    """Park the task until a person has chosen; it goes on, in the same try, with a method that gets ``event``.

    Airflow keeps one form a task instance: a try that asked once must not ask again. A later try that asks the same
    takes the answer to the form that is there (Airflow 3.3+, whose task state store tells that it is).

    Args:
        operator: The operator that is running.
        context: Its context.
        subject: The headline.
        body: What is to be decided, as Markdown.
        options: The choices.
        method_name: The operator's method that goes on; see :class:`PersonAnswer`.
        kwargs: What it gets besides; plain JSON.
        told: What the log says of it.
        timeout: How long a person has time; None: for ever.
        default: The option that holds where nobody has answered in time; None: there is none.

    Raises:
        OutdatedFormError: Airflow shows the form of an earlier try, which asks something else.
    """
    ti = context["ti"]
    form: dict[str, Any] = {
        "subject": subject[:_MAX_SUBJECT],
        "body": body,
        "options": list(options),
        "defaults": None if default is None else [default],
        "multiple": False,
        "params": {},
    }
    asked = _Question(context, form)
    answered = asked.open
    if answered:
        operator.log.info("An earlier try has asked a person for this already: taking the answer to its form.")
    else:
        operator.log.info("%s", told)
        _check_shown(form, show_form(ti.id, form, first=getattr(ti, "try_number", 1) <= 1))
        asked.note()
    park_for_answer(
        operator,
        ti.id,
        form=form,
        method_name=method_name,
        kwargs=dict(kwargs),
        timeout=timeout,
        answered=answered,
    )


def note_answered(context: Any) -> None:
    """Write down that the answer of a person has arrived, and is kept: another question needs another answer."""
    store = context.get("task_state_store")
    if store is not None and store.get(_ASKED_KEY):
        store.set(_ASKED_KEY, {}, retention=never_expire())


class _Question:
    """What the task state store (Airflow 3.3+) tells of a form whose answer has not reached the task.

    A process that dies between a person's answer and the task's going on would lose it; so would an Airflow that fails
    a task which was resumed before the scheduler had read that its worker was done. The answer stays with the form
    until the task asks again.
    """

    def __init__(self, context: Any, form: Mapping[str, Any]) -> None:
        self._store = context.get("task_state_store")
        shown = json.dumps([form[name] for name in _SHOWN]).encode()
        # A person who clears a task wants to be asked again; Airflow raises max_tries with each clear.
        max_tries = getattr(context.get("ti"), "max_tries", None)
        self._record = {"form": hashlib.sha256(shown).hexdigest(), "max_tries": max_tries}

    @property
    def open(self) -> bool:
        """Whether this form was shown since the task was last cleared, and its answer has not arrived."""
        return self._store is not None and self._store.get(_ASKED_KEY) == self._record

    def note(self) -> None:
        """Write down that it was shown."""
        if self._store is not None:
            self._store.set(_ASKED_KEY, self._record, retention=never_expire())


def _check_shown(form: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    if all(form[name] == shown[name] for name in _SHOWN):
        return
    raise OutdatedFormError(
        f"Airflow keeps the form that a task instance has shown first ({shown['subject']!r}), and so cannot show what "
        f"is to be decided now ({form['subject']!r}). Nothing was sent. Start a new DAG run, whose form will show it."
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
