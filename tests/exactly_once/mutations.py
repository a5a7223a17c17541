"""Remove one clause of the protocol at a time, and see a test fail each time.

    python -m tests.exactly_once.mutations [word ...]      only the mutations whose name holds one of the words

Each mutation replaces a piece of the package's source in a temporary copy of it; the tests of single meetings, or of
sets, run against the copy, the directed ones first. It fails when a piece is not there any more, or when no test
notices that it is gone.
"""

import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.exactly_once.mutation import SINGLES, Mutation
from tests.exactly_once.set_mutations import SET_MUTATIONS

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_meetings"


PROTOCOL, KEYS, TASK_STATE = "exactly_once/protocol.py", "exactly_once/keys.py", "exactly_once/task_state.py"
OWN_MEETING = "exactly_once/own_meeting.py"
CREATES, RESPONSES = "vendors/creates.py", "vendors/responses.py"
MATCHING, RETRY = "vendors/matching.py", "core/retry.py"
SIBLINGS = "exactly_once/siblings.py"

#: By file: what is taken away, the piece, and what stands there instead.
_CLAUSES = {
    PROTOCOL: (
        ("write ahead of a create", "yield from self._save()\n            spent =", "spent ="),
        ("write the id down after the answer", "yield from self._save()\n        if", "if"),
        ("allow for a slow journal", "note(now, now + slow + in_flight)", "note(now, now + in_flight)"),
        ("write a slow journal once more", "if spent <= slow:", "if True:"),
        ("give a slow journal more room", "            slow = 2 * spent\n", ""),
        (
            "keep when a create was first sent",
            "first = record.pending_create.first_sent if record.pending_create else now",
            "first = now",
        ),
        ("settle before anything else", "if record.pending_create is not None:\n           ", "if False:\n           "),
        ("write down what was settled", "yield from self._save()\n        return meeting is", "return meeting is"),
        (
            "remember what a settled create had asked for",
            "record.digest, record.sent_fields = digest(pending_create.body), sorted(pending_create.body)",
            "pass",
        ),
        ("forget a payload that is refused", "record.pending_create = None\n                refused", "refused"),
        ("never get past a 409 with a new key", "refused and not self._item.own_key", "1"),
        (
            "take a new key after a deletion",
            'record.id, record.generation, record.fingerprint = None, record.generation + 1, ""',
            'record.id, record.fingerprint = None, ""',
        ),
        (
            "read the meeting when a change is answered 404",
            "except MeetingNotFoundError as error:",
            "except MeetingNotFoundError as error:\n                record.id = None",
        ),
        ("converge on a payload that changed", 'if record.digest in {self._digest, ""} and untouched', "if untouched"),
        (
            "notice what somebody changed",
            'if record.digest in {self._digest, ""} and untouched:',
            'if record.digest in {self._digest, ""}:',
        ),
        (
            "write ahead of a change",
            (
                "record.sent_fields = sorted({*record.sent_fields, *body})\n"
                "        record.digest, record.pending_update = _UNKNOWN,"
            ),
            "record.pending_update =",
        ),
        (
            "remember the fields of a change that is not answered",
            "sorted({*record.sent_fields, *body})",
            "record.sent_fields",
        ),
        ("wait for a change in flight", "        yield from self._wait_for_update_in_flight(record)\n", ""),
        ("not wait for the same change", 'in {"", self._digest}:', '== "":'),
        (
            "write down each send of a change",
            "announces or (changes and isinstance(command, Request))",
            "announces",
        ),
        ("remember a repeated change's first send", "if sends == 1:  #", "if True:  #"),
        (
            "not wait for a change that is refused",
            'if not error.maybe_sent:\n                record.pending_update = ""',
            "if not error.maybe_sent:\n                record.pending_update = record.pending_update",
        ),
        ("look twice before a meeting counts as deleted", "self._read(record.id)", "self._vendor.get(record.id)"),
        ("read what an update answers in part", "if not current.keys() <= meeting.keys():", "if False:"),
        ("clear what is asked no more", "to_become(body, record.sent_fields)", "to_become(body, [])"),
        (
            "refuse to change whom a meeting is with",
            "if self._vendor.counterpart(body) != record.counterpart and not self._vendor.counterpart_is_mutable:",
            "if False:",
        ),
        (
            "take whom the meeting is with from what is sent",
            "body = self._item.body\n        record.counterpart, record.starts_at =",
            "body = self._item.body\n        _ = record.counterpart, record.starts_at; _ =",
        ),
        (
            "look for what looks alike before a create",
            'known = frozenset(str(meeting.get("id")) for meeting in found)',
            "known = frozenset()",
        ),
        ("look at what may be a replay", " or not (yield from self._is_there(meeting)):", ":"),
        ("notice a replay", "if self._is_replay(created, sent_at) or not (", "if not ("),
        ("keep a key short", 'header_safe(f"{self._key}/{record.generation}")', 'f"{self._key}/{record.generation}"'),
    ),
    OWN_MEETING: (
        (
            "drop the payload once the id is known",
            'record.id, record.pending_create = meeting["id"], None',
            'record.id = meeting["id"]',
        ),
        (
            "forget a payload that is refused when it is settled",
            "except (MeetingValidationError, MeetingNotFoundError) as refusal:",
            "except ZeroDivisionError as refusal:",
        ),
        ("find an item's meeting after a clear", "if item.since is None or self._searched:", "if True:"),
        ("let the key tell what is this run's", "if (yield from self._key_tells(item.since)):", "if False:"),
        ("leave out what this map index has already", 'if str(meeting.get("id")) not in own', "if True"),
        ("fail on two candidates after a clear", "if len(candidates) > 1 or (candidates and", "if (candidates and"),
        (
            "fail on a date that tells nothing after a clear",
            "(item.unsure or None in {new for _, new in verdicts})",
            "item.unsure",
        ),
        ("know a mapped item whose payload changed", "self._key = str(journal.last)", "pass"),
        ("leave another party's meeting alone", "if item.since is None or self._is_corrected(last):", "if True:"),
        ("fail where a cleared map index may stand for another item", "self._is_with_the_same(last) and", "False and"),
        (
            "search also where the item was refused before",
            "if own is not None and (own.id is not None or own.pending_create is not None):",
            "if own is not None:\n            self._searched = True  # and so",
        ),
        ("settle another map index's create", "if create.key in self._resolved:", "if True:"),
        ("settle another map index's create once", "if create.key in self._resolved:", "if False:"),
        ("put an adopted meeting right", 'record.fingerprint = ""  # as somebody may have left it', "pass"),
    ),
    MATCHING: (
        ("compare the vendor's clock with itself", "(since + clock - response.received_at) * 1000", "since * 1000"),
        ("fail on two candidates", "if len(candidates) == 1 and (looked", "if candidates and (looked"),
        (
            "leave what was there before alone",
            'if self.known is None or str(meeting.get("id")) not in self.known]',
            "if True]",
        ),
        ("not adopt what was moved here", "[meeting for meeting, new in verdicts if new is not False]", "list(fresh)"),
        ("fail where all that is new was moved here", "if not candidates and looked:", "if False:"),
        ("bear with clocks that differ", "since = self.first_sent - _ELDER if looked else", "since ="),
        ("take nothing made much later for a lost create", "raise ambiguous_match(late)", "candidates = late"),
        (
            "tell a lost create from what was made much later",
            "candidates = [one for one in candidates if one not in late]",
            "late = []",
        ),
        ("find a start that was cut or rounded", "low == moment else", "True else"),
        (
            "take a start that was cut or rounded for the same",
            "return ours == theirs or any(",
            "return ours == theirs or False and any(",
        ),
        (
            "take a text that was cut for the same",
            "return ours == theirs or (len(theirs)",
            "return ours == theirs or False and (len(theirs)",
        ),
        ("compare what comes back", "return False\n    return True\n\n\ndef", "return True\n    return True\n\n\ndef"),
    ),
    TASK_STATE: (
        ("search after clears only", 'moved = bool(getattr(run, "clear_number", 0)) and', "moved ="),
        (
            "look at a fresh map index after a clear without a store",
            "if not moved and (durable or ti.try_number <= 1):",
            "if (not moved) if durable else (ti.try_number <= 1):",
        ),
        (
            "tell the other map indexes of a create",
            "        if tells_siblings:\n            push_bookings(ti, document)\n",
            "",
        ),
        (
            "tell the other map indexes again when a try starts",
            "if tells_siblings and (journal.records or item.since is not None):",
            "if False:",
        ),
        ("ask the other map indexes", "item = replace(item, siblings=lambda: read_siblings(ti))", "pass"),
        ("ask the other map indexes in no loop", "is_mapped(ti) and _iteration(context) is None", "is_mapped(ti)"),
        (
            "count a cleared run from when it was due",
            '_told(run, "run_after") or _told(run, "data_interval_end")',
            '_told(run, "logical_date") or _told(run, "run_after")',
        ),
        ("count a run that was not cleared from its start", 'getattr(run, "clear_number", 0) or not begun:', "True:"),
        ("adopt nothing of another run after a clear of a backfill", "journal.began is None and backfill", "False"),
        ("remember when a run began", "if journal.began is None and not getattr(", "if False and not getattr("),
        (
            "count a cleared run from when it began",
            "since=item.since if journal.began is None else journal.began",
            "since=item.since",
        ),
        ("know a loop's iteration", 'return getattr(context.get("loop"), "index", None)', "return None"),
        ("read the journal", "journal = Journal.from_json(store.get(CREATED_KEY))", "journal = Journal()"),
    ),
    SIBLINGS: (
        ("wait for map indexes that have not said anything", "if unnamed and self.silent:", "if False:"),
        ("wait for no map index where nothing looks alike", "if unnamed and self.silent:", "if self.silent:"),
        ("wait for no map index that does not start", "not in _OVER", "!= 1"),
        ("find what another map index is changing", "frozenset()) & _UNCERTAIN", "frozenset()) & set()"),
        ("take nothing that a map index has booked for a lost create", "create.known | taken", "create.known"),
    ),
    KEYS: (
        ("have a key for each iteration of a loop", 'parts.append(f"loop-{iteration}")', "pass"),
        ("know a mapped task's item by its payload", "parts.append(digest(body))", "parts.append(str(ti.map_index))"),
        (
            "have one key for all tries",
            "parts = [ti.dag_id, ti.run_id, ti.task_id]",
            "parts = [ti.dag_id, ti.run_id, ti.task_id, str(ti.try_number)]",
        ),
        ("have a key for each task", "parts = [ti.dag_id, ti.run_id, ti.task_id]", "parts = [ti.dag_id, ti.run_id]"),
    ),
    CREATES: (
        ("resend under the same key", "pending_create.key, resent", 'pending_create.key + "!", resent'),
        ("know that a resend is one", "self.retry_limits, outcome_unknown=True)", "self.retry_limits)"),
        ("look once a key may have expired", "if not self.keeps_key(now - pending_create.first_sent):", "if False:"),
        ("leave room for a settling that takes its time", "return age + longest <", "return age <"),
        (
            "settle before a repeat (Builder Prime)",
            "found = yield from self.resolve_create(pending_create, retry_state)",
            "found = None",
        ),
        ("wait for a request in flight", "if meeting is not None or remaining <= 0:", "if True:"),
        ("wait for a create that a gateway has answered", "in_flight = self.retry_limits.in_flight", "in_flight = 0.0"),
        ("count from when the list was asked for", "response.sent_at", "response.received_at"),
        ("keep a create unknown when looking fails", "error.maybe_sent = True  #", "error.maybe_sent = False  #"),
    ),
    RESPONSES: (
        (
            "take a gateway's refusal of a write for no answer",
            'if request.method != "GET" and not envelope.is_own:',
            "if False:",
        ),
        (
            "take a gateway's 422 for no refusal of the payload",
            "if status in {400, 422} and is_own:",
            "if status in {400, 422}:",
        ),
        ("take a gateway's 404 for no missing record", "404 and is_own and names_record:", "404:"),
    ),
    RETRY: (("look after a 429 that is not the vendor's", "return not self.is_own or", "return"),),
}
MUTATIONS = [Mutation(name, file, *pieces) for file, some in _CLAUSES.items() for name, *pieces in some]

#: The code as it is.
NOTHING = Mutation("nothing", PROTOCOL, "class _Attempt(OwnMeeting):", "class _Attempt(OwnMeeting):")


def mutate(folder: Path, mutation: Mutation) -> None:
    """Make a copy of the package without a clause."""
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "sandbox"))
    path = folder / PACKAGE / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.name}: its piece is there {text.count(mutation.old)} times in {mutation.file}")
    path.write_text(text.replace(mutation.old, mutation.new))


class Verdict:
    """Notes the first test that fails."""

    failed = ""

    def pytest_runtest_logreport(self, report) -> None:
        """Pytest's hook."""
        if report.failed and not self.failed:
            self.failed = report.nodeid.rpartition("/")[2]

    def pytest_collectreport(self, report) -> None:
        """Pytest's hook; a mutation that cannot even be imported proves nothing."""
        if report.failed:
            raise SystemExit(str(report.longrepr))


def judge(mutation: Mutation, report: Path) -> None:
    """Run the tests against a mutation, in a process of its own; write down which test failed."""
    import pytest  # noqa: PLC0415 - after the environment is set

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mutate(folder, mutation)
        os.chdir(folder)
        # Of the histories; the directed tests come first, and those of sets have more of them.
        os.environ["MODEL_SHARE"] = "0.25" if mutation.tests == SINGLES else "0.08"
        options = "timeout = 40\naddopts = --import-mode=importlib\npythonpath = .\n"
        (folder / "pytest.ini").write_text(f"[pytest]\n{options}")
        for suite in {"support", *(test.partition("/")[0] for test in mutation.tests)}:
            source = ROOT / "tests" / suite
            shutil.copytree(source, folder / "tests" / suite, ignore=shutil.ignore_patterns("__pycache__"))
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        # Airflow has looked at the providers that are installed, this one among them.
        for module in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[module]
        verdict = Verdict()
        files = [str(folder / "tests" / test) for test in mutation.tests]
        with contextlib.redirect_stdout(io.StringIO()) as output:
            pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], [verdict])
        if sys.modules[PACKAGE].__file__ != str(folder / PACKAGE / "__init__.py"):
            raise SystemExit(f"the tests ran against {sys.modules[PACKAGE].__file__}")
        report.write_text(verdict.failed)
        del output


def fork(mutations: Sequence[Mutation], folder: Path) -> list[tuple[str, int]]:
    """Judge mutations at once, each in a process of its own; return what failed, and if it could not be run."""
    children = []
    for number, mutation in enumerate(mutations):
        report = folder / f"report-{number}"
        report.write_text("")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                judge(mutation, report)
                status = 0
            except SystemExit as error:
                print(error, file=sys.stderr)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        children.append((child, report))
    ended = [(os.waitpid(child, 0)[1], report) for child, report in children]
    return [(report.read_text(), status) for status, report in ended]


def main(words: list[str]) -> int:
    """Judge each mutation; return how many survived."""
    every = [*MUTATIONS, *SET_MUTATIONS]
    chosen = [mutation for mutation in every if not words or any(word in mutation.name for word in words)]
    began, survivors = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as name:
        os.environ["AIRFLOW_HOME"] = name
        # Imported once, for all the processes that are forked from this one; the package itself is not.
        import airflow.providers.common.compat.sdk as _sdk  # noqa: PLC0415
        import hypothesis.internal.conjecture.engine as _engine  # noqa: PLC0415
        import pendulum as _pendulum  # noqa: PLC0415
        import pytest  # noqa: PLC0415

        _ = _sdk.BaseHook, _sdk.AirflowException, _sdk.AirflowFailException, _engine, _pendulum, pytest
        tests = {mutation.tests for mutation in chosen}
        for failed, status in fork([replace(NOTHING, tests=some) for some in sorted(tests)], Path(name)):
            if not (failed or status):
                continue
            # Also where the machine is too slow for a test's time limit: then every mutation would seem to be noticed.
            raise SystemExit(f"the tests do not pass as the code is: {failed or 'they could not be run'}")
        at_once = os.cpu_count() or 1
        for first in range(0, len(chosen), at_once):
            some = chosen[first : first + at_once]
            for mutation, (killer, status) in zip(some, fork(some, Path(name)), strict=True):
                survivors += not killer
                broken = " (it could not be run)" if status else ""
                print(f"{mutation.name:55} -> {killer or 'SURVIVED' + broken}", flush=True)
    print(f"{len(chosen)} mutations, {survivors} survived, {time.monotonic() - began:.0f} s")
    return survivors


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
