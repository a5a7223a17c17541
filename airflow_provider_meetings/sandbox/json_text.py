"""Text as it arrives in JSON, where an escape can spell what no encoding can write."""

from typing import Annotated

from pydantic import AfterValidator


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain lone surrogates") from None
    return value


Text = Annotated[str, AfterValidator(_encodable)]
