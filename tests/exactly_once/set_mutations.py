"""The clauses of sets: what the plan, its guards, its approval and its application hold."""

from tests.exactly_once.mutation import PLANS, SETS, Mutation

PLAN, PREPARING, APPLYING = "sets/plan.py", "sets/preparing.py", "sets/applying.py"
WRITING, SENDING, OUTCOME = "sets/writing.py", "sets/sending.py", "sets/outcome.py"
RUN, APPROVAL, OPTIONS = "sets/run.py", "sets/approval.py", "sets/options.py"
JOURNAL, KEYS, TASK, ROWS = "sets/journal.py", "sets/keys.py", "sets/task.py", "sets/rows.py"

_CLAUSES = (
    # -- the plan
    ("know a row's meeting", PLAN, "own = found[0] if found else (", "own = ("),
    ("put a remembered meeting back", PLAN, "(remembered or {}).get(row.key)", "None"),
    ("take cancelled meetings for gone", PLAN, "if not vendor.is_cancelled(meeting)]", "if True]"),
    ("fail on twins", PLAN, "    _check_twins(rows, stored)\n", ""),
    ("delete only where that is wanted", PLAN, "    if delete_missing:\n", "    if True:\n"),
    ("delete nothing that has a row", PLAN, 'if str(one["id"]) not in claimed]', "if True]"),
    (
        "send only what differs",
        PLAN,
        "difference.before, difference.after, along",
        "difference.before, row.declared, along",
    ),
    ("leave a meeting alone that is as declared", PLAN, "    if not difference.after:\n        return None\n", ""),
    ("refuse what no update can change", PLAN, "    _check_fixed(vendor, changes)\n", ""),
    (
        "refuse a key that does not come back",
        PLAN,
        "    if rows:\n        _check_given_back",
        "    if False:\n        _check_given_back",
    ),
    ("tell plans apart by what they change", PLAN, "self.match, self.before, self.after, self.along]", "self.match]"),
    (
        "have one digest for any order of the rows",
        PLAN,
        "sorted(change.digest for change in self.changes)",
        "[change.digest for change in self.changes]",
    ),
    # -- its guards
    (
        "not empty a calendar for want of rows",
        OPTIONS,
        "if count == 0 and self.delete_missing",
        "if False and self.delete_missing",
    ),
    ("bound the deletes", OPTIONS, 'len(plan.of("delete")), "deletes"', '0, "deletes"'),
    (
        "look at the size of a plan before the first write",
        RUN,
        "            self._options.check_plan(plan)\n        if not applies:",
        "            pass\n        if not applies:",
    ),
    ("write nothing in plan mode", RUN, "        if not applies:\n", "        if False:\n"),
    ("refuse two rows of one meeting", ROWS, "        if other != index:\n", "        if False:\n"),
    # -- approval
    ("ask before writing", RUN, "asks = bool(excess) or self._options.needs_approval(plan)", "asks = False"),
    ("know that a plan was approved above its limits", RUN, " and (known.anyway or not excess):", ":"),
    ("ask about deletes", OPTIONS, 'self.approval == "deletes" and bool(plan.of("delete"))', "False"),
    ("write nothing of a rejected plan", RUN, "        if self.resumed.rejected:\n", "        if False:\n"),
    ("carry out the approved plan only", APPROVAL, "return plan.digest == self.digest", "return True"),
    ("ask about what was not approved", APPROVAL, "return all(change.digest", "return True or all(change.digest"),
    ("go on with what is left of an approved plan", APPROVAL, "        if self.begun:\n", "        if False:\n"),
    ("remember that an approved plan is begun", RUN, "            self._approvals.save(begun)\n", ""),
    (
        "forget an approval that was carried out",
        RUN,
        "        self._approvals.forget()\n        counts =",
        "        counts =",
    ),
    (
        "believe an approval that is stored whole",
        APPROVAL,
        'if part is None or part["digest"] != document["digest"]:',
        "if part is None:",
    ),
    # -- what an earlier try has left
    ("settle the creates of a set first", TASK, "        if self._journal.creates:\n", "        if False:\n"),
    (
        "keep a create that cannot be settled",
        PREPARING,
        "        if not isinstance(result, MeetingsError):\n            del",
        "        if True:\n            del",
    ),
    ("wait for a create of a set in flight", PREPARING, "        yield from _wait_out(vendor, entry.until)\n", ""),
    (
        "take a row's own meeting only for its create",
        PREPARING,
        "    if not vendor.needs_presence_check:\n        return True",
        "    if True:\n        return True",
    ),
    ("wait for an update that would undo another", PREPARING, "        if until <= now:\n", "        if True:\n"),
    (
        "wait below Airflow 3.3",
        PREPARING,
        'if blind_retry and vendor.needs_presence_check and plan.of("create"):',
        "if False:",
    ),
    (
        "believe a remembered meeting that still matches",
        PREPARING,
        " or asked.matcher.key_of_stored(meeting) != row.key:",
        ":",
    ),
    ("refuse another version's journal", JOURNAL, 'check_version(document, _VERSION, "task\'s set")', "pass"),
    # -- its application
    (
        "write a batch ahead",
        APPLYING,
        "        yield from save(journal)\n        return batch\n",
        "        return batch\n",
    ),
    ("note the look-alikes of a create", APPLYING, "writer.scope.lookalikes(change.row.body) if", "frozenset() if"),
    ("keep the journal of a set short", APPLYING, "if batch and size > self.max_bytes:", "if False:"),
    (
        "delete in a stage of its own",
        APPLYING,
        'for stage in (self.plan.of("create", "update"), self.plan.of("delete")):',
        "for stage in (self.plan.changes,):",
    ),
    (
        "delete only where all before went well",
        APPLYING,
        "            if waiting or not applied.is_clean:\n",
        "            if waiting:\n",
    ),
    ("stop where nothing gets through", APPLYING, "while waiting and not applied.is_hopeless:", "while waiting:"),
    ("keep what may still arrive", APPLYING, 'if result.maybe_sent and result.verdict != "untried":', "if False:"),
    (
        "keep an update whose earlier send may arrive",
        APPLYING,
        "        elif not result.repeated:\n",
        "        else:\n",
    ),
    ("have new keys after a refusal", APPLYING, "            journal.generation += 1  #", "            pass  #"),
    ("write a journal once more before a late send", SENDING, "                yield from self.make_room()\n", ""),
    (
        "make a meeting that is gone again under a new key",
        WRITING,
        "            if not self._is_replay(meeting, guard):\n",
        "            if True:\n",
    ),
    ("tell another row's meeting from one's own", WRITING, "            self._check_identity(row, meeting)\n", ""),
    (
        "not send what would be stopped, too",
        WRITING,
        "                self.halt.error = error\n",
        "                pass\n",
    ),
    ("not let a refused row stop the others", OUTCOME, 'verdicts == {"failed"}', 'bool(verdicts - {"done"})'),
    (
        "have one key for all tries of a row",
        KEYS,
        "parts = [ti.dag_id, ti.run_id, ti.task_id]",
        "parts = [ti.dag_id, ti.run_id, ti.task_id, str(ti.try_number)]",
    ),
    ("have a key for each row", KEYS, "parts = [self.task, _digest(row.key)]", "parts = [self.task]"),
    (
        "have a key for each payload of a row",
        KEYS,
        "            parts.append(_digest(row.body))\n",
        "            pass\n",
    ),
    ("know the iteration of a loop", TASK, 'getattr(context.get("loop"), "index", None)', "None"),
    (
        "have keys for each iteration of a loop",
        KEYS,
        '            parts.append(f"loop-{iteration}")\n',
        "            pass\n",
    ),
)

SET_MUTATIONS = tuple(
    Mutation(f"set: {name}", file, old, new, PLANS if file == PLAN else SETS) for name, file, old, new in _CLAUSES
)
