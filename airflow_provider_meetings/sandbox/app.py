"""The application: both APIs, the live reference and, if asked for, the control API."""

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from . import builderprime, control, hiringcenter, reference, seed
from .answers import NOT_FOUND_PAGE, Answer, Refusal, invalid, vendor_of
from .gateway import Gateway
from .sandbox import Sandbox
from .settings import Settings

_METHOD_NOT_ALLOWED = 405
_NOT_FOUND = 404


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make an application over a freshly opened and seeded file; ``app.state.sandbox`` holds its parts."""
    settings = settings or Settings()
    sandbox = Sandbox.open(settings)
    seed.seed(sandbox.store, settings.seed, settings.meetings, settings.now)
    app = FastAPI(
        title="Meetings sandbox",
        description="HiringCenter's and Builder Prime's meetings APIs, as their public pages describe them.",
        # FastAPI's own pages load their scripts from the network; ours, below, works without one
        docs_url=None,
        redoc_url=None,
        # an empty id leaves a trailing slash behind, and that means something: it must not be redirected away
        redirect_slashes=False,
    )
    app.state.sandbox = sandbox
    app.include_router(hiringcenter.router(sandbox))
    app.include_router(builderprime.router(sandbox))
    if settings.control:
        app.include_router(control.router(sandbox))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference.page(app.openapi()))

    _answer_in_the_vendors_words(app)
    app.add_middleware(Gateway, sandbox=sandbox)
    return app


def _answer_in_the_vendors_words(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        vendor = vendor_of(request.url.path)
        return refusal.render(vendor or "hiringcenter").response()

    @app.exception_handler(RequestValidationError)
    async def broken(request: Request, error: RequestValidationError) -> Response:
        vendor = vendor_of(request.url.path)
        if vendor is None:
            return await request_validation_exception_handler(request, error)
        return invalid(*_messages(error)).render(vendor).response()

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        vendor = vendor_of(request.url.path)
        if error.status_code == _NOT_FOUND and not request.url.path.startswith("/_control/"):
            # An address that is not part of the API: the vendor's web server answers, not the API.
            return Answer.html(404, NOT_FOUND_PAGE).response()
        if vendor is None:
            return await http_exception_handler(request, error)
        if error.status_code == _METHOD_NOT_ALLOWED:
            allow = ", ".join(_allowed(app, request))
            return Refusal(405, "Method not allowed", headers={"Allow": allow}).render(vendor).response()
        return Refusal(error.status_code, "Bad request", str(error.detail)).render(vendor).response()


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """Return every method of a path; the framework's own list stops at the first route that has the path."""
    methods: set[str] = set()
    # the option decides which of the verbs that could update a meeting of HiringCenter do
    off = {
        f"update_meeting_{verb.lower()}"
        for verb in {"POST", "PUT", "PATCH"} - set(app.state.sandbox.options.update_methods)
    }
    routes = [route for route in app.router.routes if getattr(route, "operation_id", None) not in off]
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = dict(request.scope) | {"method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in routes):
            methods.add(method)
    return sorted(methods)


def _messages(error: RequestValidationError) -> list[str]:
    """Word what pydantic found, by the field's name."""
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
