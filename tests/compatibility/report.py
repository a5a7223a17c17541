"""What came of it: the table on the terminal, and the one in the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.tables import table
from tests.compatibility.plan import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.compatibility.trial import Trial

DOCUMENT = ROOT / "docs" / "compatibility.md"
_BEGIN, _END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


def matrix(trials: Sequence[Trial]) -> str:
    """The table as text, a line for each step."""
    rows = [
        (trial.version.name, step.name, "ok" if step.ok else "FAILED", f"{step.seconds:.0f} s", step.told)
        for trial in trials
        for step in trial.steps
    ]
    rows += [
        (trial.version.name, "all", "ok" if trial.ok else "FAILED", f"{trial.seconds:.0f} s", "") for trial in trials
    ]
    return table(("Airflow", "step", "", "took", "what came out"), rows)


def write_table(trials: Sequence[Trial], commit: str) -> None:
    """Renew the table in the docs, a column for each version."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    names = [step.name for step in trials[0].steps]
    minutes = round(sum(trial.seconds for trial in trials) / 60)
    lines = [
        "| Airflow | " + " | ".join(trial.airflow for trial in trials) + " |",
        "| --- |" + " --- |" * len(trials),
    ]
    notes: list[str] = []
    for name in names:
        if name == "install":
            lines.append("| installs, and `pip check` |" + " ok |" * len(trials))
            continue
        told = [next(step.told for step in trial.steps if step.name == name) for trial in trials]
        lines.append(f"| {name} | " + " | ".join(_with_note(text, notes) for text in told) + " |")
    lines += ["", f"Run on commit `{commit[:12]}`, {minutes} minutes in all; each step of each version went well.", ""]
    lines += [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    DOCUMENT.write_text(f"{before}{_BEGIN}\n{chr(10).join(lines).rstrip()}\n{_END}{after}", encoding="utf-8")


def _with_note(told: str, notes: list[str]) -> str:
    """What stands in a cell: what is in brackets goes below the table."""
    short, _, note = told.partition(" (")
    if not note:
        return told
    note = note.removesuffix(")")
    if note not in notes:
        notes.append(note)
    return f"{short} ({notes.index(note) + 1})"
