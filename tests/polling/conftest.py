"""The fixtures of this folder are those of the hooks' tests, which live beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "hooks"))

from meetings_support import _quick, connect, kind, process, server

__all__ = ["_quick", "connect", "kind", "process", "server"]
