"""A flow within another one."""

import pytest

from airflow_provider_meetings.core.flow import BeforeSend, Now, Request, relay
from airflow_provider_meetings.exceptions import MeetingsError

READ, WRITE = Request("GET", "/"), Request("POST", "/")


def flow():
    """Send two requests, of which the second may fail, and return the answers."""
    first = yield READ
    yield BeforeSend()
    try:
        return first, (yield WRITE)
    except MeetingsError as error:
        return first, error


def before(command):
    """Ask for the time ahead of what is sent next, and pass nothing on of the announcement."""
    if isinstance(command, BeforeSend):
        assert (yield Now()) == 7.0
        return None
    return command


@pytest.mark.parametrize("second", ["written", MeetingsError("refused")], ids=["an answer", "an error"])
def test_a_relayed_flow_is_the_flow_with_more_commands(second):
    """Its commands come in their order, answers and errors reach it, and what was answered is told."""
    answered = []
    steps = relay(flow(), before, lambda *told: answered.append(told))
    assert [READ, Now(), WRITE] == [next(steps), steps.send("read"), steps.send(7.0)]
    with pytest.raises(StopIteration) as end:
        steps.throw(second) if isinstance(second, Exception) else steps.send(second)
    assert ("read", second) == end.value.value
    assert [(READ, "read"), (WRITE, second)][: 1 if isinstance(second, Exception) else 2] == answered


def test_an_error_of_what_comes_before_a_command_is_not_the_flows():
    """It ends both: nothing was sent that could have failed."""
    steps = relay(flow(), before)
    next(steps)
    assert Now() == steps.send("read")
    with pytest.raises(MeetingsError, match="no journal"):
        steps.throw(MeetingsError("no journal"))
