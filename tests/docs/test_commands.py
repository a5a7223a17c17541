"""The commands and settings of the documentation are run where that is quick, and otherwise resolved."""

import configparser
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from airflow.cli import cli_parser
from airflow.configuration import conf
from airflow.providers.common.compat.sdk import Connection
from packaging.requirements import Requirement

from airflow_provider_meetings.connection.registry import VENDORS, load
from airflow_provider_meetings.sandbox.__main__ import parse
from tests.docs.blocks import ROOT, each

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASH = shutil.which("bash")


@each("sh")
def test_commands_work(block, reader, tmp_path):
    """Targets are in the Makefile, packages and options exist, connections can be used, code runs."""
    subprocess.run([BASH, "-n"], input=block.text, text=True, check=True)
    for command, words in _commands(block.text):
        for beginning, check in CHECKS.items():
            if tuple(words[: len(beginning)]) == beginning:
                check(command, words[len(beginning) :], reader, tmp_path)
                break
        else:
            pytest.fail(f"no test knows what to do with {command}")


def _commands(text):
    """The commands, whole and as words; quotes and backslashes may span lines."""
    pending = ""
    for line in text.splitlines():
        pending += line + "\n"
        try:
            words = shlex.split(pending.replace("\\\n", " "), comments=True)
        except ValueError:
            continue  # inside a quote
        if not line.endswith("\\"):
            if words:
                yield pending, words
            pending = ""
    assert not pending.strip(), "the block ends inside a quote"


def _make(_, targets, *__):
    command = [shutil.which("make"), "-n", *targets]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _pip_install(_, requirements, *__):
    locked = (ROOT / "constraints.txt").read_text().splitlines()
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= set(PROJECT["optional-dependencies"])
        else:
            assert any(line.startswith(f"{requirement.name}==") for line in locked)


def _export(command, _, __, folder):
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    script = f"{command}\nenv -0"
    done = subprocess.run([BASH, "-euc", script], env=env, cwd=folder, capture_output=True, text=True, check=True)
    values = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    variables = {name: value for name, value in values.items() if name not in {*env, "PWD", "SHLVL", "_", "OLDPWD"}}
    assert variables
    for name, value in variables.items():
        _check_variable(name, value)


def _python(_, words, reader, __):
    (code,) = words
    reader.start()
    assert _says(code).startswith("(True, ")


@functools.cache  # several pages have the same line
def _says(code):
    """The last line that a piece of Python prints; before it come those of the log."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def _our_pytest(_, arguments, *__):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _their_pytest(_, arguments, *__):
    assert arguments == []  # it runs the files of the page, as tests/testing does


CHECKS = {
    ("make",): _make,
    ("pip", "install"): _pip_install,
    ("export",): _export,
    ("python", "-c"): _python,
    ("python", "-m", "airflow_provider_meetings.sandbox"): lambda _, arguments, *__: parse(arguments),
    ("airflow",): lambda _, arguments, *__: cli_parser.get_parser().parse_args(arguments),
    ("pytest",): _their_pytest,
    (".venv/bin/python", "-m", "pytest"): _our_pytest,
}


@each("ini", "json", "yaml")
def test_settings_are_airflows(block):
    """A piece of airflow.cfg, JSON or YAML can be read; options and environment variables in it are Airflow's."""
    if block.kind == "ini":
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(block.text)
        found = [
            (f"AIRFLOW__{name}__{option}", value) for name in parser.sections() for option, value in parser.items(name)
        ]
        assert found
    else:
        found = _variables((json.loads if block.kind == "json" else yaml.safe_load)(block.text))
    for name, value in found:
        _check_variable(name, value)


def _variables(node):
    """Yield the environment variables in a document: of a mapping, or of Kubernetes' lists of names and values."""
    if isinstance(node, dict):
        if "value" in node and str(node.get("name")).startswith("AIRFLOW_"):
            yield node["name"], str(node["value"])
        for name, value in node.items():
            if name.startswith("AIRFLOW_"):
                yield name, str(value)
            yield from _variables(value)
    elif isinstance(node, list):
        for item in node:
            yield from _variables(item)


def _check_variable(name, value):
    """A variable is one that Airflow or our code reads, and a connection one that its hook takes."""
    assert value
    if name.startswith("AIRFLOW_CONN_"):
        document = json.loads(value)
        document["extra"] = json.dumps(document.get("extra", {}))
        conn = Connection(conn_id=name.removeprefix("AIRFLOW_CONN_").lower(), **document)
        assert load(VENDORS[conn.conn_type].hook).settings_type.from_connection(conn).secrets
    elif name.startswith("AIRFLOW__"):
        _, section, option = name.split("__")
        assert option.lower() in conf.configuration_description[section.lower()]["options"]
    else:
        assert name in {"AIRFLOW_HOME", "NO_PROXY", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE"}
