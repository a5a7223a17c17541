"""Writing the journal from calls that run in parallel."""

import itertools
import json
import logging
import time

from airflow_provider_meetings.core.flow import Gather, SaveJournal
from airflow_provider_meetings.transport.sync import Transport
from tests.support.sandbox import HIRINGCENTER, hook_to


def test_calls_in_parallel_share_one_journal():
    """Each save writes what is known when its turn comes, one after another, so that none takes back another's."""
    settings = hook_to(HIRINGCENTER, "http://127.0.0.1:9")._settings
    transport = Transport(settings, logging.getLogger(__name__), sockets=4)
    journal, saved, writing = {}, [], []

    def save(document):
        writing.append(len(document))
        assert len(writing) == 1, "two saves at once"
        time.sleep(0.001)
        saved.append(document)
        writing.pop()

    def note(number):
        journal[str(number)] = number
        yield SaveJournal(lambda: json.loads(json.dumps(journal)))
        return number

    def together():
        return (yield Gather([note(number) for number in range(40)]))

    assert transport.drive(together(), save) == list(range(40))
    assert len(saved) == 40
    assert all(earlier.keys() <= later.keys() for earlier, later in itertools.pairwise(saved))
    assert saved[-1] == {str(number): number for number in range(40)}
