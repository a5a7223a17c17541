"""What a failure in a vendor's own envelope means, by its code and by its words.

Vendors tell failures with a status of success, and one code for all of them: "API_GENERAL: Unauthorized: Invalid key".
"""

from __future__ import annotations

import re

from airflow_provider_meetings.vendors.responses import VendorError

__all__ = ["is_generic", "misses_something_else", "status_meant"]

#: Parts of error codes, and the status that they amount to.
_CODES = (
    (("UNAUTHORIZED", "UNAUTHENTICATED", "INVALID_API_KEY", "INVALID_KEY"), 401),
    (("FORBIDDEN", "PERMISSION", "SCOPE"), 403),
    (("NOT_FOUND", "NOTFOUND"), 404),
    (("CONFLICT",), 409),
    (("RATE_LIMIT", "TOO_MANY_REQ", "THROTTL"), 429),
    # An employee who is unavailable is no server that is.
    (tuple(f"{who}_UNAVAILABLE" for who in ("SERVICE", "SERVER", "SYSTEM", "API", "TEMPORARILY")), 503),
    (("MAINTENANCE", "TIMEOUT"), 503),
    (("INTERNAL", "SERVER_ERROR"), 500),
)
#: Codes that say nothing (Builder Prime answers each 400 and 401 with API_GENERAL).
_GENERIC = re.compile(r"(API_)?(GENERAL|GENERIC|UNKNOWN|UNSPECIFIED)?(_?(ERROR|EXCEPTION|FAILURE))?|BAD_REQUEST|400")

# A key that is not accepted, as messages name it.
_KEY = r"(?<!idempotency )(?<!primary )(?<!foreign )((api|secret|access)[- ]?)*key"
_SENT = r"((you )?(provided|supplied|given|used|sent) )?"
_NO_GOOD = (
    r"(invalid|wrong|unknown|expired|revoked|missing|inactive|(de)?activated|disabled|suspended|blocked|required|incorrect"
    r"|not (found|valid|active|recogni[sz]ed|accepted|provided|given|known)|not exist|no longer valid)"
)
#: Words of messages, by the status that they amount to. The first that fit count.
_WORDS = {
    401: (
        r"unauthori[sz]ed",
        r"unauthenticated",
        r"not authenticated",
        r"authentication\b[^.;]{0,40}\b(failed|required|missing|not (provided|given|valid))",
        rf"(no|without an?) {_KEY}",
        rf"{_NO_GOOD} {_KEY}",
        rf"{_KEY} {_SENT}(is |was |has been |has |does |did |could |cannot |can )*{_NO_GOOD}",
        rf"(api|access|auth|bearer)[- ]?token (is |was |has been |has )*{_NO_GOOD}",
        r"(login|log in|authentication|credentials) (is |are )?required",
    ),
    403: (
        r"forbidden",
        r"(access|permission) (is |was )?denied",
        r"not authori[sz]ed",
        r"(no|not|lacks?|lacking|missing|insufficient|without|requires?)\b[^.;]{0,40}\b(permissions?|scopes?|privileges?)",
        r"(does|do) ?n[o']t have (the right|access)",
    ),
    429: (
        r"rate limit(ed|s)?",
        r"too many requests",
        r"throttl(ed|ing)",
        r"(quota|(request|api|call|usage) limit)s? (is |was |were |has been |have been )?(exceeded|reached|used up)",
    ),
    503: (
        r"(is|service|temporarily|currently) unavailable",
        r"(under|down for|closed for) maintenance",
        r"(try|retry) again later",
        r"timed? ?out",
        r"overloaded",
    ),
    # What went wrong is not the request: nobody says that nothing was done.
    500: (
        r"internal (server )?error",
        r"server error",
        r"(unexpected|unknown|unhandled) (error|exception|problem)",
        r"something went wrong",
    ),
}
_MISSING = (
    r"not found",
    r"(does|do|did) ?n[o']t exist",
    r"no longer exists?",
    r"(could not|cannot|can't) (be found|find)",
    r"no (such )?(meeting|record|resource)",
    r"(was|has been|is|already) deleted",
)
# What a wrong address, or a wrong account, is told with.
_ADDRESS = (
    r"(account|company|tenant|organi[sz]ation|subdomain|domain|host|site|endpoint|route|path|url|page|handler|method)s?",
    r"cannot (get|post|put|patch|delete)",
)
# What a message may say is missing instead of the record that the request is for.
_OTHER_THINGS = (
    # Also within the names of fields: meetingTypeId.
    r"\w*(employee|user|owner|opportunit(y|ies)|client|prospect|type|result|field|calendar|reminder)\w*",
)
# A value that is repeated from what was sent; its words mean nothing.
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”")


def is_generic(code: str | None) -> bool:
    """Whether an error code says nothing about what went wrong."""
    return _GENERIC.fullmatch(_as_code(code)) is not None


def status_meant(error: VendorError, *, names_record: bool) -> int:
    """Return the HTTP status that a failure amounts to; 400 where it says nothing else.

    Args:
        error: The failure.
        names_record: The request is for one record by its id, so that "not found" may mean that it is gone.
    """
    code = _as_code(error.code)
    if code.isdigit() and 400 < int(code) < 600:
        return int(code)
    for words, status in _CODES:
        if any(word in code for word in words):
            return _what_is_missing(code) if status == 404 else status
    if not is_generic(error.code):
        return 400
    text = _words_of(error)
    for status, phrases in _WORDS.items():
        if _says(text, phrases):
            return status
    if not names_record or not _says(text, _MISSING) or _says(text, _OTHER_THINGS) or misses_something_else(error):
        return 400
    return 404


def misses_something_else(error: VendorError) -> bool:
    """Whether the words of a 404 say that it is the address, the account or the key that is not there."""
    text = _words_of(error)
    if _says(text, (r"meeting", r"record", r"resource")):
        return False
    return _says(text, _ADDRESS) or _says(text, _WORDS[401])


def _what_is_missing(code: str) -> int:
    """Return the status that a code such as EMPLOYEE_NOT_FOUND amounts to: 404 where it is the record itself."""
    text = code.replace("_", " ")
    if _says(text, _WORDS[401]):
        return 401
    return 400 if _says(text, _OTHER_THINGS) or _says(text, _ADDRESS) else 404


def _words_of(error: VendorError) -> str:
    return _QUOTED.sub(" ", error.message).replace("_", " ")  # codes are words, too


def _says(text: str, phrases: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{phrase}\b", text, re.IGNORECASE) for phrase in phrases)


def _as_code(code: str | None) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", (code or "").upper()).strip("_")
