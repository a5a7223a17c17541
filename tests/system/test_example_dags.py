"""The example DAGs without an Airflow that runs: they import, and their templates render."""

import re
from collections import defaultdict

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.mappedoperator import MappedOperator

from demo.run import EXAMPLE_DAGS, example_dag_ids


@pytest.fixture(scope="module")
def bag():
    """Every example DAG, imported as Airflow does it."""
    return DagBag(str(EXAMPLE_DAGS), bundle_name="example_dags")


class _AnyXCom(defaultdict):
    """What any task returned: every item is the text `pulled`."""

    def __init__(self):
        super().__init__(lambda: "pulled")


class _TaskInstance:
    """Answers every pull, and remembers the tasks that were asked for."""

    def __init__(self):
        self.asked = set()
        self.map_index = -1

    def xcom_pull(self, task_ids=None, **_):
        self.asked.update([task_ids] if isinstance(task_ids, str) else task_ids)
        return _AnyXCom()


def test_imports(bag):
    """Every file of the folder imports without an error and has the one DAG that it is named after."""
    assert bag.import_errors == {}
    assert set(example_dag_ids()) == set(bag.dags)


@pytest.mark.parametrize("dag_id", example_dag_ids())
def test_renders(bag, dag_id):
    """Every template renders, refers to tasks of its own DAG, and leaves no braces behind."""
    dag = bag.dags[dag_id]
    ti = _TaskInstance()
    context = {"ti": ti, "params": dag.params.dump(), "run_id": "run", "dag_run": None, "ds": pendulum.now("UTC")}
    context["var"] = {"value": {}}
    for task in dag.tasks:
        if isinstance(task, MappedOperator) or not type(task).__module__.startswith("airflow_provider_meetings"):
            continue
        env = task.get_template_env(dag=dag)
        for name in task.template_fields:
            template = getattr(task, name)
            rendered = task.render_template(template, context, env)

            assert "{{" not in str(rendered), f"{task.task_id}.{name}"
            assert "XComArg" not in str(rendered), f"{task.task_id}.{name}"
    assert ti.asked <= set(dag.task_ids)


@pytest.mark.parametrize("dag_id", example_dag_ids())
def test_documented(bag, dag_id):
    """Every example says in its module what it shows and which connection it needs."""
    text = (EXAMPLE_DAGS / f"{dag_id}.py").read_text()

    assert text.startswith('"""')
    assert "It needs the connection" in text.split('"""')[1]
    assert "meetings" in bag.dags[dag_id].tags


def test_readme(tmp_path):
    """The README's DAG is twelve lines long and imports."""
    readme = (EXAMPLE_DAGS.parent / "README.md").read_text()
    (code,) = re.findall("```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "readme.py").write_text(code)

    bag = DagBag(str(tmp_path), bundle_name="readme")

    assert bag.import_errors == {}
    assert list(bag.dags) == ["book_an_interview"]
    assert len([line for line in code.splitlines() if line]) == 12
