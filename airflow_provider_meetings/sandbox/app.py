"""The application: both APIs, their reference page and, if asked for, the control API."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from . import builderprime, control, docs_page, hiringcenter, seed
from .error_handlers import add_error_handlers
from .gateway import Gateway
from .sandbox import Sandbox
from .settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make an application over a freshly opened and seeded file; ``app.state.sandbox`` holds its parts."""
    settings = settings or Settings()
    sandbox = Sandbox.open(settings)
    seed.seed(sandbox.store, settings.seed, settings.meetings, settings.now, settings.days)
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
        return HTMLResponse(docs_page.render(app.openapi()))

    add_error_handlers(app, sandbox)
    app.add_middleware(Gateway, sandbox=sandbox)
    return app
