"""One clock: the rules ask for the time, and nothing on that way reads a clock by itself."""

import ast
from pathlib import Path

import pytest

import airflow_provider_meetings

PACKAGE = Path(airflow_provider_meetings.__file__).parent
#: Whatever tells the time, or a day, of the machine that the code runs on.
CLOCKS = {
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "now",
    "utcnow",
    "today",
    "localtime",
    "gmtime",
}
MODULES = sorted(
    path
    for pattern in ("exactly_once/*.py", "vendors/*.py", "core/*.py", "sets/*.py", "watching/changes.py")
    for path in PACKAGE.glob(pattern)
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_clock_is_read(path):
    """The time is a step of the flow, or an argument."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    read = [ast.unparse(call) for call in calls if getattr(call.func, "attr", "") in CLOCKS]
    assert [] == read
