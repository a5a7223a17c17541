"""The error tree: which answer becomes which error, what each carries, and what none of them ever says."""

import inspect
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_meetings import exceptions
from airflow_provider_meetings.exceptions import MeetingsError
from tests.support.flows import Line, answer, builderprime, hiringcenter, retry_limits

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]
PERMANENT = {
    "MeetingsConfigurationError",
    "MeetingsAuthError",
    "MeetingsPermissionError",
    "MeetingsRejectedError",
    "MeetingNotFoundError",
    "MeetingConflictError",
    "MeetingValidationError",
}
STATUSES = {
    400: "MeetingValidationError",
    401: "MeetingsAuthError",
    403: "MeetingsPermissionError",
    404: "MeetingNotFoundError",
    408: "MeetingsServerError",
    409: "MeetingConflictError",
    418: "MeetingsProtocolError",
    422: "MeetingValidationError",
    429: "MeetingsRateLimitError",
    500: "MeetingsServerError",
    502: "MeetingsServerError",
    503: "MeetingsServerError",
    504: "MeetingsServerError",
    301: "MeetingsProtocolError",
    302: "MeetingsProtocolError",
    307: "MeetingsProtocolError",
}
HC_ENVELOPE = {"error": "Teapot", "message": "because of a reason."}
BP_ENVELOPE = {"success": False, "errors": [{"code": "TEAPOT", "message": "because of a reason."}]}
NO_ENVELOPES = [b"", b"<html>secret page</html>", b"{}", b'"error"', b"[1]", b'{"error": ""}', b'{"success": false}']


def raised(vendor, status, content):
    """The error that one refused read ends in."""
    with pytest.raises(MeetingsError) as caught:
        Line(lambda _: answer(status, content)).drive(vendor(retry_limits=retry_limits(max_attempts=1)).get("7"))
    return caught.value


def test_the_list_of_names_is_what_is_public():
    """Nothing hidden, nothing forgotten."""
    defined = {
        name
        for name, item in vars(exceptions).items()
        if inspect.isclass(item) and item.__module__ == exceptions.__name__ and not name.startswith("_")
    }
    assert set(exceptions.__all__) == defined


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_one_of_ours_and_airflows(kind):
    """And fails the task for good exactly where waiting cannot help."""
    assert issubclass(kind, MeetingsError)
    assert issubclass(kind, AirflowException)
    assert issubclass(kind, AirflowFailException) == (kind.__name__ in PERMANENT)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling_with_all_it_carries(kind):
    """Airflow hands errors between processes."""
    error = kind("a text", status=418, code="TEAPOT", method="GET", path="/x")
    error.maybe_sent = True
    error.more = {"a": 1}
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(copy) is kind
    assert str(copy) == "a text"
    assert copy.__dict__ == error.__dict__


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_can_be_made_of_nothing(kind):
    """With all attributes there."""
    error = kind()
    assert (error.status, error.code, error.message, error.method, error.path) == (None, None, "", None, None)
    assert isinstance(error.maybe_sent, bool)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("vendor", "content"), [(hiringcenter, HC_ENVELOPE), (builderprime, BP_ENVELOPE)])
def test_a_status_in_the_vendors_envelope_is_its_error(vendor, content, status):
    """With status, method, path, the vendor's code and words, and the reason for a person to read."""
    error = raised(vendor, status, content)
    assert type(error).__name__ == STATUSES[status]
    assert (error.status, error.method, error.path) == (status, "GET", error.path)
    assert error.path.endswith("/7")
    assert error.code.lower() == "teapot"
    assert "because of a reason" in str(error)
    assert f"answered {status} to GET /meetings" in str(error)


#: What only the vendor itself can say: anybody else's page with such a status means something else.
OWN_WORDS = [400, 404, 409, 422]
SPRING = {"timestamp": "2026-11-21T12:00:00Z", "status": 405, "error": "Method Not Allowed", "path": "/api/meetings/v1"}


@pytest.mark.parametrize("status", [*OWN_WORDS, 405])
@pytest.mark.parametrize("body", [*NO_ENVELOPES, SPRING])
@pytest.mark.parametrize("vendor", [hiringcenter, builderprime])
def test_a_refusal_outside_the_vendors_envelope_is_none_of_the_vendors(vendor, body, status):
    """A wrong host or path answers so, too: the error says to check the host."""
    error = raised(vendor, status, body)
    assert type(error).__name__ == "MeetingsProtocolError"
    assert "check the host" in str(error)
    assert "secret page" not in str(error)


@pytest.mark.parametrize("status", sorted(set(STATUSES) - set(OWN_WORDS)))
@pytest.mark.parametrize("vendor", [hiringcenter, builderprime])
def test_other_statuses_need_no_envelope(vendor, status):
    """A gateway before the vendor answers in its own words, which stay out of the log."""
    error = raised(vendor, status, b"<html>secret page</html>")
    assert type(error).__name__ == STATUSES[status]
    assert (error.status, error.code) == (status, None)
    assert "secret page" not in str(error)


def test_what_to_do_stands_in_the_text():
    """The connection, the field of the key, the scope, the wait."""
    assert "password of connection 'hc' is not accepted" in str(raised(hiringcenter, 401, HC_ENVELOPE))
    assert "lacks the scope meetings.read" in str(raised(builderprime, 403, BP_ENVELOPE))
    assert "https://acme.builderprime.com/api" in str(raised(builderprime, 302, b""))
    limited = raised(hiringcenter, 429, {"error": "Too many requests", "retryAfter": 30})
    assert limited.retry_after == 30
    assert "30 s" in str(limited)


def test_a_long_message_is_cut():
    """The log is not the place for a vendor's stack trace."""
    assert len(str(raised(hiringcenter, 400, {"error": "x" * 100_000}))) < 1_000


MEANINGS = {
    "UNAUTHORIZED": "MeetingsAuthError",
    "invalid-api-key": "MeetingsAuthError",
    "FORBIDDEN": "MeetingsPermissionError",
    "missing scope": "MeetingsPermissionError",
    "MEETING_NOT_FOUND": "MeetingNotFoundError",
    "meeting.not.found": "MeetingNotFoundError",
    "404": "MeetingNotFoundError",
    404: "MeetingNotFoundError",
    "CONFLICT": "MeetingConflictError",
    "RATE_LIMIT_EXCEEDED": "MeetingsRateLimitError",
    "INTERNAL_ERROR": "MeetingsServerError",
    "503": "MeetingsServerError",
    "VALIDATION": "MeetingValidationError",
    "999": "MeetingValidationError",
    None: "MeetingValidationError",
}


@pytest.mark.parametrize("code", MEANINGS)
def test_a_failure_with_200_is_told_by_its_code(code):
    """Always look at success: the code says what the status does not."""
    error = raised(builderprime, 200, {"success": False, "errors": [{"code": code, "message": "why"}]})
    assert type(error).__name__ == MEANINGS[code]
    assert error.status == 200
    assert error.code == (None if code is None else str(code))


@pytest.mark.parametrize(
    "errors", [["just text"], [{"message": "just text"}], [{"code": None, "message": "just text"}, {"code": "B"}]]
)
def test_a_failure_with_200_may_be_explained_in_other_shapes(errors):
    """What it says is passed on."""
    assert "just text" in str(raised(builderprime, 200, {"success": False, "errors": errors}))


def test_hiringcenter_may_fail_with_200_too():
    """A failure explained is a refusal, one unexplained breaks the contract."""
    assert type(raised(hiringcenter, 200, {"success": False, "error": "No"})).__name__ == "MeetingValidationError"
    for content in ({"success": False}, {"success": False, "error": ""}, {"success": "true", "item": {"id": 1}}):
        assert type(raised(hiringcenter, 200, content)).__name__ == "MeetingsProtocolError"


def test_a_nested_error_object_is_read():
    """An error with a code and a message of its own."""
    error = raised(hiringcenter, 400, {"error": {"code": "BAD", "message": "why"}})
    assert (error.code, "why" in str(error)) == ("BAD", True)
