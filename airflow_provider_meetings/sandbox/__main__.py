"""``python -m airflow_provider_meetings.sandbox``."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from .server import serve
from .settings import Options, Settings


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_meetings.sandbox",
        description="HiringCenter's and Builder Prime's meetings APIs on this machine, over SQLite.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8077, help="0 takes a free port (default: %(default)s)")
    parser.add_argument("--db", type=Path, help="SQLite file, kept between starts (default: in a temporary folder)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same data (default: %(default)s)")
    parser.add_argument("--meetings", type=int, default=60, help="seeded meetings for each API (default: %(default)s)")
    parser.add_argument(
        "--days", type=int, default=14, help="days from that week's Monday that have meetings (default: %(default)s)"
    )
    parser.add_argument(
        "--now", type=_moment, help="the day whose week the seed starts with, ISO 8601 (default: today)"
    )
    parser.add_argument("--control", action="store_true", help="serve the control API under /_control")
    parser.add_argument("--ready-file", type=Path, help="write addresses and keys here, as JSON, once it listens")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input, a pipe, is closed")
    behaviour = parser.add_argument_group("behaviour that the vendors' pages leave open, or their figures")
    for name, field in Options.model_fields.items():
        default = field.get_default(call_default_factory=True)
        flag = f"--{name.replace('_', '-')}"
        help_text = f"{field.description} (default: {default})"
        if isinstance(default, list):
            behaviour.add_argument(flag, type=lambda text: text.split(","), default=default, help=help_text)
        elif isinstance(default, bool):
            behaviour.add_argument(flag, type=_boolean, metavar="{true,false}", default=default, help=help_text)
        else:
            choices = get_args(field.annotation) or None
            behaviour.add_argument(flag, type=type(default), choices=choices, default=default, help=help_text)
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    options = Options.model_validate({name: given.pop(name) for name in Options.model_fields})
    given["now"] = given["now"] or datetime.now(UTC)
    return Settings(**given, options=options)


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main() -> None:
    """Serve until a signal stops it."""
    serve(parse())


if __name__ == "__main__":
    main()
