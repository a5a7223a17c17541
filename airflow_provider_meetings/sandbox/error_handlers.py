"""Errors that are raised under a route, in the words of the vendor whose route it is."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from .api_errors import ApiError, NotFoundError, invalid, spring_error, unknown_resource
from .responses import NOT_FOUND_PAGE, ApiResponse, Vendor, vendor_of
from .sandbox import Sandbox

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_MEETINGS = "/api/meetings/v1"


def add_error_handlers(app: FastAPI, sandbox: Sandbox) -> None:
    """Add the handlers to the application."""
    errors = _VendorErrors(app, sandbox)

    @app.exception_handler(ApiError)
    async def refuse(request: Request, error: ApiError) -> Response:
        return errors.of_api(request.url.path, error).to_response()

    @app.exception_handler(RequestValidationError)
    async def refuse_invalid(request: Request, error: RequestValidationError) -> Response:
        if vendor_of(request.url.path) is None:
            return await request_validation_exception_handler(request, error)
        return errors.of_validation(request, error).to_response()

    @app.exception_handler(HTTPException)
    async def fail(request: Request, error: HTTPException) -> Response:
        response = errors.of_routing(request, error)
        return await http_exception_handler(request, error) if response is None else response.to_response()


class _VendorErrors:
    """Words an exception as the vendor does whose path was requested."""

    def __init__(self, app: FastAPI, sandbox: Sandbox) -> None:
        self._app = app
        self._options = sandbox.options
        self._clock = sandbox.clock

    def of_api(self, path: str, error: ApiError) -> ApiResponse:
        """Word an error that the vendor's rules have raised."""
        vendor = vendor_of(path) or "hiringcenter"
        if vendor == "builderprime" and isinstance(error, NotFoundError):
            return error.render_as(self._options.builderprime_missing)
        return error.render(vendor)

    def of_validation(self, request: Request, error: RequestValidationError) -> ApiResponse:
        """Word what is wrong with a query or a body."""
        path = request.url.path
        creates = request.method == "POST" and path.rstrip("/") == _MEETINGS
        if creates and self._options.builderprime_wrong_shape == 500:  # noqa: PLR2004 - the option's own value
            # on a sibling resource a create of a wrong shape was answered with 500
            return spring_error(HTTPStatus.INTERNAL_SERVER_ERROR, path, self._clock, {})
        return invalid(*_messages(error)).render(vendor_of(path) or "hiringcenter")

    def of_routing(self, request: Request, error: HTTPException) -> ApiResponse | None:
        """Word what the web framework raises; None where that is neither vendor's business."""
        path, vendor = request.url.path, vendor_of(request.url.path)
        match error.status_code:
            case 404 if vendor == "builderprime":
                return unknown_resource()
            case 404 if not path.startswith("/_control/"):
                # An address that is not part of the API: the vendor's web server answers, not the API.
                return ApiResponse.html(404, NOT_FOUND_PAGE)
            case 405 if vendor is not None:
                return self._method_not_allowed(request, vendor)
        return ApiError(error.status_code, "Bad request", str(error.detail)).render(vendor) if vendor else None

    def _method_not_allowed(self, request: Request, vendor: Vendor) -> ApiResponse:
        allow = {"Allow": ", ".join(_allowed(self._app, request, vendor))}
        if vendor == "hiringcenter":
            return ApiError(405, "Method not allowed", headers=allow).render(vendor)
        if request.method == "OPTIONS":
            # public clients have seen: GET, HEAD, POST, OPTIONS for the list
            return ApiResponse(200, b"", allow)
        return spring_error(HTTPStatus.METHOD_NOT_ALLOWED, request.url.path, self._clock, allow)


def _allowed(app: FastAPI, request: Request, vendor: Vendor) -> list[str]:
    """Return every method of a path; the framework's own list stops at the first route that has the path."""
    # the option decides which of the verbs that could update a meeting of HiringCenter do
    off = {
        f"update_meeting_{verb.lower()}"
        for verb in {"POST", "PUT", "PATCH"} - set(app.state.sandbox.options.update_methods)
    }
    routes = [route for route in app.router.routes if getattr(route, "operation_id", None) not in off]
    methods = set()
    for method in _METHODS:
        scope = dict(request.scope) | {"method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in routes):
            methods.add(method)
    if vendor == "builderprime":
        methods |= {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return [method for method in (*_METHODS, "OPTIONS") if method in methods]


def _messages(error: RequestValidationError) -> list[str]:
    """Return what pydantic found as messages, by the field's name."""
    messages = []
    for problem in error.errors():
        where, *path = (str(part) for part in problem["loc"])
        text = str(problem["msg"]).removeprefix("Value error, ")
        field = ".".join(path)
        if problem["type"] == "json_invalid":
            messages.append("The body is not valid JSON.")
        elif problem["type"] == "extra_forbidden":
            messages.append(f"{field}: unknown {'parameter' if where == 'query' else 'field'}")
        elif not field:
            messages.append(text if where == "query" else "The body must be a JSON object sent as application/json.")
        else:
            messages.append(f"{field}: {text}")
    return list(dict.fromkeys(messages))
