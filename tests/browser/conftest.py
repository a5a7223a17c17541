"""A real Airflow without a connection, a sandbox, and Debian's Chromium to look at both."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_meetings.testing import MeetingsSandbox
from demo.airflow_api import AirflowApi
from demo.airflow_home import AirflowHome
from demo.debian import programs
from demo.processes import Processes
from demo.sandbox import start_sandbox
from tests.support.npm import installed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
DAGS = HERE / "dags"
#: Somebody who may read the DAG `interviews`, and no other; see tests/support/dag_rights.py.
RECRUITER = "recruiter"
#: Milliseconds that an element may take to come; a busy machine draws slowly.
PATIENCE = 120_000


@dataclass
class Desk:
    """What somebody has in front of them.

    Attributes:
        home: The Airflow.
        api: Its API, for what is not looked at.
        ready: The sandbox's addresses and keys.
        processes: What runs, for who kills some of it.
        folder: Where the screenshots go.
        browser: The browser.
        states: What the browser knows of each user who has logged in.
        saved: The connections that are there.
    """

    home: AirflowHome
    api: AirflowApi
    ready: dict[str, Any]
    processes: Processes
    folder: Path
    browser: Browser
    states: dict[str, Any] = field(default_factory=dict)
    saved: set[str] = field(default_factory=set)

    @contextmanager
    def page(
        self, path: str, *, height: int = 700, width: int = 1180, user: str | None = None, theme: str = "light"
    ) -> Iterator[Page]:
        """Open a page of Airflow, logged in; a failure leaves a screenshot behind."""
        user = user or self.home.user
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-US",
            timezone_id="UTC",
            reduced_motion="reduce",
            storage_state=self.states.get(user),
        )
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        try:
            if user not in self.states:
                self._log_in(page, user)
                self.states[user] = context.storage_state()
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

    def _log_in(self, page: Page, user: str) -> None:
        passwords = json.loads((self.home.folder / "passwords.json").read_text())
        page.goto(self.home.url)
        page.locator("input[name=username]").fill(user)
        page.locator("input[name=password]").fill(passwords[user])
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
    with Processes(folder) as processes:
        ready = start_sandbox(processes, folder, control=True)
        # What the sandbox begins with lies around today, and so would be listed on some days and not on others.
        MeetingsSandbox(ready).control("DELETE", "/meetings")
        env = {
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.support.dag_rights.DagRights",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"admin:admin,{RECRUITER}:viewer",
            "PYTHONPATH": str(HERE.parents[1]),
        }
        home = AirflowHome(folder, processes, dag_folders=[DAGS], connections=_connections(ready), env=env)
        api = home.boot()
        api.wait_for_dags(["site_visit", "interviews", "visits", "calendar", "doubtful"])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            yield Desk(home, api, ready, processes, screenshots, browser)
            browser.close()


def _connections(ready: dict[str, Any]) -> dict[str, str]:
    """The connections of the Meetings pages' DAGs; the others are set up in their forms."""
    extra = {"web_url_template": f"{ready['url']}/docs?meeting={{id}}"}
    connections = {}
    for vendor in ("hiringcenter", "builderprime"):
        account = ready[vendor]
        known = {"conn_type": vendor, "host": account["host"], "password": account["api_key"], "extra": extra}
        connections[f"{vendor}_pages"] = json.dumps(known)
    return connections


@pytest.fixture(scope="session")
def axe():
    """The script that looks for what keeps people from using a page."""
    return (installed(HERE) / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
