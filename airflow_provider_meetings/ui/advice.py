"""What to do about a task that has failed, in a sentence or two for each kind of error."""

from __future__ import annotations

__all__ = ["advice_for"]

_IN_DOUBT = (
    "The vendor may or may not have done what was asked. Clear the task: the next try finds out first and makes no "
    "second meeting. Do not book the meeting by hand before that."
)
_OTHER = "The task ended without an error of the vendor. Its log says why; clear the task when that is mended."
_BY_ERROR = {
    "MeetingsConfigurationError": "Correct the connection or the argument that the message names, then clear the task.",
    "MeetingsAuthError": "Put a valid API key into the connection, then clear the task.",
    "MeetingsPermissionError": "Have the vendor grant the key the scope that the message names, then clear the task.",
    "MeetingNotFoundError": "There is no such meeting any more. Check its id in the vendor's web app.",
    "MeetingConflictError": "Look at the meetings that the message names in the vendor's web app, and decide there.",
    "MeetingValidationError": "Correct the field that the message names, then clear the task.",
    "MeetingsRateLimitError": "The rate limit is exhausted. Clear the task later, or let fewer tasks run at once.",
    "MeetingsServerError": "The vendor has a failure. Clear the task when its API answers again.",
    "MeetingsTransportError": "The vendor was not reached. Clear the task when the network or its API is back.",
    "MeetingsRejectedError": "A person rejected the plan. Nothing was written; correct the rows and run the DAG again.",
    "MeetingsProtocolError": "Somebody else than the vendor answered. Check the host of the connection.",
}
_AGAIN = "Airflow tries again by itself. "


def advice_for(error: str | None, *, in_doubt: bool, retries: bool) -> str:
    """Return what a person should do.

    Args:
        error: The name of the error's class; None: it was none of this provider's.
        in_doubt: Whether it is open what the vendor has done.
        retries: Whether Airflow tries again anyway.
    """
    if in_doubt:
        return _AGAIN + _IN_DOUBT.partition(". ")[0] + "; the next try finds out first." if retries else _IN_DOUBT
    return (_AGAIN if retries else "") + _BY_ERROR.get(error or "", _OTHER)
