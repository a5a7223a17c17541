"""The code blocks of the documentation: every fence of every page, wherever it stands in the page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
#: What is read beside the site.
BESIDE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

#: What DAG authors import, by module.
PUBLIC = {
    "airflow_provider_meetings.operators.meetings": {
        "CreateMeetingOperator",
        "UpdateMeetingOperator",
        "DeleteMeetingOperator",
        "GetMeetingOperator",
        "ListMeetingsOperator",
        "ListMeetingChangesOperator",
        "SyncMeetingsOperator",
    },
    "airflow_provider_meetings.sensors.meetings": {"MeetingsSensor"},
    "airflow_provider_meetings.triggers.meetings": {"MeetingsTrigger", "MeetingsEventTrigger"},
    "airflow_provider_meetings.assets": {"meetings_asset", "meeting_events", "meetings_uri"},
    "airflow_provider_meetings.hooks.meetings": {"MeetingsHook"},
    "airflow_provider_meetings.hooks.hiringcenter": {"HiringCenterHook"},
    "airflow_provider_meetings.hooks.builderprime": {"BuilderPrimeHook"},
    "airflow_provider_meetings.testing": {"MeetingsSandbox", "run_sandbox"},
    "airflow_provider_meetings.exceptions": {
        "MeetingsError",
        "MeetingsConfigurationError",
        "MeetingsAuthError",
        "MeetingsPermissionError",
        "MeetingNotFoundError",
        "MeetingConflictError",
        "MeetingValidationError",
        "MeetingsRateLimitError",
        "MeetingsRejectedError",
        "MeetingsServerError",
        "MeetingsTransportError",
        "MeetingsInDoubtError",
        "MeetingsProtocolError",
    },
}

_FILE = re.compile(r"# ([\w./-]+\.py)\n")
_TASK = re.compile(r"\b\w*(Operator|Sensor)\b(\.partial)?\(")
_DAG = re.compile(r"@dag\b|\bDAG\(")


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: Its file, below the root of the project.
        line: The line of its first character of code.
        language: What stands behind the backticks.
        text: The code.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.removeprefix('docs/')}:{self.line}-{self.kind}"

    @property
    def file(self) -> str:
        """The name that its first line gives it, in a comment; empty where there is none."""
        found = _FILE.match(self.text)
        return found[1] if found else ""

    @property
    def kind(self) -> str:
        """What is to be done with it: its language, or what part of a DAG or of a project it is."""
        if self.language != "python":
            return self.language or "none"
        if self.file:
            return "file"
        if _DAG.search(self.text):
            return "dag"
        return "task" if _TASK.search(self.text) else "python"


def pages() -> list[Path]:
    """Every page, in the order of their names."""
    return [*(ROOT / name for name in BESIDE if (ROOT / name).exists()), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page: fences of either kind, indented code, in lists and quotes as well."""
    name = page.relative_to(ROOT).as_posix()
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(page.read_text()):
        if token.type not in {"fence", "code_block"}:
            continue
        assert token.map is not None
        language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        yield Block(name, token.map[0] + (2 if token.type == "fence" else 1), language, token.content)


BLOCKS = [block for page in pages() for block in blocks(page)]


def of_kind(*kinds: str) -> list[Block]:
    """All blocks of some kinds."""
    return [block for block in BLOCKS if block.kind in kinds]


def each(*kinds: str) -> pytest.MarkDecorator:
    """Give a test each block of some kinds."""
    return pytest.mark.parametrize("block", of_kind(*kinds), ids=str)
