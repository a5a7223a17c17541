"""The code in the docstrings of public names works, as the code on the pages does."""

import importlib
import inspect
import re
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Asset, dag
from docutils.core import publish_doctree
from docutils.nodes import doctest_block, literal_block

from airflow_provider_meetings import exceptions
from airflow_provider_meetings.operators.meetings import CreateMeetingOperator
from tests.docs.blocks import PUBLIC

#: What a docstring speaks of without making it.
AROUND = {
    "dag": dag,
    "timedelta": timedelta,
    "book": CreateMeetingOperator(
        task_id="book",
        meetings_conn_id="hiringcenter_default",
        meeting={
            "prospectId": "c1a7e9d34b8f4c2aa6d15e0f7b3c9d42",
            "ownerId": "b2e7a1d94c3f4a8eb6d05c1f9a7e2d45",
            "meetingDate": "2027-01-11T10:00:00-05:00",
            "timeZone": "America/New_York",
            "meetingType": "virtual",
        },
    ),
}


def _docstrings():
    """Every public docstring, by the name of what it is about."""
    for module_name, names in PUBLIC.items():
        module = importlib.import_module(module_name)
        yield module_name, inspect.getdoc(module), module
        for name in names:
            thing = getattr(module, name)
            yield f"{module_name}.{name}", inspect.getdoc(thing), module
            for part, member in vars(thing).items() if inspect.isclass(thing) else ():
                if not part.startswith("_") and inspect.getdoc(member):
                    yield f"{module_name}.{name}.{part}", inspect.getdoc(member), module


def _code():
    """Every piece of code in them: the name, the language, the text, and the module that it stands in."""
    for name, text, module in _docstrings():
        tree = publish_doctree(text, settings_overrides={"report_level": 5, "syntax_highlight": "none"})
        for node in tree.findall(lambda node: isinstance(node, literal_block | doctest_block)):
            languages = [each for each in node["classes"] if each != "code"]
            yield pytest.param("".join(languages) or "python", node.astext(), module, id=name)


CODE = list(_code())


def test_there_is_code():
    """The search finds the pieces that are known to be there."""
    found = {each.id for each in CODE}
    assert "airflow_provider_meetings.exceptions" in found
    assert "airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger" in found


@pytest.mark.parametrize(("language", "text", "module"), CODE)
def test_code_in_docstrings_works(language, text, module, reader):
    """Python is run, a test in it is called, and a drawing of classes is how they inherit."""
    if language == "text":
        assert _drawn(text) == _inherited()
        return
    assert language == "python"
    reader.start()
    reader.sandbox.reset()
    parts = ("assets", "triggers.meetings")
    around = {}
    for part in parts:
        around |= vars(importlib.import_module(f"airflow_provider_meetings.{part}"))
    namespace = around | vars(module) | AROUND
    exec(compile(text, module.__name__, "exec"), namespace)  # noqa: S102 - it is our own
    tests = [value for name, value in namespace.items() if name.startswith("test_") and name in text]
    for test in tests:
        test(reader.sandbox)
    assets = [value for name, value in namespace.items() if isinstance(value, Asset) and name in text]
    assert tests or assets


def _drawn(text):
    """The classes of a drawing: each one's parent, and whether it is permanent."""
    found, path = {}, []
    for line in text.splitlines():
        branch, name, rest = re.fullmatch(r"([│├└─ ]*)(\w+)(.*)", line).groups()
        depth = len(branch) // 4
        path[depth:] = [name]
        found[name] = (path[depth - 1] if depth else None, rest.rstrip().endswith(" permanent"))
    return found


def _inherited():
    classes = [getattr(exceptions, name) for name in exceptions.__all__]
    return {
        each.__name__: (
            next((base.__name__ for base in each.__bases__ if base in classes), None),
            issubclass(each, AirflowFailException),
        )
        for each in classes
    }
