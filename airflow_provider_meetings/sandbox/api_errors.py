"""Errors as each vendor words them."""

from http import HTTPStatus
from typing import Any, Literal

from .clock import VendorClock
from .responses import ApiResponse, Vendor

# Builder Prime, seen by public clients: 400 and 401 carry this same code, which therefore says nothing
GENERAL_CODE = "API_GENERAL"

MissingForm = Literal["errors", "error-code", "errors-400", "errors-200"]


class ApiError(Exception):
    """A request that the vendor refuses; ``render`` words it as that vendor does."""

    def __init__(
        self,
        status: int,
        title: str,
        *messages: str,
        code: str = GENERAL_CODE,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.messages = messages or (title,)
        self.code = code
        self.headers = headers or {}

    def render(self, vendor: Vendor, **extra: Any) -> ApiResponse:
        """Return the response in the vendor's error envelope; ``extra`` fields stand beside it."""
        payload: dict[str, Any]
        if vendor == "hiringcenter":
            # HiringCenter, "Errors": a JSON body that has `error` and usually `message`
            payload = {"error": self.title, "message": "; ".join(self.messages)}
        else:
            # Builder Prime: {"success": false, "errors": [{"code": ..., "message": ...}]}
            errors = [{"code": self.code, "message": message} for message in self.messages]
            payload = {"success": False, "errors": errors}
        return ApiResponse.json(self.status, payload | extra, self.headers)


class NotFoundError(ApiError):
    """An id that the vendor does not have."""

    def __init__(self, what: str = "Meeting") -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "Not found", f"{what} not found.")

    def render_as(self, form: MissingForm) -> ApiResponse:
        """Return Builder Prime's response in one of the forms that it may have; which one it has is not known."""
        if form == "error-code":
            return unknown_resource()
        response = self.render("builderprime")
        response.status = {"errors": 404, "errors-400": 400, "errors-200": 200}[form]
        return response


def invalid(*messages: str) -> ApiError:
    """Make the error for a request that breaks the vendor's rules."""
    return ApiError(HTTPStatus.BAD_REQUEST, "Validation failed", *messages)


def unauthorized(vendor: Vendor) -> ApiResponse:
    """Return the response to a key that is missing or unknown."""
    # Builder Prime: these words were seen by public clients
    words = "The API key is missing or not known." if vendor == "hiringcenter" else "Unauthorized: Invalid key"
    return ApiError(HTTPStatus.UNAUTHORIZED, "Unauthorized", words).render(vendor)


def unknown_resource() -> ApiResponse:
    """Return Builder Prime's response to an unknown resource, as public clients have seen it: without ``success``."""
    payload = {
        "errorCode": "404",
        "errorMessage": "The requested resource was not found.",
        "showAsWarning": False,
    }
    return ApiResponse.json(HTTPStatus.NOT_FOUND, payload)


def spring_error(status: HTTPStatus, path: str, clock: VendorClock, headers: dict[str, str]) -> ApiResponse:
    """Return an error of the framework under Builder Prime's API (Spring), which has no envelope of the API."""
    timestamp = clock.moment().isoformat(timespec="milliseconds")
    payload = {"timestamp": timestamp, "status": status.value, "error": status.phrase, "path": path}
    return ApiResponse.json(status, payload, headers)
