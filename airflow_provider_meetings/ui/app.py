"""The application behind the pages: files, and four questions to Airflow's database.

Every route asks Airflow who the user is; those with data show only what that user may read. Nothing here asks a vendor,
nor reads a connection.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_meetings.ui.access import AUTHENTICATED, READS_RUN, ReaderDep
from airflow_provider_meetings.ui.agenda import Filters, agenda_of
from airflow_provider_meetings.ui.attention import questions, troubles, waiting
from airflow_provider_meetings.ui.runs import run_of
from airflow_provider_meetings.ui.watched import watched

__all__ = ["create_app"]

_FILES = Path(__file__).parent / "static"
_MAX_WINDOW_MS = 62 * 24 * 60 * 60 * 1000
_LAST_MOMENT = 253_402_300_800_000

# Of every answer. The browser loads nothing from elsewhere, runs no inline script, and makes no markup of text,
# whatever a meeting's title says; only Airflow's own pages may show these.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_pages = APIRouter(dependencies=[AUTHENTICATED])
_api = APIRouter(prefix="/api", dependencies=READS_RUN)

_Name = Annotated[str | None, Query(max_length=250)]
_Moment = Annotated[int, Query(ge=0, lt=_LAST_MOMENT)]


def create_app() -> ASGIApp:
    """Make the application; it is mounted into Airflow's API server."""
    app = FastAPI(title="Meetings", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(_pages)
    app.include_router(_api)
    app.exception_handler(StarletteHTTPException)(_explain)

    async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await app(scope, receive, send_with_headers)

    return with_headers


async def _explain(request: Request, error: StarletteHTTPException) -> Response:
    """Answer an error: to a script as JSON, to a person who sees it in the place of a page as a sentence."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    told = {
        401: "You are not logged in to Airflow, or no longer. Reload Airflow's page and log in.",
        403: "You may not see this. Ask for the right to read DAGs, task instances and XComs in this Airflow.",
        404: "There is no such page.",
    }
    return PlainTextResponse(told.get(error.status_code, str(error.detail)), error.status_code, error.headers)


# -- files


@_pages.get("/")
def _page() -> FileResponse:
    return FileResponse(_FILES / "page.html")


@_pages.get("/run")
def _tab() -> FileResponse:
    return FileResponse(_FILES / "run.html")


@_pages.get("/static/{name}")
def _file(name: str) -> FileResponse:
    for path in _FILES.iterdir():
        if path.name == name and path.suffix in {".js", ".css", ".svg"}:
            return FileResponse(path)
    raise HTTPException(404, "There is no such file.")


# -- data


@_api.get("/dags/{dag_id}/runs/{run_id:path}")
def _run(dag_id: str, run_id: str, reader: ReaderDep, session: SessionDep) -> JSONResponse:
    """Tell what a DAG run has done to which meetings."""
    if dag_id not in reader.dag_ids:
        raise HTTPException(403, "Forbidden")
    found = run_of(session, dag_id, run_id)
    if found is None:
        raise HTTPException(404, "There is no such DAG run; it may have been deleted.")
    return JSONResponse(found)


@_api.get("/meetings")
def _meetings(
    reader: ReaderDep,
    session: SessionDep,
    *,
    start: _Moment,
    end: _Moment,
    connection: _Name = None,
    dag_id: _Name = None,
    outcome: _Name = None,
    text: _Name = None,
) -> JSONResponse:
    """Tell which meetings begin in a window of at most two months."""
    if not 0 < end - start <= _MAX_WINDOW_MS:
        raise HTTPException(422, "end must be after start, by no more than two months.")
    filters = Filters(start, end, connection or None, dag_id or None, outcome or None, (text or "").strip() or None)
    return JSONResponse(agenda_of(session, reader.dag_ids, filters, datetime.now(UTC)))


@_api.get("/attention")
def _attention(reader: ReaderDep, session: SessionDep) -> JSONResponse:
    """Tell what failed, who is asked, who waits, and what is watched."""
    told: dict[str, Any] = {
        "troubles": troubles(session, reader.dag_ids, datetime.now(UTC)),
        "questions": questions(session, reader.dag_ids),
        "waiting": waiting(session, reader.dag_ids),
        "watched": watched(session, reader.dag_ids) if reader.assets else None,
    }
    return JSONResponse(told)
