"""What runs inside an environment: `python -m tests.compatibility.inside STEP`.

The steps are `providers`, `imports` and `forms`; the last line that is printed says what came out.
"""

import contextlib
import importlib
import io
import json
import pkgutil
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = "airflow_provider_meetings"
DISTRIBUTION = "airflow-provider-meetings"
#: Modules that are made of what only newer versions have, and are imported there only.
NEWER = {f"{PACKAGE}.triggers.stream": (3, 3)} | {
    f"{PACKAGE}.ui.{name}": (3, 1) for name in ("access", "agenda", "app", "attention", "runs", "watched")
}


def main() -> int:
    """Runs the step that the command line names."""
    print({"providers": providers, "imports": imports, "forms": forms}[sys.argv[1]]())
    return 0


def providers() -> str:
    """Asks Airflow's command line about the provider, and holds the answers against the description."""
    listed = _rows("list")
    assert version(DISTRIBUTION) in {row["version"] for row in listed if row["package_name"] == DISTRIBUTION}
    from airflow_provider_meetings import get_provider_info  # noqa: PLC0415 - after the command line has set up Airflow

    info = get_provider_info()
    described = {entry["connection-type"]: entry for entry in info["connection-types"]}
    hooks = {row["connection_type"]: row for row in _rows("hooks") if row["package_name"] == DISTRIBUTION}
    assert set(described) == set(hooks), hooks
    wanted = {f"extra__{kind}__{name}" for kind, entry in described.items() for name in entry["conn-fields"]}
    fields = {row["connection_parameter_name"] for row in _rows("widgets")}
    behaviours = {row["field_behaviours"] for row in _rows("behaviours")}
    told = f"{len(hooks)} hooks, {len(wanted & fields)} of {len(wanted)} form fields"
    if _has_forms():
        assert wanted <= fields, wanted - fields
        assert set(described) <= behaviours, behaviours
        return told
    assert not wanted & fields
    return f"{told} (the command line shows none without Flask-AppBuilder)"


def _has_forms() -> bool:
    """Whether this Airflow takes the form from the description, or has what the older forms are made of."""
    with contextlib.suppress(ImportError):
        importlib.import_module("flask_appbuilder")
        return True
    return _airflow() >= (3, 2)


def _airflow() -> tuple[int, ...]:
    return tuple(int(part) for part in version("apache-airflow").split(".")[:2])


def imports() -> str:
    """Imports every module of the installed package; a deprecation that one of them causes is an error."""
    package = importlib.import_module(PACKAGE)
    where = Path(str(package.__file__)).parent
    assert where.is_relative_to(sys.prefix), f"{where} is not what was installed"
    names = [PACKAGE]
    names += [module.name for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.", _broken)]
    newer = [name for name, least in NEWER.items() if _airflow() < least]
    complaints = []
    for name in names:
        if name.endswith(".__main__") or name in newer:
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            importlib.import_module(name)
        ours = [f"{seen.filename}: {seen.message}" for seen in caught if Path(seen.filename).is_relative_to(where)]
        complaints += ours
    assert not complaints, complaints
    told = f" (not {', '.join(newer)}: built on what newer versions have)" if newer else ""
    return f"{len(names) - len(newer)} of {len(names)} modules{told}"


def _broken(name: str) -> None:
    raise ImportError(name)


def forms() -> str:
    """Asks the UI of Airflow 3 for its connection forms, and holds them against the description."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService  # noqa: PLC0415 - Airflow 3 has it

    from airflow_provider_meetings import get_provider_info  # noqa: PLC0415 - likewise

    described = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
    shown = {meta.connection_type: meta.model_dump() for meta in HookMetaService.hook_meta_data()}
    assert set(described) <= set(shown)
    if _airflow() == (3, 0) and not _has_forms():
        assert not any(shown[kind]["extra_fields"] for kind in described)
        return "JSON only (Airflow 3.0 shows a provider's fields where Flask-AppBuilder is installed)"
    for kind, entry in described.items():
        fields = shown[kind]["extra_fields"]
        wanted = {name: field["schema"].get("default") for name, field in entry["conn-fields"].items()}
        assert {name: str(value) for name, value in wanted.items()} == {
            name: str(field["value"]) for name, field in fields.items()
        }
        secret = {name for name, field in entry["conn-fields"].items() if field["schema"].get("format") == "password"}
        assert secret == {name for name, field in fields.items() if field["schema"].get("format") == "password"}
        relabelled = entry["ui-field-behaviour"]["relabeling"]
        assert relabelled["host"] == shown[kind]["standard_fields"]["host"]["title"]
        assert shown[kind]["standard_fields"]["port"]["hidden"]
    loaded = sorted(name for name in sys.modules if name.startswith(f"{PACKAGE}.hooks"))
    assert bool(loaded) == (_airflow() < (3, 3)), loaded
    return "both (from the hooks' own methods)" if _airflow() < (3, 2) else "both (from the description)"


def _rows(listing: str) -> list[dict[str, Any]]:
    """What `airflow providers ...` prints, by the very function that the command runs."""
    from airflow.cli import cli_parser  # noqa: PLC0415 - Airflow is set up when it is needed

    arguments = cli_parser.get_parser().parse_args(["providers", listing, "--output", "json"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        arguments.func(arguments)
    text = printed.getvalue()
    rows: list[dict[str, Any]] = json.loads(text[text.index("[{") :]) if "[{" in text else []
    return rows


if __name__ == "__main__":
    sys.exit(main())
