"""The checks of a release refuse what must not be released, and what this tree says about itself passes them."""

import re
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import yaml

from airflow_provider_meetings import __version__
from tests.release.contents import (
    _ENTRY_POINTS,
    _IN_SDIST,
    _IN_WHEEL,
    metadata_problems,
    sdist_problems,
    version_problems,
    wheel_problems,
)
from tests.release.lowest import PINS, _numbers, lower_bounds

ROOT = Path(__file__).parents[2]
GOOD = {
    "Requires-Python": [">=3.11"],
    "License-Expression": ["Apache-2.0"],
    "Provides-Extra": ["sandbox"],
    "Summary": ["Meetings, durable and deferrable."],
    "Project-URL": [
        f"{name}, https://example.com/{name}" for name in ("Changelog", "Documentation", "Issues", "Source")
    ],
    "Requires-Dist": ["requests>=2.31", "ruff; extra == 'dev'"],
    "Classifier": [
        "Framework :: Apache Airflow",
        "Framework :: Apache Airflow :: Provider",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Typing :: Typed",
    ],
}
INFO = "airflow_provider_meetings-1.0.0.dist-info"


def _metadata(**changes):
    message = Message()
    for name, values in (GOOD | {key.replace("_", "-"): value for key, value in changes.items()}).items():
        for value in values:
            message[name] = value
    return message


def _wheel(folder, *, without=(), more=()):
    """A wheel with all that belongs in it, save what is named, and more."""
    path = folder / "airflow_provider_meetings-1.0.0-py3-none-any.whl"
    texts = dict.fromkeys((*_IN_WHEEL, f"{INFO}/licenses/LICENSE", *more), "")
    texts[f"{INFO}/METADATA"] = _metadata().as_string()
    texts[f"{INFO}/entry_points.txt"] = "\n".join(["[apache_airflow_provider]", *_ENTRY_POINTS])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            if name not in without:
                archive.writestr(name, text)
    return path


def test_a_good_wheel_passes(tmp_path):
    """A wheel with everything, and nothing else, has no problem."""
    assert [] == list(wheel_problems(_wheel(tmp_path)))


@pytest.mark.parametrize("name", ["airflow_provider_meetings/py.typed", f"{INFO}/licenses/LICENSE"])
def test_a_file_that_is_missing(tmp_path, name):
    """A wheel without its licence or type marker is refused, by the file's name."""
    (problem,) = wheel_problems(_wheel(tmp_path, without=[name]))

    assert f"lacks {name}" in problem


@pytest.mark.parametrize(
    "name", ["tests/conftest.py", "demo/run.py", "example_dags/meetings_tour.py", "airflow_provider_meetings/a.pyc"]
)
def test_a_file_that_does_not_belong(tmp_path, name):
    """A wheel that would put tests, the demo or examples beside everybody's packages is refused."""
    (problem,) = wheel_problems(_wheel(tmp_path, more=[name]))

    assert name in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Requires_Python": [">=3.10"]}, "Requires-Python is >=3.10"),
        ({"Requires_Python": []}, "Requires-Python is None"),
        ({"Classifier": GOOD["Classifier"][:-1]}, "Typing :: Typed"),
        ({"Classifier": [*GOOD["Classifier"], "Programming Language :: Python :: 3.14"]}, "leave out a Python"),
        ({"License_Expression": []}, "License-Expression"),
        ({"Requires_Dist": ["requests"]}, "requests has no lower bound"),
        ({"Provides_Extra": ["dev"]}, "sandbox"),
        ({"Project_URL": []}, "no link to Issues"),
        ({"Summary": ["Meetings."]}, "durable, deferrable"),
    ],
)
def test_wrong_metadata(changes, words):
    """Each thing that installers or people rely on is checked by itself."""
    assert [] == list(metadata_problems(_metadata()))
    assert any(words in problem for problem in metadata_problems(_metadata(**changes)))


@pytest.mark.parametrize("name", ["SECURITY.md", "CHANGELOG.md", ".venv/bin/python", "a/__pycache__/b.pyc", "x.log"])
def test_an_sdist(tmp_path, name):
    """An sdist lacks nothing that belongs to the source, and has nothing that was only lying about."""
    names = [one for one in _IN_SDIST if one != name] + ([] if name in _IN_SDIST else [name])
    path = tmp_path / "airflow_provider_meetings-1.0.0.tar.gz"
    (tmp_path / "empty").touch()
    with tarfile.open(path, "w:gz") as archive:
        for one in names:
            archive.add(tmp_path / "empty", f"airflow_provider_meetings-1.0.0/{one}")
    (problem,) = sdist_problems(path)

    assert name in problem


def test_the_version_has_its_section():
    """The version that the package says it is has a section in the changelog; one without it could not be released."""
    changelog = (ROOT / "CHANGELOG.md").read_text()

    assert [] == list(version_problems(__version__, changelog))
    assert ["CHANGELOG.md has no section `## [9.9.9] - date`"] == list(version_problems("9.9.9", changelog))


def test_the_version_stands_in_one_place():
    """No other file of the source says which version this is, so that none can be forgotten."""
    assert "version" not in re.findall(r"^(\w+) =", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    found = [
        path for path in (ROOT / "airflow_provider_meetings").rglob("*.py") if f'"{__version__}"' in path.read_text()
    ]

    assert [ROOT / "airflow_provider_meetings" / "__init__.py"] == found


def test_the_oldest_versions_are_those_of_pyproject():
    """What `make test-lowest` installs is the lower bound of every direct dependency, not something newer."""
    pinned = dict(line.split("==") for line in PINS.read_text().splitlines() if "==" in line)

    assert {name: _numbers(version) for name, version in lower_bounds().items()} == {
        name: _numbers(pinned[name]) for name in lower_bounds()
    }


def test_pre_commit_runs_what_make_runs():
    """Each hook is a target of the Makefile that `make test` begins with, and nothing is fetched from a repository."""
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (first,) = re.findall(r"^test: ([\w ]+) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert repo["repo"] == "local"
    assert [f"make {target}" for target in first.split()] == [hook["entry"] for hook in repo["hooks"]]
