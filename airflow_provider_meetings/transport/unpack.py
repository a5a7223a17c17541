"""Decodes a response's ``Content-Encoding``, in pieces, so that a server can exhaust neither memory nor time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["UnpackError", "Unpacker", "make_unpacker"]

#: Bytes that are unpacked at once.
PIECE = 1 << 20
# What each member of gzip begins with.
_GZIP = 0x1F
_UNDERSTOOD = {"gzip", "x-gzip", "deflate"}
# Encodings that were not requested. What else servers write there (utf-8, none, binary, identity) is no encoding.
_FOREIGN = {"br", "zstd", "compress", "x-compress", "bzip2", "lzma", "xz", "exi", "pack200-gzip", "dcb", "dcz"}


class UnpackError(Exception):
    """The body is not encoded as its header says."""


class Unpacker:
    """Unpacks gzip and deflate.

    Args:
        encoding: ``gzip``, ``x-gzip`` or ``deflate``.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._unpacker: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk, of a byte at least, unpacks to; a megabyte at a time.

        Raises:
            UnpackError: It is not packed that way.
        """
        data = chunk
        while True:
            unpacker = self._unpacker
            if unpacker is not None and unpacker.eof and (self._encoding == "deflate" or data[0] != _GZIP):
                return  # what some servers fill up with, as zeros, is no more data
            if unpacker is None or unpacker.eof:  # gzip may have several members
                # 47: gzip or zlib, by the first byte; what begins as neither is the bare deflate that some servers send
                bare = self._encoding == "deflate" and data[0] & 0x0F != zlib.DEFLATED
                unpacker = self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS if bare else 47)
            try:
                piece = unpacker.decompress(data, PIECE)
            except zlib.error as error:
                raise UnpackError(f"the response is not valid {self._encoding}") from error
            yield piece
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if not data and (unpacker.eof or len(piece) < PIECE):
                return

    def finish(self) -> None:
        """Take note that no more comes.

        Raises:
            UnpackError: Something is missing.
        """
        if self._unpacker is not None and not self._unpacker.eof:
            raise UnpackError(f"the {self._encoding} data of the response is truncated")


def make_unpacker(content_encoding: str) -> Unpacker | None:
    """Make what unpacks a body; None: nothing has to be done to it.

    Args:
        content_encoding: The header, blank where there is none.

    Raises:
        UnpackError: Its encoding was not requested, or there are several.
    """
    if not content_encoding:
        return None
    encodings = [name.strip().lower() for name in content_encoding.split(",")]
    # A header that somebody on the way has repeated is packed once.
    packed = list(dict.fromkeys(name for name in encodings if name in _UNDERSTOOD | _FOREIGN))
    if not packed:
        return None
    if len(packed) > 1 or packed[0] in _FOREIGN:
        raise UnpackError(f"the response has a content encoding that was not requested: {', '.join(packed)}")
    return Unpacker(packed[0])
