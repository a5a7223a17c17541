"""Holds the directions in which the modules of the package may import each other, and who may import what from outside.

The table below is the rule. A new module must be placed in it, or the first test fails.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_meetings"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE


@dataclass(frozen=True)
class Room:
    """A module, or a package with all that is in it, and what it may import."""

    layer: int
    outside: frozenset[str] = frozenset()
    outside_for_typing: frozenset[str] = frozenset()


def _room(layer: int, *outside: str, typing: tuple[str, ...] = ()) -> Room:
    return Room(layer, frozenset(outside), frozenset(typing))


# A room imports only rooms of a lower layer. Rooms of one layer do not know each other; the modules inside a room may.
# `outside` names what it may import besides the standard library.
ROOMS = {
    "provider_info": _room(0),
    "": _room(1),  # the package itself: the version and the door for Airflow
    "legacy_forms": _room(1, "wtforms", "flask_appbuilder"),  # the connection forms below Airflow 3.2
    "exceptions": _room(2, "airflow"),  # the error tree inherits Airflow's
    "version_compat": _room(2, "airflow", "asgiref"),  # what differs between the Airflow versions
    "assets": _room(3, "airflow"),  # meetings' addresses, and how a DAG reads their events
    "intervals": _room(3),  # a run's data interval
    "moments": _room(3, "pendulum"),
    "wire": _room(3),
    "weburls": _room(3),  # addresses in the vendors' web apps
    "retry": _room(4),
    "metrics": _room(4),  # what is counted, and under which names; pure
    "settings": _room(5),  # a connection's values, among them how patient the retries are
    "pacing": _room(5),  # how many requests a connection may make, and when; pure
    "vendors": _room(6, "msgspec"),
    "changes": _room(4),  # what happened to the meetings of a window between two looks; pure
    "polling": _room(7),  # which requests answer many waiting questions; pure
    "journal": _room(7),  # what outlives a try
    "booking": _room(8),  # how one meeting is made exactly once; pure, like the vendors
    "identity": _room(8),  # which meeting is a task's: its key
    "exchange": _room(6),  # what both transports say of a request
    "telemetry": _room(8, "airflow"),  # the numbers' way to Airflow
    "sessions": _room(7, "requests", "urllib3"),  # under `transports`
    "transports": _room(8, "requests", "urllib3"),
    "aiotransport": _room(8, "aiohttp", "yarl", "requests"),  # of requests, how it reads the proxy environment
    "hooks": _room(9, "airflow", typing=("requests", "aiohttp")),
    "ledger": _room(10, "airflow"),
    "waiting": _room(10, "airflow"),
    "links": _room(10, "airflow"),  # from a task to its meeting
    "traces": _room(11, "airflow"),  # what a task leaves behind for others to see
    "triggers": _room(11, "airflow"),
    "operators": _room(12, "airflow"),
    "sensors": _room(12, "airflow"),
    "testing": _room(13, "requests", "pytest"),  # for DAG authors; it starts the sandbox as a program
}
# The local server stands apart: it imports nothing of the rest, nothing of the rest imports it.
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    importer: str
    line: int
    imported: str
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def _modules(root: Path) -> dict[str, Path]:
    """Map each module of the package, by its name inside the package, to its file."""
    modules = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def _statements(node: ast.AST, *, typing_only: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield every import statement under the node, wherever it stands, and whether only a type checker sees it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, typing_only
        elif isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in child.body:
                yield from _statements(ast.Module([statement], []), typing_only=True)
            for statement in child.orelse:
                yield from _statements(ast.Module([statement], []), typing_only=typing_only)
        else:
            yield from _statements(child, typing_only=typing_only)


def _imports(importer: str, source: str, known: set[str], *, is_package: bool) -> Iterator[Import]:
    """Yield what a module imports: full names, and for our own modules the deepest module that is meant."""
    here = f"{PACKAGE}.{importer}".rstrip(".").split(".")
    if not is_package:
        here = here[:-1]
    for statement, typing_only in _statements(ast.parse(source)):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            base = here[: len(here) - statement.level + 1] if statement.level else []
            module = ".".join([*base, *([statement.module] if statement.module else [])])
            deeper = [f"{module}.{alias.name}" for alias in statement.names]
            ours = [name if name.removeprefix(f"{PACKAGE}.") in known else module for name in deeper]
            names = ours if module.split(".")[0] == PACKAGE else [module]
        for name in dict.fromkeys(names):
            yield Import(importer, statement.lineno, name, typing_only)


def _room_of(module: str) -> str | None:
    """Return the room that a module of ours belongs to, by its name inside the package."""
    top = module.partition(".")[0]
    return top if top in ROOMS or top == SANDBOX else None


def _complaint(found: Import) -> str | None:
    """Return what the table has against an import, or nothing."""
    top, _, inside = found.imported.partition(".")
    importer = _room_of(found.importer)
    objection = _objection_inside(importer, inside) if top == PACKAGE else _objection_outside(importer, top, found)
    return objection and f"{found}, {objection}"


def _objection_inside(importer: str | None, module: str) -> str | None:
    imported = _room_of(module)
    if imported is None:
        return "which has no place in the table"
    if importer == imported:
        return None
    if SANDBOX in {importer, imported}:
        return "but the sandbox stands apart"
    if importer is not None and ROOMS[imported].layer >= ROOMS[importer].layer:
        return "which is not below it"
    return None


def _objection_outside(importer: str | None, top: str, found: Import) -> str | None:
    if top in sys.stdlib_module_names or importer in {None, SANDBOX}:
        return None
    room = ROOMS[importer or ""]
    allowed = room.outside | room.outside_for_typing if found.typing_only else room.outside
    return None if top in allowed else "which is not this room's business"


def _all_imports() -> list[Import]:
    modules = _modules(ROOT)
    return [
        found
        for name, path in modules.items()
        for found in _imports(
            name, path.read_text(encoding="utf-8"), set(modules), is_package=path.name == "__init__.py"
        )
    ]


def test_every_module_has_a_place():
    """A module that the table does not place is a decision that nobody made."""
    assert not [name for name in _modules(ROOT) if _room_of(name) is None]


def test_imports_point_down():
    """A module imports only what is below it, and from outside only what is its business."""
    assert not [complaint for found in _all_imports() if (complaint := _complaint(found))]


def test_no_import_cycle():
    """No module reaches itself through its imports, not even through late ones or ones for typing."""
    edges: dict[str, set[str]] = {}
    for found in _all_imports():
        if found.imported.split(".")[0] == PACKAGE:
            edges.setdefault(found.importer, set()).add(found.imported.partition(".")[2])

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(edges.get(start, ()))
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += edges.get(module, ())
        return seen

    assert not [module for module in edges if module in reached(module)]


KNOWN = {"", "exceptions", "moments", "wire", "vendors", "vendors.fields", "hooks", "hooks.meetings", "sandbox.app"}


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("moments", "from airflow_provider_meetings import wire"),
        ("moments", "from airflow_provider_meetings.wire import Request"),
        ("moments", "import airflow_provider_meetings.hooks.meetings"),
        ("moments", "from . import wire"),
        ("moments", "from airflow_provider_meetings import novelty as n\nimport airflow_provider_meetings.novelty"),
        ("wire", "def f():\n    import requests"),
        ("wire", "try:\n    import aiohttp\nexcept ImportError:\n    pass"),
        ("retry", "from airflow.sdk import BaseHook"),
        ("vendors.fields", "from ..hooks import meetings"),
        ("hooks.meetings", "import requests"),
        ("hooks.meetings", "from airflow_provider_meetings.sandbox import app"),
        ("sandbox.app", "from airflow_provider_meetings.moments import parse"),
        ("sandbox.app", "from airflow_provider_meetings import exceptions"),
    ],
)
def test_a_wrong_import_is_seen(importer, source):
    """The rule has teeth: each of these is refused, however it is written."""
    found = list(_imports(importer, source, KNOWN, is_package=False))

    assert [complaint for one in found if (complaint := _complaint(one))]


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("exceptions", "from airflow.exceptions import AirflowException"),
        ("moments", "import pendulum\nfrom airflow_provider_meetings.exceptions import MeetingsConfigurationError"),
        ("wire", "from airflow_provider_meetings import __version__"),
        ("vendors.fields", "from . import hiringcenter\nfrom ..wire import Request"),
        ("hooks.meetings", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests"),
        ("sandbox.app", "import fastapi\nfrom . import store"),
    ],
)
def test_a_right_import_passes(importer, source):
    """The rule does not stand in the way of what the layers are for."""
    found = list(_imports(importer, source, KNOWN, is_package=False))

    assert not [complaint for one in found if (complaint := _complaint(one))]
