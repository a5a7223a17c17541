"""A real sandbox in its own process, on a free port, and small clients for both APIs."""

import signal
import time

import pytest
import requests

from airflow_provider_meetings.testing import MeetingsSandbox, SandboxProcess
from tests.sandbox.examples import INTERVIEW, VISIT

# what no test reaches unless it means to
NO_RATE_LIMIT = {"rate_limit_per_minute": 1_000_000, "rate_limit_per_hour": 1_000_000}


class Api:
    """One of the two APIs, with a key: ``api("GET", "/meetings")`` makes a request."""

    def __init__(self, host, headers, session):
        self.host = host
        self.headers = headers
        self.session = session

    def __call__(self, method, path, *, headers=None, **keywords):
        """Make a request; it never follows a redirect."""
        merged = {**self.headers, **(headers or {})}
        return self.session.request(
            method, self.host + path, headers=merged, timeout=30, allow_redirects=False, **keywords
        )


class Server(MeetingsSandbox):
    """A running sandbox, as its clients see it, and its control API where it has one."""

    def __init__(self, process):
        self.process = process
        self.output = process.output
        self.session = requests.Session()
        self.session.trust_env = False
        self.facts = process.facts
        if self.facts["control"]:
            super().__init__(process.facts)

    @property
    def hc(self):
        """HiringCenter with its main key."""
        api = self.facts["hiringcenter"]
        return Api(api["host"], {"Authorization": f"Bearer {api['api_key']}"}, self.session)

    def bp(self, name="api_key"):
        """Builder Prime with one of its keys."""
        api = self.facts["builderprime"]
        return Api(api["host"] + "/meetings/v1", {"x-api-key": api[name]}, self.session)

    def create(self, vendor="hiringcenter", **keywords):
        """Create a meeting at a vendor, as its page shows one."""
        if vendor == "hiringcenter":
            return self.hc("POST", "/meetings", json=INTERVIEW, **keywords)
        return self.bp()("POST", "", json=VISIT, **keywords)

    def fault(self, **rule):
        """Add a fault; return the rule."""
        return self.control("POST", "/faults", json=rule)

    def wait_for_requests(self, count):
        """Return when so many have arrived: one whose client waits no more may be on its way still."""
        while len(self.journal()) < count:  # the test's own timeout ends it
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        """Stop the server and return its exit status."""
        self.session.close()
        return self.process.stop(number)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start sandboxes with given arguments; all are stopped at the end of the module."""
    servers = []

    def begin(*arguments):
        server = Server(SandboxProcess(tmp_path_factory.mktemp("sandbox"), *arguments))
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def running(start):
    """One empty sandbox with control for a whole module."""
    return start("--control", "--meetings", "0")


@pytest.fixture
def server(running):
    """The module's sandbox, as if it had just been started."""
    running.reset()
    running.options(**NO_RATE_LIMIT)
    return running
