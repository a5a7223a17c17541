"""The clauses of sets: what the plan, its guards, its approval and its application hold."""

from tests.exactly_once.mutation import PLANS, SETS, Mutation

PLAN, PREPARING, APPLYING = "sets/plan.py", "sets/preparing.py", "sets/applying.py"
WRITING, SENDING, OUTCOME = "sets/writing.py", "sets/sending.py", "sets/outcome.py"
RUN, APPROVAL, OPTIONS = "sets/run.py", "sets/approval.py", "sets/options.py"
JOURNAL, KEYS, TASK, ROWS = "sets/journal.py", "sets/keys.py", "sets/task.py", "sets/rows.py"

#: By file: what is taken away, the piece, and what stands there instead.
_CLAUSES = {
    PLAN: (
        ("know a row's meeting", "own = found[0] if found else (", "own = ("),
        ("put a remembered meeting back", "(remembered or {}).get(row.key)", "None"),
        ("take cancelled meetings for gone", "if not vendor.is_cancelled(meeting)]", "if True]"),
        ("fail on twins", "    _check_twins(rows, stored)\n", ""),
        ("delete only where that is wanted", "if delete_missing:", "if True:"),
        (
            "delete nothing that has a row",
            'left = [one for one in current if str(one["id"]) not in claimed]',
            "left = current",
        ),
        ("send only what differs", "difference.before, difference.after,", "difference.before, row.declared,"),
        ("leave a meeting alone that is as declared", "    if not difference.after:\n        return None\n", ""),
        ("refuse what no update can change", "    _check_fixed(vendor, changes)\n", ""),
        (
            "refuse to make what is there with its key cut",
            "            if vendor.matches(row.body, meeting):",
            "            if False:",
        ),
        ("refuse a key that does not come back", "if rows:\n       ", "if False:\n       "),
        ("tell plans apart by what they change", "self.match, self.before, self.after, self.along]", "self.match]"),
        (
            "have one digest for any order of the rows",
            "sorted(change.digest for change in self.changes)",
            "[change.digest for change in self.changes]",
        ),
    ),
    OPTIONS: (
        ("not empty a calendar for want of rows", "if count == 0 and", "if False and"),
        ("bound the deletes", 'len(plan.of("delete")), "deletes"', '0, "deletes"'),
        ("ask about deletes", 'self.approval == "deletes" and bool(plan.of("delete"))', "False"),
    ),
    RUN: (
        ("look at the size of a plan before the first write", "self._options.check_plan(plan)\n      ", "pass\n      "),
        ("write nothing in plan mode", "if not applies:", "if False:"),
        ("ask before writing", "asks = bool(excess) or self._options.needs_approval(plan)", "asks = False"),
        ("know that a plan was approved above its limits", " and (known.anyway or not excess):", ":"),
        ("write nothing of a rejected plan", "if self.resumed.rejected:", "if False:"),
        ("remember that an approved plan is begun", "            self._approvals.save(begun)\n", ""),
        ("forget an approval that was carried out", "self._approvals.forget()\n        counts =", "counts ="),
    ),
    ROWS: (("refuse two rows of one meeting", "if other != index:", "if False:"),),
    APPROVAL: (
        ("carry out the approved plan only", "return plan.digest == self.digest", "return True"),
        ("ask about what was not approved", "return all(change.digest", "return True or all(change.digest"),
        ("go on with what is left of an approved plan", "if self.begun:", "if False:"),
        ("believe an approval that is stored whole", 'None or part["digest"] != document["digest"]:', "None:"),
    ),
    TASK: (
        ("settle the creates of a set first", "if self._journal.creates:", "if False:"),
        ("know the iteration of a loop", 'getattr(context.get("loop"), "index", None)', "None"),
    ),
    PREPARING: (
        ("keep a create that cannot be settled", "if not isinstance(result, MeetingsError):\n     ", "if True:\n     "),
        ("wait for a create of a set in flight", "        yield from _wait_out(vendor, entry.until)\n", ""),
        ("take a row's own meeting only for its create", "if not vendor.needs_presence_check:\n    ", "if True:\n    "),
        ("send no create again whose row has a meeting", "if current is not None:", "if False:"),
        ("send no create again whose row is gone", "(declared and in_scope)", "in_scope"),
        ("look for a create out of a new window", "elif declared:", "elif False:"),
        ("wait for an update that would undo another", "if until <= now:", "if True:"),
        ("wait below Airflow 3.3", 'if blind_retry and vendor.needs_presence_check and plan.of("create")', "if False"),
        (
            "believe a remembered meeting that still matches",
            " or asked.matcher.key_of_stored(meeting) != row.key:",
            ":",
        ),
    ),
    JOURNAL: (("refuse another version's journal", 'check_version(document, _VERSION, "task\'s set")', "pass"),),
    APPLYING: (
        ("write a batch ahead", "yield from save(journal)\n        return batch", "return batch"),
        ("note the look-alikes of a create", "writer.scope.lookalikes(change.row.body) if", "frozenset() if"),
        ("keep the journal of a set short", "if batch and size > self.max_bytes:", "if False:"),
        (
            "delete in a stage of its own",
            'for stage in (self.plan.of("create", "update"), self.plan.of("delete")):',
            "for stage in (self.plan.changes,):",
        ),
        ("delete only where all before went well", "if waiting or not applied.is_clean:", "if waiting:"),
        ("stop where nothing gets through", "while waiting and not applied.is_hopeless:", "while waiting:"),
        ("look far away before giving up", "waiting.rotate(1)  #", "pass  #"),
        ("keep what may still arrive", 'if result.maybe_sent and result.verdict != "untried":', "if False:"),
        ("keep an update whose earlier send may arrive", "elif not result.repeated:", "else:"),
        ("have new keys after a refusal", "journal.generation += 1  #", "pass  #"),
    ),
    SENDING: (("write a journal once more before a late send", "                yield from self.make_room()\n", ""),),
    WRITING: (
        ("make a meeting that is gone again under a new key", "if not self._is_replay(meeting, guard):", "if True:"),
        ("tell another row's meeting from one's own", "            self._check_identity(row, meeting)\n", ""),
        ("not send what would be stopped, too", "self.halt.error = error", "pass"),
    ),
    OUTCOME: (("not let a refused row stop the others", 'verdicts == {"failed"}', 'bool(verdicts - {"done"})'),),
    KEYS: (
        (
            "have one key for all tries of a row",
            "parts = [ti.dag_id, ti.run_id, ti.task_id]",
            "parts = [ti.dag_id, ti.run_id, ti.task_id, str(ti.try_number)]",
        ),
        ("have a key for each row", "parts = [self.task, _digest(row.key)]", "parts = [self.task]"),
        ("have a key for each payload of a row", "parts.append(_digest(row.body))", "pass"),
        ("have keys for each iteration of a loop", 'parts.append(f"loop-{iteration}")', "pass"),
    ),
}
SET_MUTATIONS = [
    Mutation(f"set: {name}", file, *pieces, tests=PLANS if file == PLAN else SETS)
    for file, some in _CLAUSES.items()
    for name, *pieces in some
]
