"""What must be in a release, and what must not."""

import re
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

_PACKAGE = "airflow_provider_meetings"
_IN_WHEEL = (
    f"{_PACKAGE}/__init__.py",
    f"{_PACKAGE}/py.typed",
    f"{_PACKAGE}/connection/provider_info.py",
    f"{_PACKAGE}/sandbox/__main__.py",
    f"{_PACKAGE}/testing/__init__.py",
    f"{_PACKAGE}/example_dags/meetings_sync.py",
    f"{_PACKAGE}/example_dags/meetings_tour.py",
    f"{_PACKAGE}/example_dags/meetings_watch.py",
    *(f"{_PACKAGE}/ui/static/{name}" for name in ("page.html", "run.html", "page.js", "run.js", "common.js")),
)
_IN_SDIST = (
    *(name.removeprefix(f"{_PACKAGE}/") if "/example_dags/" in name else name for name in _IN_WHEEL),
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "pyproject.toml",
    "constraints.txt",
    "tests/conftest.py",
)
_NOT_IN_SDIST = re.compile(r"(^|/)(\.git|\.venv|\.cache|node_modules|__pycache__|build|dist)/|\.(pyc|log|db)$")
_URLS = ("Changelog", "Documentation", "Issues", "Source")
#: What people search for.
_WORDS = ("durable", "deferrable")
_ENTRY_POINTS = {
    f"provider_info = {_PACKAGE}:get_provider_info": "that it is a provider",
    f"meetings = {_PACKAGE}.ui.plugin:MeetingsPlugin": "of its pages",
}


def wheel_problems(wheel: Path) -> Iterator[str]:
    """Yield what is wrong with a wheel: files that are missing or do not belong, and its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
        yield from (
            f"{wheel.name} lacks {name}" for name in (*_IN_WHEEL, f"{info}/licenses/LICENSE") if name not in names
        )
        for name in names:
            if not name.startswith((f"{_PACKAGE}/", f"{info}/")) or name.endswith(".pyc"):
                yield f"{wheel.name} has {name}, which does not belong there"
        entries = archive.read(f"{info}/entry_points.txt").decode().splitlines()
        yield from (
            f"{wheel.name} does not tell Airflow {what}"
            for entry, what in _ENTRY_POINTS.items()
            if entry not in entries
        )
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    yield from metadata_problems(metadata)


def sdist_problems(sdist: Path) -> Iterator[str]:
    """Yield what is wrong with an sdist: files that are missing, or do not belong."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    yield from (f"{sdist.name} lacks {name}" for name in _IN_SDIST if name not in names)
    yield from (f"{sdist.name} has {name}, which does not belong there" for name in names if _NOT_IN_SDIST.search(name))


def metadata_problems(metadata: Message) -> Iterator[str]:
    """Yield what is wrong with the metadata: what a person who looks for a provider, or an installer, needs of it."""
    classifiers = metadata.get_all("Classifier") or []
    pythons = [
        name.removeprefix("Programming Language :: Python :: ") for name in classifiers if " :: Python :: 3." in name
    ]
    minors = [int(name.partition(".")[2]) for name in pythons]
    least = re.fullmatch(r">=3\.(\d+)", metadata["Requires-Python"] or "")
    if least is None or not minors or min(minors) != int(least[1]):
        yield f"Requires-Python is {metadata['Requires-Python']}, the classifiers say {', '.join(pythons)}"
    if minors and sorted(minors) != list(range(min(minors), max(minors) + 1)):
        yield f"the classifiers leave out a Python between {', '.join(pythons)}"
    wanted = ("Framework :: Apache Airflow", "Framework :: Apache Airflow :: Provider", "Typing :: Typed")
    yield from (f"the classifiers lack {name}" for name in wanted if name not in classifiers)
    if metadata["License-Expression"] != "Apache-2.0":
        yield f"License-Expression is {metadata['License-Expression']}"
    for requirement in metadata.get_all("Requires-Dist") or []:
        if "extra ==" not in requirement and ">=" not in requirement:
            yield f"{requirement} has no lower bound"
    urls = {url.partition(",")[0] for url in metadata.get_all("Project-URL") or []}
    yield from (f"there is no link to {name}" for name in _URLS if name not in urls)
    if missing := [word for word in _WORDS if word not in f"{metadata['Summary']} {metadata['Keywords']}"]:
        yield f"nobody who searches for {', '.join(missing)} finds it"
    if "sandbox" not in (metadata.get_all("Provides-Extra") or []):
        yield "there is no extra `sandbox`"


def version_problems(version: str, changelog: str) -> Iterator[str]:
    """Yield what is wrong with a version: its own section of the changelog is missing."""
    if not re.search(rf"^## \[{re.escape(version)}\] - (unreleased|\d{{4}}-\d{{2}}-\d{{2}})$", changelog, re.MULTILINE):
        yield f"CHANGELOG.md has no section `## [{version}] - date`"
