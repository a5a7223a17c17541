"""The world of these tests is the polling tests' own, which lives beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "polling"))
