"""What a mutation is."""

from dataclasses import dataclass

#: The tests that are to notice the mutations of single meetings, in this order.
SINGLES = ("exactly_once/test_clauses.py", "exactly_once/test_limits.py", "exactly_once/test_histories.py")
#: The same of sets, and of their plans.
SETS = ("sets/test_set_clauses.py", "sets/test_set_overlapping_runs.py", "sets/test_set_histories.py")
PLANS = ("sets/test_plan.py",)


@dataclass(frozen=True)
class Mutation:
    """A clause of the protocol, and the protocol without it.

    Attributes:
        name: What is taken away.
        file: Where it stands, in the package.
        old: The piece; it must be there exactly once.
        new: What stands there instead.
        tests: The files of the tests that are to notice it, below ``tests``.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = SINGLES
