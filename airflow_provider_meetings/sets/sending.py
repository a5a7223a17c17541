"""Sending one write of a set: nothing leaves that the journal does not allow for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from airflow_provider_meetings.core.flow import BeforeSend, Command, Flow, Now, Request, Response, SaveJournal, relay
from airflow_provider_meetings.sets.journal import SetJournal, UnansweredCreate, UnansweredWrite

__all__ = ["ROOM", "GuardedSend", "save"]

T = TypeVar("T")

#: Seconds that the sends of a batch may take from the moment at which the journal was written. A send that comes later
#: (a repeat after a wait, a slow vendor) has the journal written once more.
ROOM = 10.0


def save(journal: SetJournal) -> Flow[None]:
    """Write the journal, as it is when its turn comes."""
    yield SaveJournal(journal.document)


@dataclass(slots=True)
class GuardedSend:
    """Passes the commands of one write on, and keeps the journal ahead of each send.

    Attributes:
        journal: The journal, which other writes share.
        entry: This write's entry in it.
        in_flight: Seconds after a send in which a request that was not answered may still be acted on.
        one_of_many: Its success is worth no line of its own in the log.
        sends: How often it was sent.
        response: The last answer.
    """

    journal: SetJournal
    entry: UnansweredCreate | UnansweredWrite
    in_flight: float
    one_of_many: bool = False
    sends: int = 0
    response: Response | None = None

    def run(self, call: Flow[T]) -> Flow[T]:
        """Run a call of the vendor's that writes."""
        return relay(call, self._before, self._after)

    def _before(self, command: Command) -> Flow[Command | None]:
        if isinstance(command, BeforeSend):
            return None  # the request follows
        if isinstance(command, Request):
            if self.one_of_many:
                command = replace(command, one_of_many=True)
            if command.method != "GET":
                self.sends += 1
                yield from self.make_room()
        return command

    def _after(self, command: Command, answer: Any) -> None:
        if isinstance(command, Request) and command.method != "GET":
            self.response = answer

    def make_room(self) -> Flow[None]:
        """Write the journal once more where a send now could be acted on later than it says."""
        room = ROOM
        while True:
            now = yield Now()
            if now + self.in_flight <= self.entry.until:
                return
            self.entry.until = now + room + self.in_flight
            yield from save(self.journal)
            room *= 2
