"""The connection forms of Airflow 2, filled in as a browser does it, saved, read by the hooks, and saved again."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import requests

from demo.airflow_home import AirflowHome
from demo.clock import Clock

# What the process that reads a connection prints: the extra as it was saved, and what the settings make of all.
_READ = """
import json, sys
from airflow.hooks.base import BaseHook
from airflow_provider_meetings.hooks.resolve import hook_for
settings = hook_for(sys.argv[1])._settings
values = {name: getattr(settings, name) for name in json.loads(sys.argv[2])}
values = {name: dict(value) if hasattr(value, "items") else value for name, value in values.items()}
print("READ " + json.dumps({"extra": BaseHook.get_connection(sys.argv[1]).extra_dejson, "settings": values}))
"""


_MESSAGES = r'<div class="alert alert-(?:danger|error|message)[^>]*>(.*?)</div>|(?:has-error.*?help-block)[^>]*>(.*?)<'


class _Inputs(HTMLParser):
    """What a browser would send for a page's form when nobody touches it."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.labels: set[str] = set()
        self._open = ""
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a field."""
        found = dict(attrs)
        name = found.get("name") or ""
        if tag == "input" and name and found.get("type") not in {"submit", "button", "file"}:
            if found.get("type") not in {"checkbox", "radio"} or "checked" in found:
                self.values[name] = found.get("value") or ""
        elif tag == "textarea" and name:
            self._open, self.values[name] = name, ""
        elif tag == "select" and name:
            self._select = name
        elif tag == "option" and self._select and "selected" in found:
            self.values[self._select] = found.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        """Leave a field."""
        if tag == "textarea":
            self.values[self._open] = self.values[self._open].removeprefix("\r\n").strip()
            self._open = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        """Collect what stands in a text area."""
        if self._open:
            self.values[self._open] += data


class Browser:
    """Somebody who is logged in."""

    def __init__(self, home: AirflowHome) -> None:
        self.url = home.url
        self.session = requests.Session()
        self.session.trust_env = False
        page = self.page("/login/")
        answer = self.send("/login/", page | {"username": home.user, "password": home.password})
        assert "Invalid login" not in answer, "the login was refused"

    def page(self, path: str) -> dict[str, str]:
        """Open a page; the values of its form's fields."""
        answer = self.session.get(self.url + path, timeout=60)
        assert answer.ok, f"GET {path}: {answer.status_code}"
        inputs = _Inputs()
        inputs.feed(answer.text)
        return inputs.values

    def send(self, path: str, values: dict[str, str]) -> str:
        """Send a form; the page that comes back."""
        answer = self.session.post(self.url + path, data=values, headers={"Referer": self.url + path}, timeout=60)
        assert answer.ok, f"POST {path}: {answer.status_code}\n{answer.text[:2000]}"
        # What the page says of it: flashed messages, and those beside fields that were refused.
        said = [re.sub(r"<[^>]*>|\s+", " ", match[0]) for match in re.finditer(_MESSAGES, answer.text, re.DOTALL)]
        assert answer.url != self.url + path, f"POST {path} was refused: {said}"
        return answer.text

    def fields_of(self, path: str) -> dict[str, str]:
        """Open a page with a form, of which nothing may be left to the imagination: its token must be there."""
        values = self.page(path)
        assert values.get("csrf_token"), f"{path} has no form"
        return values


def try_forms(home: AirflowHome, ready: dict[str, Any], clock: Clock) -> None:
    """Add a connection of each type, save it a second time untouched, and see that its tasks could use it."""
    browser = Browser(home)
    _try(
        home,
        browser,
        {
            "conn_id": "from_form_hc",
            "conn_type": "hiringcenter",
            "host": ready["hiringcenter"]["host"],
            "password": ready["hiringcenter"]["api_key"],
            "extra__hiringcenter__update_method": "PUT",
            "extra__hiringcenter__idempotency_window": "",
            "extra__hiringcenter__timeout": "20",
            "extra__hiringcenter__max_wait": "0",
            "extra__hiringcenter__proxies": '{"https": "http://proxy.example.com:3128"}',
            "extra__hiringcenter__allow_insecure": "y",
        },
        {
            "update_method": "PUT",
            "idempotency_window": 86400.0,
            "rate_limit_per_minute": 500,
            "timeout": 20.0,
            "max_attempts": 5,
            "max_wait": 0.0,
            "verify": True,
            "proxies": {"https": "http://proxy.example.com:3128"},
            "api_key": ready["hiringcenter"]["api_key"],
        },
        clock,
    )
    _try(
        home,
        browser,
        {
            "conn_id": "from_form_bp",
            "conn_type": "builderprime",
            "host": ready["builderprime"]["host"],
            "password": "",
            "extra__builderprime__read_api_key": "the-key-that-reads",
            "extra__builderprime__delete_api_key": "the-key-that-deletes",
            "extra__builderprime__max_window_days": "7",
            "extra__builderprime__max_parallel_requests": "",
        },
        {
            "keys": {"delete_api_key": "the-key-that-deletes", "read_api_key": "the-key-that-reads"},
            "api_key": "",
            "max_window_days": 7.0,
            "max_parallel_requests": 4,
            "timeout": 30.0,
        },
        clock,
    )


def _try(home: AirflowHome, browser: Browser, typed: dict[str, str], expected: dict[str, Any], clock: Clock) -> None:
    kind = typed["conn_type"]
    fields = browser.fields_of("/connection/add")
    assert set(typed) <= set(fields) | {f"extra__{kind}__allow_insecure", "conn_type"}, set(typed) - set(fields)
    browser.send("/connection/add", fields | typed)
    first = _read(home, typed["conn_id"], expected)
    clock.say(f"{kind}: saved with the extra {json.dumps(first['extra'])}")
    assert expected == first["settings"], first
    path = f"/connection/edit/{_number(browser, typed['conn_id'])}"
    shown = browser.fields_of(path)
    told = [value for value in expected.get("keys", {}).values() if value in json.dumps(shown)]
    assert not told, f"{path} shows {told}"
    browser.send(path, shown | {"conn_type": kind})
    again = _read(home, typed["conn_id"], expected)
    clock.say(f"{kind}: saved again with the extra {json.dumps(again['extra'])}")
    assert expected == again["settings"], again


def _number(browser: Browser, conn_id: str) -> str:
    """The number of a connection, from the list that the webserver shows."""
    page = browser.session.get(f"{browser.url}/connection/list/", timeout=60).text
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f">{conn_id}<" in re.sub(r"\s+", "", row)]
    return str(re.findall(r"/connection/edit/(\d+)", row)[0])


def _read(home: AirflowHome, conn_id: str, expected: dict[str, Any]) -> dict[str, Any]:
    """What the hooks make of a connection, asked of a new process."""
    command = [sys.executable, "-c", _READ, conn_id, json.dumps(list(expected))]
    done = subprocess.run(command, env=home.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("READ ")]
    result: dict[str, Any] = json.loads(line.removeprefix("READ "))
    return result
