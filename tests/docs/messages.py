"""The messages of the code, with gaps for what differs; those that the documentation shows are held against them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import airflow_provider_meetings
from airflow_provider_meetings import exceptions

PACKAGE = Path(airflow_provider_meetings.__file__).parent
#: Stands in a message for what differs; the pages show `…`.
GAP = "\0"
#: Makers of errors, beside the classes.
_MAKERS = {*exceptions.__all__, "broken", "refuse", "_inconsistent_list", "_refused"}


def _text(node: ast.expr) -> str:
    """A string expression as a template."""
    match node:
        case ast.Constant(value=str()):
            return str(node.value)
        case ast.JoinedStr():
            return "".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
        case ast.BinOp(op=ast.Add()):
            return _text(node.left) + _text(node.right)
        case _:
            return GAP


def _nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in {"sandbox", "testing"}:
            yield from ((path, node) for node in ast.walk(ast.parse(path.read_text())))


def _templates() -> set[str]:
    nodes = [node for _, node in _nodes()]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    strings = [node for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docstrings]
    return {_smooth(_text(node)) for node in strings}


def _smooth(text: str) -> str:
    """A gap may hold the word that says what it is."""
    text = re.sub(r"%[sdr]|%\.\d+f", GAP, text)
    return re.sub(rf"connection {GAP}", GAP, " ".join(text.split()), flags=re.IGNORECASE)


TEMPLATES = _templates()


def pieces(shown: str) -> list[str]:
    """Return what stands between the gaps of a message on a page."""
    found = [piece.strip() for piece in _smooth(shown.replace("…", GAP)).split(GAP)]
    return [piece for piece in found if len(piece) > 1]


def unknown_pieces(shown: str) -> list[str]:
    """Return the pieces of a message on a page that no string of the code has."""
    return [piece for piece in pieces(shown) if not any(piece in template for template in TEMPLATES)]


def raised() -> dict[str, str]:
    """Every message that an error of this provider is made with, and where."""
    found = {}
    for path, node in _nodes():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _MAKERS:
            for argument in node.args:
                for choice in (argument.body, argument.orelse) if isinstance(argument, ast.IfExp) else (argument,):
                    text = _smooth(_text(choice))
                    if len(text.replace(GAP, "")) > 15:
                        found[text] = f"{path.relative_to(PACKAGE)}:{node.lineno}"
    return found


def logged() -> dict[str, str]:
    """Every warning that is logged, and where."""
    return {
        _smooth(_text(node.args[0])): f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, node in _nodes()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"warning", "error"} and node.args and len(_text(node.args[0])) > 15
    }
