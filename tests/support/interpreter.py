"""Code in a fresh interpreter, for what must not depend on what these tests have imported."""

import json
import os
import subprocess
import sys


def python(code, home=None):
    """Run code, with an Airflow home of its own if one is given; return the JSON that it prints last."""
    own = {} if home is None else {"AIRFLOW_HOME": str(home), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    command, env = [sys.executable, "-c", code], os.environ | own
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def modules_of(code, *names, home=None):
    """Run code; return which modules it has brought along that begin so."""
    return python(
        f"import json, sys; {code}; print(json.dumps([n for n in sys.modules if n.startswith({names})]))", home
    )
