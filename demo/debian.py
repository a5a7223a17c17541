"""Programs that Debian packages: found where they are, installed where this may do so, their services never started."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Debian asks this whether a service that it just installed may start.
_POLICY = Path("/usr/sbin/policy-rc.d")


def programs(pattern: str, package: str) -> Path:
    """The newest file that an absolute glob pattern finds, after installing the package if need be."""
    path = Path(pattern)
    for attempt in (1, 2):
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if found:
            return found[-1]
        if attempt == 1 and os.getuid() == 0 and shutil.which("apt-get"):
            _install(package)
    raise RuntimeError(f"{path.name} is needed for this: install the system package {package}.")


def _install(package: str) -> None:
    print(f"Installing the system package {package}", flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_service_starts():
        subprocess.run(["apt-get", "update", "-qq"], env=env, check=True)  # noqa: S607 - the one in the path
        install = [
            "apt-get",
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            "-o",
            "Dpkg::Options::=--force-confold",
        ]
        subprocess.run([*install, package], env=env, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    if _POLICY.exists():  # whoever runs the machine has decided
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
