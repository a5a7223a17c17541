"""Asking a person which of several equal meetings is a task's own, where that cannot be told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_meetings.core.times import to_utc_text
from airflow_provider_meetings.exactly_once.journal import Decision
from airflow_provider_meetings.exceptions import MeetingConflictError
from airflow_provider_meetings.operators.asking import (
    AskingTerms,
    OutdatedFormError,
    ask_person,
    note_answered,
    note_stop,
    read_answer,
    stopped,
)
from airflow_provider_meetings.vendors.records import COLUMNS

if TYPE_CHECKING:
    from airflow_provider_meetings.hooks.meetings import MeetingsHook

__all__ = ["CHOICES", "ask_which", "check_not_stopped", "read_choice"]

_ADOPT, _ANOTHER, _STOP = "Adopt ", "Book another", "Stop"
#: What may be chosen without looking, as ``default_choice``, and its option.
CHOICES = {"another": _ANOTHER, "stop": _STOP}
# A form with more choices helps nobody; whoever has so many look-alikes has to look into the CRM.
_MAX_CANDIDATES = 10
# What is shown of each, and under which heading.
_COLUMNS = {
    "starts_at": "starts",
    "title": "title",
    "type": "type",
    "counterpart_name": "with",
    "owner_name": "owner",
    "location": "location",
    "created_at": "created",
}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&#!$])")
_LONGEST_CELL = 60


def ask_which(
    operator: Any, context: Any, hook: MeetingsHook[Any, Any], doubt: MeetingConflictError, terms: AskingTerms
) -> NoReturn:
    """Park the task until a person has said which meeting it is.

    Args:
        operator: The operator; its ``execute_after_choice`` goes on.
        context: Airflow's.
        hook: The connection's.
        doubt: The error that names the candidates.
        terms: How long it waits, and what holds then.
    """
    candidates = doubt.candidates[:_MAX_CANDIDATES]
    ids = [str(meeting.get("id")) for meeting in candidates]
    try:
        ask_person(
            operator,
            context,
            subject=f"{operator.task_id}: which meeting did this task create?",
            body=_body(hook, candidates),
            options=[*(_ADOPT + meeting_id for meeting_id in ids), _ANOTHER, _STOP],
            method_name="execute_after_choice",
            kwargs={"candidates": ids},
            told=f"Asking a person which of the meetings {', '.join(ids)} this task created.",
            timeout=terms.timeout,
            default=None if terms.default is None else CHOICES[terms.default],
        )
    except OutdatedFormError as outdated:
        doubt.message += f" Nobody was asked: {outdated.message}"
        raise doubt from outdated


def read_choice(context: Any, event: Any, candidates: Sequence[str] | None) -> Decision:
    """Return what the person has chosen.

    Args:
        context: Airflow's.
        event: What Airflow resumes the task with.
        candidates: The ids of the meetings that the form showed.

    Raises:
        MeetingConflictError: The person has chosen to stop, or nobody has answered.
    """
    answer = read_answer(context, event)
    choice = answer.choice or ""
    adopted = choice.removeprefix(_ADOPT) if choice.startswith(_ADOPT) else None
    if choice == _ANOTHER or adopted in (candidates or ()):
        # Not when it is carried out: a doubt that comes after it is another question, even about the same meetings.
        note_answered(context)
        return Decision(adopted, answer.by)
    ids = ", ".join(candidates or ())
    by = answer.by if answer.choice else ""
    note_stop(context, by, ids)
    note_answered(context)
    raise _stop_error(by, ids)


def check_not_stopped(context: Any) -> None:
    """Refuse to go on where a person has stopped the task, and the process died before Airflow knew.

    Raises:
        MeetingConflictError: A person has, or nobody has answered in time, and the task was not cleared since.
    """
    found = stopped(context)
    if found is not None:
        raise _stop_error(found["by"], found["what"])


def _stop_error(by: str, ids: str) -> MeetingConflictError:
    what = f"{by} chose to stop" if by else "nobody has answered in time"
    return MeetingConflictError(
        f"It cannot be told which of the meetings {ids} this task created, and {what}. Look at them in the CRM, delete "
        "what is too many, and clear the task."
    )


def _body(hook: MeetingsHook[Any, Any], candidates: Sequence[Mapping[str, Any]]) -> str:
    rows = [f"| id | {' | '.join(_COLUMNS.values())} |", f"|{' --- |' * (len(_COLUMNS) + 1)}"]
    for meeting in candidates:
        record = hook.record_mapping.common_record(meeting, hook.meetings_conn_id)
        url, meeting_id = hook.web_url(meeting), _cell(meeting.get("id"))
        shown = [_show(name, record[name]) for name in _COLUMNS]
        cells = [f"[{meeting_id}]({url})" if url else meeting_id, *map(_cell, shown)]
        rows.append(f"| {' | '.join(cells)} |")
    question = "This task sent a create and got no response. These meetings equal it in all that can be compared:"
    choices = (
        f"*{_ADOPT.strip()}* takes that meeting for this task's own. *{_ANOTHER}* creates one more. "
        f"*{_STOP}* fails the task."
    )
    return "\n".join([question, "", *rows, "", choices])


def _show(column: str, value: Any) -> Any:
    if COLUMNS[column] != "moment" or value is None:
        return value
    # With its seconds: a create and its repeat are not far apart.
    return f"{to_utc_text(value)[:19].replace('T', ' ')} UTC"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = " ".join(str(value).split())
    return _MARKDOWN.sub(r"\\\1", text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…")
