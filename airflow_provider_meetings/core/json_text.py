"""JSON that every reader takes: UTF-8, compact, and no value that JSON does not have; and reading what vendors send."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

__all__ = ["damage_of", "from_json", "to_json", "whole_text"]

try:  # Airflow 3 brings it along; it takes a tenth of the time to write and half of it to read
    import msgspec
except ImportError:
    _fast: Callable[[Any], bytes] | None = None
    _fast_read: Callable[[bytes], Any] | None = None
else:
    _fast = msgspec.json.Encoder().encode
    _fast_read = msgspec.json.Decoder().decode


def from_json(text: bytes) -> Any:
    """Read JSON into values that can be written as JSON again.

    Half of a surrogate pair (an emoji that was cut in two) becomes U+FFFD. A number that is too large for a float
    becomes None, as it does where JSON is written.

    Raises:
        ValueError: It is no JSON. RFC 8259 has no NaN, no Infinity, and no encoding but UTF-8; UTF-16 and UTF-32, which
            older standards had, and a byte order mark are understood.
        RecursionError: It is nested too deeply.
    """
    if _fast_read is not None:
        try:
            return _fast_read(text)
        except (ValueError, RecursionError):
            pass  # what the fast one does not take, the other one may
    try:
        decoded = text.decode(json.detect_encoding(text))
        halves = bool(_ESCAPED_HALF.search(decoded))
    except UnicodeDecodeError:
        decoded, halves = text.decode("utf-8", "surrogatepass"), True  # some servers encode each half by itself
    # json.loads builds a new decoder for each call that passes a hook.
    value = _decoder.decode(decoded)
    return _representable(value) if halves else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


# Python reads no more digits than this into a whole number; a float ends long before.
_LONGEST_NUMBER = 4300
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)


def damage_of(text: bytes) -> str:
    """Say where something that looks like a JSON object is broken; blank: it is not, or looks like something else."""
    if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return ""
    try:
        from_json(text)
    except UnicodeDecodeError as error:
        return f"byte {error.start} (0x{error.object[error.start]:02x}) of {len(text)} is not {error.encoding.upper()}"
    except json.JSONDecodeError as error:
        return f"the JSON breaks at character {error.pos} of {len(text)} bytes: {error.msg}"
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def to_json(value: Any) -> bytes:
    """Return a value as compact JSON in UTF-8, without a line break in it.

    Half of a surrogate pair becomes U+FFFD. Infinity and NaN, which JSON does not have, become ``null``.

    Raises:
        TypeError: Something in it is no JSON value.
    """
    if _fast is not None:
        try:
            return _fast(value)
        except UnicodeEncodeError:
            pass
    return json.dumps(_representable(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def whole_text(text: str) -> str:
    """Return a text that has a UTF-8 form: half of a surrogate pair becomes U+FFFD, two halves become a character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _representable(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {whole_text(str(name)): _representable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_representable(part) for part in value]
    return value
