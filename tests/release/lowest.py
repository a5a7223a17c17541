"""`make test-lowest`: all modules, and the unit and hook tests, with the oldest versions that the package allows."""

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from tests.release.tools import ROOT, UV, build, clean_environment, fresh_folder, make_venv, run, uv_environment

#: The exact versions. What is not named in pyproject.toml is as new as the rest allows, on the day this was renewed.
PINS = Path(__file__).parent / "lowest.txt"
_TOOLS = (
    "pytest>=8",
    "pytest-asyncio>=0.24",
    "pytest-timeout>=2.3",
    "requests-mock>=1.12",
    "hypothesis>=6.100",
    "jsonschema",
)
#: What Airflow 2.11.0 does not bound, and its own constraints do: with 0.3 its ObjectStoragePath refuses file://.
_CONSTRAINED = ("universal-pathlib<0.3",)
_TESTS = ("tests/core", "tests/connection", "tests/vendors", "tests/transport", "tests/hooks")


def lower_bounds() -> dict[str, str]:
    """Return the direct dependencies of the package and its sandbox, each with the oldest version that is allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["sandbox"]]
    bounds = {}
    for requirement in requirements:
        match = re.match(r"([\w-]+)>=([\d.]+)", requirement)
        if match is None:
            sys.exit(f"{requirement} in pyproject.toml has no lower bound")
        bounds[match[1]] = match[2]
    return bounds


def renew() -> None:
    """Renew the pins: the direct dependencies exactly at their lower bounds."""
    folder = fresh_folder("pins")
    exact = [f"{name}=={version}" for name, version in lower_bounds().items()]
    (folder / "lowest.in").write_text("\n".join([*exact, *_CONSTRAINED, *_TOOLS, ""]))
    command = [UV, "pip", "compile", "--quiet", "--system-certs", "--python-version", "3.11", "--no-header"]
    command += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--upgrade"]
    run([*command, "--output-file", PINS, folder / "lowest.in"], env=uv_environment())


def main() -> int:
    """Install the wheel with the pins and run the tests."""
    parser = argparse.ArgumentParser(prog="python -m tests.release.lowest", description=__doc__)
    parser.add_argument("--renew", action="store_true", help="renew the exact versions first")
    if parser.parse_args().renew:
        renew()
    pinned = dict(line.split("==") for line in PINS.read_text().splitlines() if "==" in line)
    for name, version in lower_bounds().items():
        if _numbers(pinned.get(name, "")) != _numbers(version):
            sys.exit(f"{name} is pinned to {pinned.get(name)}, its bound is {version}: run this with --renew")

    start = time.monotonic()
    folder = fresh_folder("lowest")
    build(folder / "out", ROOT, epoch="0")
    (wheel,) = (folder / "out").glob("*.whl")
    python = make_venv(folder / "venv", "-r", PINS, f"airflow-provider-meetings[sandbox] @ {wheel.as_uri()}")
    print(
        f"{time.monotonic() - start:5.1f} s  installed:",
        *(f"{name} {pinned[name]}" for name in lower_bounds()),
        flush=True,
    )

    tree = folder / "tree"  # without the package beside it: what is tested is what was installed
    for name in ("demo", "tests", "docs"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    env = clean_environment(folder / "home")
    # What these tests do not import may need more than a bound says, too.
    print(run([python, "-m", "tests.compatibility.inside", "imports"], cwd=tree, env=env).splitlines()[-1], flush=True)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS]
    return subprocess.run([str(part) for part in command], cwd=tree, env=env, check=False).returncode


def _numbers(version: str) -> list[int]:
    numbers = [int(part) for part in version.split(".") if part.isdigit()]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


if __name__ == "__main__":
    sys.exit(main())
