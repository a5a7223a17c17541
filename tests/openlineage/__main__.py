"""`make test-openlineage`: what the provider of OpenLineage makes of a whole run of our tasks in a real Airflow."""

import subprocess
import sys

from tests.release.tools import ROOT, build, clean_environment, fresh_folder, make_venv

#: The provider that was tried.
OPENLINEAGE = "apache-airflow-providers-openlineage==2.20.3"


def main() -> int:
    """Installs the wheel and the provider into an environment of their own, and runs the DAG there."""
    folder = fresh_folder("openlineage")
    build(folder / "out", ROOT, epoch="0")
    (wheel,) = (folder / "out").glob("*.whl")
    package = f"airflow-provider-meetings[sandbox] @ {wheel.as_uri()}"
    python = make_venv(folder / "venv", "-c", ROOT / "constraints.txt", OPENLINEAGE, package)
    tree = folder / "tree"  # without the package beside it: what is tried is what was installed
    tree.mkdir()
    for name in ("demo", "tests"):
        (tree / name).symlink_to(ROOT / name)
    command = [str(python), "-m", "tests.openlineage.inside"]
    return subprocess.run(command, cwd=tree, env=clean_environment(folder / "home"), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
