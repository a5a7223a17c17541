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
CREATES, RESPONSES = "vendors/creates.py", "vendors/responses.py"
MATCHING, RETRY = "vendors/matching.py", "core/retry.py"

MUTATIONS = (
    Mutation(
        "write ahead of a create",
        PROTOCOL,
        "            yield from self._save()\n            spent =",
        "            spent =",
    ),
    Mutation(
        "write the id down after the answer",
        PROTOCOL,
        "        self._remember(record, meeting)\n        yield from self._save()\n        if self._is_replay",
        "        self._remember(record, meeting)\n        if self._is_replay",
    ),
    Mutation("allow for a slow journal", PROTOCOL, "note(now, now + slow + in_flight)", "note(now, now + in_flight)"),
    Mutation("write a slow journal once more", PROTOCOL, "            if spent <= slow:\n", "            if True:\n"),
    Mutation("give a slow journal more room", PROTOCOL, "            slow = 2 * spent\n", ""),
    Mutation(
        "keep when a create was first sent",
        PROTOCOL,
        "first = record.pending_create.first_sent if record.pending_create else now",
        "first = now",
    ),
    Mutation(
        "settle before anything else",
        PROTOCOL,
        "if record.pending_create is not None:\n                ad",
        "if False:\n                ad",
    ),
    Mutation(
        "write down what was settled",
        PROTOCOL,
        "        yield from self._save()\n        return meeting is not None",
        "        return meeting is not None",
    ),
    Mutation(
        "remember what a settled create had asked for",
        PROTOCOL,
        "            record.digest, record.sent_fields = digest(pending_create.body), sorted(pending_create.body)\n",
        "",
    ),
    Mutation(
        "drop the payload once the id is known",
        PROTOCOL,
        'record.id, record.pending_create = meeting["id"], None',
        'record.id = meeting["id"]',
    ),
    Mutation(
        "forget a payload that is refused",
        PROTOCOL,
        "                record.pending_create = None\n                refused",
        "                refused",
    ),
    Mutation(
        "forget a payload that is refused when it is settled",
        PROTOCOL,
        "        except (MeetingValidationError, MeetingNotFoundError) as refusal:",
        "        except ZeroDivisionError as refusal:",
    ),
    Mutation(
        "never get past a 409 with a new key",
        PROTOCOL,
        "record.generation += refused and not self._item.own_key",
        "record.generation += 1",
    ),
    Mutation(
        "take a new key after a deletion",
        PROTOCOL,
        'record.id, record.generation, record.fingerprint = None, record.generation + 1, ""',
        'record.id, record.fingerprint = None, ""',
    ),
    Mutation(
        "read the meeting when a change is answered 404",
        PROTOCOL,
        "            except MeetingNotFoundError as error:\n",
        "            except MeetingNotFoundError as error:\n                record.id = None\n",
    ),
    Mutation(
        "converge on a payload that changed",
        PROTOCOL,
        'if record.digest in {self._digest, ""} and untouched:',
        "if untouched:",
    ),
    Mutation(
        "notice what somebody changed",
        PROTOCOL,
        'if record.digest in {self._digest, ""} and untouched:',
        'if record.digest in {self._digest, ""}:',
    ),
    Mutation(
        "write ahead of a change",
        PROTOCOL,
        "        record.sent_fields = sorted({*record.sent_fields, *body})\n"
        "        record.digest, record.pending_update = _UNKNOWN, self._digest\n",
        "        record.pending_update = self._digest\n",
    ),
    Mutation(
        "remember the fields of a change that is not answered",
        PROTOCOL,
        "sorted({*record.sent_fields, *body})",
        "record.sent_fields",
    ),
    Mutation(
        "wait for a change in flight",
        PROTOCOL,
        "        yield from self._wait_for_update_in_flight(record)\n",
        "",
    ),
    Mutation(
        "not wait for the same change",
        PROTOCOL,
        'if record.pending_update in {"", self._digest}:',
        'if record.pending_update == "":',
    ),
    Mutation(
        "write down each send of a change",
        PROTOCOL,
        "        if changes and isinstance(step, Request):\n            yield from before()\n",
        "",
    ),
    Mutation("remember a repeated change's first send", PROTOCOL, "        if sends == 1:  #", "        if True:  #"),
    Mutation(
        "not wait for a change that is refused",
        PROTOCOL,
        '            if not error.maybe_sent:\n                record.pending_update = ""\n',
        "            if not error.maybe_sent:\n                record.pending_update = record.pending_update\n",
    ),
    Mutation(
        "look twice before a meeting counts as deleted",
        PROTOCOL,
        "            current = yield from self._read(record.id)\n",
        "            current = yield from self._vendor.get(record.id)\n",
    ),
    Mutation(
        "read what an update answers in part",
        PROTOCOL,
        "if not current.keys() <= meeting.keys():",
        "if False:",
    ),
    Mutation("clear what is asked no more", PROTOCOL, "to_become(body, record.sent_fields)", "to_become(body, [])"),
    Mutation(
        "refuse to change whom a meeting is with",
        PROTOCOL,
        "if self._vendor.counterpart(body) != record.counterpart and not self._vendor.counterpart_is_mutable:",
        "if False:",
    ),
    Mutation(
        "take whom the meeting is with from what is sent",
        PROTOCOL,
        "        body = self._item.body\n        record.counterpart, record.starts_at =",
        "        body = self._item.body\n        _ = record.counterpart, record.starts_at; _ =",
    ),
    Mutation(
        "look for what looks alike before a create",
        PROTOCOL,
        'known = frozenset(str(meeting.get("id")) for meeting in found)',
        "known = frozenset()",
    ),
    Mutation(
        "find an item's meeting after a clear",
        PROTOCOL,
        "if item.since is None or self._searched:",
        "if True:",
    ),
    Mutation(
        "let the key tell what is this run's",
        PROTOCOL,
        "if (yield from self._key_tells(item.since)):",
        "if False:",
    ),
    Mutation(
        "leave out what this map index has already",
        PROTOCOL,
        'if str(meeting.get("id")) not in own',
        "if True",
    ),
    Mutation(
        "fail on two candidates after a clear",
        PROTOCOL,
        "if len(candidates) > 1 or (candidates and",
        "if (candidates and",
    ),
    Mutation(
        "fail on a date that tells nothing after a clear",
        PROTOCOL,
        "(item.unsure or None in {new for _, new in verdicts})",
        "item.unsure",
    ),
    Mutation(
        "know a mapped item whose payload changed",
        PROTOCOL,
        "            self._key = str(journal.last)\n",
        "            pass\n",
    ),
    Mutation(
        "leave another party's meeting alone",
        PROTOCOL,
        "if item.since is None or self._is_corrected(last):",
        "if True:",
    ),
    Mutation(
        "fail where a cleared map index may stand for another item",
        PROTOCOL,
        "elif self._is_with_the_same(last) and",
        "elif False and",
    ),
    Mutation(
        "search also where the item was refused before",
        PROTOCOL,
        "if own is not None and (own.id is not None or own.pending_create is not None):",
        "if own is not None:\n            self._searched = True  # and so",
    ),
    Mutation("look at what may be a replay", PROTOCOL, " or not (yield from self._is_there(meeting)):", ":"),
    Mutation("notice a replay", PROTOCOL, "if self._is_replay(created, sent_at) or not (", "if not ("),
    Mutation(
        "compare the vendor's clock with itself",
        MATCHING,
        "threshold = round((since + clock - response.received_at) * 1000) - _SLACK",
        "threshold = round(since * 1000) - _SLACK",
    ),
    Mutation(
        "search after clears only",
        TASK_STATE,
        'again = bool(getattr(run, "clear_number", 0)) and is_mapped(ti) if durable else ti.try_number > 1',
        "again = is_mapped(ti) if durable else ti.try_number > 1",
    ),
    Mutation(
        "count a cleared run from when it was due",
        TASK_STATE,
        '_told(run, "run_after") or _told(run, "data_interval_end")',
        '_told(run, "logical_date") or _told(run, "run_after")',
    ),
    Mutation(
        "count a run that was not cleared from its start",
        TASK_STATE,
        'if getattr(run, "clear_number", 0) or not begun:',
        "if True:",
    ),
    Mutation(
        "keep a key short",
        PROTOCOL,
        'header_safe(f"{self._key}/{record.generation}")',
        'f"{self._key}/{record.generation}"',
    ),
    Mutation(
        "adopt nothing of another run after a clear of a backfill",
        TASK_STATE,
        "unsure = journal.began is None and backfill",
        "unsure = False",
    ),
    Mutation(
        "remember when a run began",
        TASK_STATE,
        "if journal.began is None and not getattr(",
        "if False and not getattr(",
    ),
    Mutation(
        "count a cleared run from when it began",
        TASK_STATE,
        "since=item.since if journal.began is None else journal.began",
        "since=item.since",
    ),
    Mutation(
        "know a loop's iteration",
        TASK_STATE,
        'return getattr(context.get("loop"), "index", None)',
        "return None",
    ),
    Mutation(
        "have a key for each iteration of a loop",
        KEYS,
        '        parts.append(f"loop-{iteration}")\n',
        "        pass\n",
    ),
    Mutation(
        "read the journal", TASK_STATE, "journal = Journal.from_json(store.get(CREATED_KEY))", "journal = Journal()"
    ),
    Mutation(
        "know a mapped task's item by its payload",
        KEYS,
        "        parts.append(digest(body))\n",
        "        parts.append(str(ti.map_index))\n",
    ),
    Mutation(
        "have one key for all tries",
        KEYS,
        "parts = [ti.dag_id, ti.run_id, ti.task_id]",
        "parts = [ti.dag_id, ti.run_id, ti.task_id, str(ti.try_number)]",
    ),
    Mutation(
        "have a key for each task",
        KEYS,
        "parts = [ti.dag_id, ti.run_id, ti.task_id]",
        "parts = [ti.dag_id, ti.run_id]",
    ),
    Mutation(
        "resend under the same key",
        CREATES,
        "self._create(pending_create.body, pending_create.key, resent)",
        'self._create(pending_create.body, pending_create.key + "!", resent)',
    ),
    Mutation("know that a resend is one", CREATES, "self.retry_limits, outcome_unknown=True)", "self.retry_limits)"),
    Mutation(
        "look once a key may have expired",
        CREATES,
        "if not self.keeps_key(now - pending_create.first_sent):",
        "if False:",
    ),
    Mutation(
        "leave room for a settling that takes its time",
        CREATES,
        "return age + longest < self.idempotency_window",
        "return age < self.idempotency_window",
    ),
    Mutation(
        "settle before a repeat (Builder Prime)",
        CREATES,
        "            found = yield from self.resolve_create(pending_create, retry_state)\n",
        "            found = None\n",
    ),
    Mutation(
        "wait for a request in flight",
        CREATES,
        "if meeting is not None or remaining <= 0:",
        "if True:",
    ),
    Mutation(
        "take a gateway's refusal of a write for no answer",
        RESPONSES,
        'if request.method != "GET" and not envelope.is_own:',
        "if False:",
    ),
    Mutation(
        "take a gateway's 422 for no refusal of the payload",
        RESPONSES,
        "        if status in {400, 422} and is_own:\n",
        "        if status in {400, 422}:\n",
    ),
    Mutation(
        "take a gateway's 404 for no missing record",
        RESPONSES,
        "        if status == 404 and is_own and names_record:\n",
        "        if status == 404:\n",
    ),
    Mutation(
        "look after a 429 that is not the vendor's",
        RETRY,
        "return not self.is_own or (self.status != 429 and",
        "return (self.status != 429 and",
    ),
    Mutation(
        "wait for a create that a gateway has answered",
        CREATES,
        "            in_flight = self.retry_limits.in_flight\n",
        "            in_flight = 0.0\n",
    ),
    Mutation(
        "count from when the list was asked for",
        CREATES,
        "pending_create.in_flight_until - response.sent_at",
        "pending_create.in_flight_until - response.received_at",
    ),
    Mutation(
        "keep a create unknown when looking fails",
        CREATES,
        "        error.maybe_sent = True  # whatever",
        "        error.maybe_sent = False  # whatever",
    ),
    Mutation(
        "fail on two candidates",
        MATCHING,
        "        if len(candidates) == 1 and (looked",
        "        if candidates and (looked",
    ),
    Mutation(
        "leave what was there before alone",
        MATCHING,
        'if self.known is None or str(meeting.get("id")) not in self.known]',
        "if True]",
    ),
    Mutation(
        "not adopt what was moved here",
        MATCHING,
        "candidates = [meeting for meeting, new in verdicts if new is not False]\n"
        "        if len(candidates) == 1 and (looked",
        "candidates = list(fresh)\n        if len(candidates) == 1 and (looked",
    ),
    Mutation(
        "fail where all that is new was moved here",
        MATCHING,
        "        if not candidates and looked:\n",
        "        if False:\n",
    ),
    Mutation(
        "bear with clocks that differ",
        MATCHING,
        "since = self.first_sent - _ELDER if looked else self.first_sent",
        "since = self.first_sent",
    ),
    Mutation(
        "find a start that was cut or rounded",
        MATCHING,
        "return Window(moment, moment + 1) if low == moment else",
        "return Window(moment, moment + 1) if True else",
    ),
    Mutation(
        "take a start that was cut or rounded for the same",
        MATCHING,
        "return ours == theirs or any(",
        "return ours == theirs or False and any(",
    ),
    Mutation(
        "take a text that was cut for the same",
        MATCHING,
        "return ours == theirs or (len(theirs)",
        "return ours == theirs or False and (len(theirs)",
    ),
    Mutation(
        "compare what comes back",
        MATCHING,
        "            return False\n    return True\n\n\ndef _part",
        "            return True\n    return True\n\n\ndef _part",
    ),
)

#: The code as it is.
NOTHING = Mutation("nothing", PROTOCOL, "class _Attempt:", "class _Attempt:")


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
