"""How a cell can end, from the best to the worst."""

EXACTLY_ONCE = "exactly once"
FAILS_LOUDLY = "fails loudly"
AT_LEAST_ONCE = "at least once"
WRONG = "wrong"
GRADES = (EXACTLY_ONCE, FAILS_LOUDLY, AT_LEAST_ONCE, WRONG)


def is_worse(grade: str, promise: str) -> bool:
    """Say whether a grade is less than what was promised."""
    return GRADES.index(grade) > GRADES.index(promise)
