"""Every code block of the documentation does what it says: it is run, evaluated, resolved or looked up in the code."""

import ast
import re
import textwrap

from sybil import Document, Example, Lexeme, Region
from sybil.evaluators.python import PythonEvaluator

from tests.docs.blocks import BLOCKS, ROOT, each, of_kind, pages
from tests.docs.messages import unknown_pieces

TASKS_BEGIN = """
from airflow.sdk import DAG
from airflow_provider_meetings.operators.meetings import *
from airflow_provider_meetings.sensors.meetings import *

with DAG({dag_id!r}, schedule=None, default_args={{"meetings_conn_id": "hiringcenter_default"}}):
"""


def test_no_block_is_forgotten():
    """Every block of every page is of a kind that one of the tests here takes."""
    taken = {"python", "dag", "task", "file", "sh", "ini", "json", "yaml", "text"}
    taken |= {"none"}  # indented: a drawing
    taken |= {"{eval-rst}", "{toctree}", "{literalinclude}", "{include}", "{image}", "{figure}"}
    assert [] == [str(block) for block in BLOCKS if block.kind not in taken]


# -- Python


NAMESPACES: dict[str, dict] = {}


@each("python")
def test_python_runs(block, reader):
    """A block of plain Python runs against the sandbox, with what the blocks above it on its page have made."""
    reader.turn_to(block.page)
    if block.page not in NAMESPACES:
        NAMESPACES[block.page] = {}
        for earlier in of_kind("python"):
            if earlier.page == block.page and earlier.line < block.line:
                _evaluate(earlier)  # this test was asked for by itself
    _evaluate(block)


def _evaluate(block):
    text = (ROOT / block.page).read_text()
    document = Document(text, str(ROOT / block.page))
    region = Region(0, 0, parsed=Lexeme(block.text, 0, 0))
    PythonEvaluator()(Example(document, block.line - 2, 0, region, NAMESPACES[block.page]))


@each("dag")
def test_dags_run(block, reader, dags):
    """A DAG is loaded as the DAG processor does, and runs to its end, without a task that fails or is left out."""
    reader.start()
    done = dags.run(_name(block), block.text)
    # What reacts to events has nothing to do in a run that none has started.
    _succeeded(done, {"success", "skipped"} if "meeting_events(" in block.text else {"success"})


@each("task")
def test_tasks_run(block, reader, dags):
    """Operators and sensors by themselves run inside a DAG."""
    reader.start()
    dag_id = _name(block)
    _succeeded(dags.run(dag_id, TASKS_BEGIN.format(dag_id=dag_id) + textwrap.indent(block.text, "    ")))


def _name(block):
    return "".join(char if char.isalnum() else "_" for char in str(block))


def _succeeded(done, states=frozenset({"success"})):
    assert done
    for dag in done.values():
        assert dag["state"] == "success"
        assert "success" in set(dag["tasks"].values()) <= states


@each("file")
def test_files_of_a_project_are_tested(block):
    """Files that a page names make a project, which the tests of the test kit lay out; they run its files of tests."""
    text = (ROOT / "tests" / "testing" / "test_a_users_project.py").read_text()
    run = ", ".join(re.findall(r"_pytest\(project, (.*)\)", text))
    assert block.page == "docs/testing-your-dags.md"
    assert f'"{block.file}"' in run or not block.file.startswith("tests/test_")


# -- messages


@each("text")
def test_messages_are_the_codes(block):
    """A message that a page shows is one that the code has, `…` standing for what differs."""
    for line in block.text.splitlines():
        assert [] == unknown_pieces(line)


# -- what Sphinx reads; a strict build finds whatever else is wrong with it


@each("{literalinclude}")
def test_included_code_is_run(block):
    """A file that a page shows is an example DAG, which the system tests run."""
    lines = (ROOT / block.page).read_text().splitlines()
    path = (ROOT / block.page).parent / lines[block.line - 2].split("{literalinclude}")[1].strip()
    assert path.resolve().parent == ROOT / "example_dags"
    assert ast.parse(path.read_text()).body


@each("{include}")
def test_included_pages_are_read_as_well(block):
    """A page that another one includes is among those whose blocks are tested."""
    lines = (ROOT / block.page).read_text().splitlines()
    path = ((ROOT / block.page).parent / lines[block.line - 2].split("{include}")[1].strip()).resolve()
    assert path in pages()


@each("{eval-rst}")
def test_reference_blocks_are_of_the_reference(block):
    """A block of reStructuredText names what the reference is made of, and nothing else."""
    directives = {line.split("::")[0] for line in block.text.splitlines() if line.startswith("..")}
    assert block.page == "docs/api.md"
    assert directives <= {".. automodule", ".. autoclass", ".. autofunction", ".. py:currentmodule"}
