"""A real Airflow without a connection, a sandbox, and Debian's Chromium to look at both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.debian import programs
from demo.processes import Processes
from demo.sandbox import start_sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DAGS = Path(__file__).parent / "dags"
#: Milliseconds that an element may take to come; a busy machine draws slowly.
PATIENCE = 120_000


@dataclass
class Desk:
    """What somebody has in front of them.

    Attributes:
        home: The Airflow.
        api: Its API, for what is not looked at.
        ready: The sandbox's addresses and keys.
        folder: Where the screenshots go.
        browser: The browser.
        state: What the browser knows of who is logged in.
        saved: The connections that are there.
    """

    home: AirflowHome
    api: AirflowApi
    ready: dict[str, Any]
    folder: Path
    browser: Browser
    state: Any = None
    saved: set[str] = field(default_factory=set)

    @contextmanager
    def page(self, path: str, *, height: int = 700) -> Iterator[Page]:
        """Open a page of Airflow, logged in; a failure leaves a screenshot behind."""
        context = self.browser.new_context(
            viewport={"width": 1180, "height": height},
            locale="en-US",
            timezone_id="UTC",
            reduced_motion="reduce",
            storage_state=self.state,
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        try:
            if self.state is None:
                self._log_in(page)
                self.state = context.storage_state()
            page.goto(self.home.url + path)
            yield page
        except BaseException:
            page.screenshot(path=self.home.folder / "failed.png")
            print(f"What was to be seen: {self.home.folder / 'failed.png'}")
            raise
        finally:
            context.close()

    def shoot(self, target: Any, name: str) -> None:
        """Take a screenshot of a page, or of a part of it."""
        target.screenshot(path=self.folder / f"{name}.png", animations="disabled", caret="hide")

    def _log_in(self, page: Page) -> None:
        page.goto(self.home.url)
        page.locator("input[name=username]").fill(self.home.user)
        page.locator("input[name=password]").fill(self.home.password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url)


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """Airflow, sandbox and browser; the screenshots go where SCREENSHOTS says, if it does."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - who collects the other tests may not have it

    folder = tmp_path_factory.mktemp("browser")
    wanted = os.environ.get("SCREENSHOTS")
    screenshots = Path(wanted) if wanted else folder / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    chromium = programs("/usr/bin/chromium", "chromium")
    arguments = ["--disable-gpu", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    processes = Processes(folder)
    try:
        ready = start_sandbox(processes, folder)
        env = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
        home = AirflowHome(folder, processes, dag_folders=[DAGS], connections={}, env=env)
        api = home.boot()
        api.wait_for_dags(["site_visit"])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            yield Desk(home, api, ready, screenshots, browser)
            browser.close()
    finally:
        processes.stop()
