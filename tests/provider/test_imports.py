"""Holds the directions in which the modules of the package may import each other, and who may import what from outside.

The table below is the rule. A new module must be placed in it, or the first test fails.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_meetings"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE


@dataclass(frozen=True)
class Layer:
    """A folder of the package, or a module at its top, and what it may import."""

    outside: frozenset[str] = frozenset()
    outside_for_typing: frozenset[str] = frozenset()
    height: int = -1


def _layer(*outside: str, typing: tuple[str, ...] = ()) -> Layer:
    return Layer(frozenset(outside), frozenset(typing))


# From top to bottom, as docs/architecture.md draws it: a folder, or a module at the top of the package, imports only
# what stands on a lower line. Folders on one line do not know each other; the modules inside a folder may.
# `outside` names what a folder may import besides the standard library.
_LINES: tuple[dict[str, Layer], ...] = (
    {"preload": _layer()},  # all that a task needs, for a process that forks them
    {"testing": _layer("requests", "pytest")},  # for DAG authors; it starts the sandbox as a program
    {
        "operators": _layer("airflow"),
        "sensors": _layer("airflow"),
        "ui": _layer("airflow", "fastapi", "starlette", "sqlalchemy"),
    },
    {"triggers": _layer("airflow")},
    {"sets": _layer("airflow", "fsspec", "pyarrow")},
    {"exactly_once": _layer("airflow"), "watching": _layer("airflow")},
    {"polling": _layer("airflow")},
    {"hooks": _layer("airflow", typing=("requests", "aiohttp"))},
    {"transport": _layer("requests", "urllib3", "aiohttp", "yarl", "limits", "redis")},
    {"observability": _layer("airflow")},
    {"": _layer()},  # the package itself: the version, and what Airflow asks it for
    {"vendors": _layer("msgspec"), "connection": _layer("wtforms", "flask_appbuilder", "yarl")},
    {"core": _layer("pendulum", "msgspec")},
    {"assets": _layer("airflow")},  # meetings' addresses, and how a DAG reads their events
    {"exceptions": _layer("airflow"), "version_compat": _layer("airflow", "asgiref")},
)
LAYERS = {
    name: replace(layer, height=height) for height, line in enumerate(reversed(_LINES)) for name, layer in line.items()
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


def _layer_of(module: str) -> str | None:
    """Return the layer that a module of ours belongs to, by its name inside the package."""
    top = module.partition(".")[0]
    return top if top in LAYERS or top == SANDBOX else None


def _complaint(found: Import) -> str | None:
    """Return what the table has against an import, or nothing."""
    top, _, inside = found.imported.partition(".")
    importer = _layer_of(found.importer)
    objection = _objection_inside(importer, inside) if top == PACKAGE else _objection_outside(importer, top, found)
    return objection and f"{found}, {objection}"


def _objection_inside(importer: str | None, module: str) -> str | None:
    imported = _layer_of(module)
    if imported is None:
        return "which has no place in the table"
    if importer == imported:
        return None
    if SANDBOX in {importer, imported}:
        return "but the sandbox stands apart"
    if importer is not None and LAYERS[imported].height >= LAYERS[importer].height:
        return "which is not below it"
    return None


def _objection_outside(importer: str | None, top: str, found: Import) -> str | None:
    if top in sys.stdlib_module_names or importer in {None, SANDBOX}:
        return None
    layer = LAYERS[importer or ""]
    allowed = layer.outside | layer.outside_for_typing if found.typing_only else layer.outside
    return None if top in allowed else "which is not this layer's business"


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
    assert not [name for name in _modules(ROOT) if _layer_of(name) is None]


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


KNOWN = {
    "",
    "exceptions",
    "core",
    "core.times",
    "core.flow",
    "vendors",
    "vendors.fields",
    "hooks",
    "hooks.meetings",
    "sandbox.app",
}


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("core.times", "from airflow_provider_meetings.vendors import fields"),
        ("core.times", "from airflow_provider_meetings.vendors.fields import Field"),
        ("core.times", "import airflow_provider_meetings.hooks.meetings"),
        ("core.times", "from ..vendors import fields"),
        ("core.times", "from airflow_provider_meetings import novelty as n\nimport airflow_provider_meetings.novelty"),
        ("core.flow", "def f():\n    import requests"),
        ("core.flow", "try:\n    import aiohttp\nexcept ImportError:\n    pass"),
        ("core.retry", "from airflow.sdk import BaseHook"),
        ("vendors.fields", "from ..hooks import meetings"),
        ("hooks.meetings", "import requests"),
        ("hooks.meetings", "from airflow_provider_meetings.sandbox import app"),
        ("sandbox.app", "from airflow_provider_meetings.core.times import parse"),
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
        ("core.times", "import pendulum\nfrom airflow_provider_meetings.exceptions import MeetingsConfigurationError"),
        ("transport.common", "from airflow_provider_meetings import __version__"),
        ("vendors.fields", "from . import hiringcenter\nfrom ..core.flow import Request"),
        ("hooks.meetings", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests"),
        ("sandbox.app", "import fastapi\nfrom . import store"),
    ],
)
def test_a_right_import_passes(importer, source):
    """The rule does not stand in the way of what the layers are for."""
    found = list(_imports(importer, source, KNOWN, is_package=False))

    assert not [complaint for one in found if (complaint := _complaint(one))]
