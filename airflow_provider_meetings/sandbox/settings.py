"""What a user of the sandbox can choose: where it listens, what it stores, and what the vendors' pages leave open."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

UpdateMethod = Literal["POST", "PUT", "PATCH"]


class Options(BaseModel):
    """What the vendors' pages leave open, or give as a figure; all of it can change while the server runs."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    bounds: Literal["inclusive", "exclusive", "half-open"] = Field(
        default="inclusive",
        description="whether a list's date bounds include the bound itself (both vendors; not documented)",
    )
    envelope: Literal["current", "older"] = Field(
        default="current",
        description="HiringCenter's envelopes: items and pagination, or the older revision's top level",
    )
    tokens: Literal["offset", "keyset"] = Field(
        default="offset",
        description="HiringCenter's page tokens: offsets shift when meetings come and go, keysets do not",
    )
    next_page: Literal["pagination", "top-level"] = Field(
        default="pagination",
        description="where HiringCenter's nextPageToken stands; the older envelope has it at the top level anyway",
    )
    last_page: Literal["null", "absent", "empty"] = Field(
        default="null", description="nextPageToken of HiringCenter's last page: null, left out, or an empty string"
    )
    total_count: bool = Field(default=True, description="whether HiringCenter's pagination has totalCount")
    ratelimit_headers: bool = Field(default=True, description="whether HiringCenter sends its RateLimit headers")
    ratelimit_reset: Literal["delta", "timestamp"] = Field(
        default="delta", description="RateLimit-Reset as seconds from now, or as a Unix timestamp (older revision)"
    )
    rate_limit_per_minute: int = Field(
        default=500,
        ge=1,
        description="HiringCenter requests a minute for each key; other revisions of the page: 1200, 300",
    )
    rate_limit_per_hour: int = Field(
        default=10_000,
        ge=1,
        description="HiringCenter requests an hour for each key; other revisions of the page: 5400, 6000",
    )
    page_cap: int = Field(
        default=0, ge=0, description="HiringCenter never returns more items a page than this; 0 means no cap"
    )
    replay_header: str = Field(
        default="Idempotency-Replayed",
        pattern=r"^[A-Za-z0-9-]*$",
        description="the header by which HiringCenter tells a replayed response from a first one (its real name is not "
        "known); empty: none",
    )
    builderprime_missing: Literal["errors", "error-code", "errors-400", "errors-200"] = Field(
        default="errors",
        description="how Builder Prime answers for an id that it does not have (not documented): errors: 404 with "
        "success false; error-code: 404 with errorCode and errorMessage and without success, as for an unknown "
        "address; errors-400 and errors-200: success false with that status",
    )
    builderprime_wrong_shape: Literal[400, 500] = Field(
        default=400, description="status with which Builder Prime refuses to create a meeting of a wrong shape"
    )
    builderprime_order: Literal["start", "start-desc", "id", "unstable", "random"] = Field(
        default="start",
        description="order of a Builder Prime list (not documented); unstable: equal starts in any order, another each "
        "time; random: no order at all",
    )
    listed: Literal["bare", "minimal", "rich"] = Field(
        default="minimal",
        description="fields of a Builder Prime meeting: bare: the documented names only; minimal: with endDateTime, "
        "employeeId and isMeetingCancelled, as public clients see them; rich: with type, result and reminders",
    )
    update_methods: list[UpdateMethod] = Field(
        default=["POST", "PUT", "PATCH"], description="methods that update a HiringCenter meeting"
    )
    idempotency_window: int = Field(
        default=86_400, ge=0, description="seconds that HiringCenter remembers an idempotency key"
    )
    latency: float = Field(default=0.0, ge=0, description="seconds that the server works on every request")
    clock_offset: float = Field(
        default=0.0,
        ge=-86_400 * 366,
        le=86_400 * 366,
        description="seconds by which the vendors' clock is ahead of this machine's; below 0 it is behind",
    )


@dataclass
class Settings:
    """Where the server listens and what it starts from; ``options`` holds what can change later."""

    host: str = "127.0.0.1"
    port: int = 8077
    db: Path | None = None
    seed: int = 1
    meetings: int = 60
    days: int = 14
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    control: bool = False
    ready_file: Path | None = None
    watch_stdin: bool = False
    options: Options = field(default_factory=Options)
