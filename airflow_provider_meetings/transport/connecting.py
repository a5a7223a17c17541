"""Opening a socket within a given time, whatever the name server does and whichever of a host's addresses are dead.

In the manner of Happy Eyeballs (RFC 8305), as ``aiohttp`` does it in the triggerer: the addresses of both families take
turns, each gets a quarter of a second before the next one is tried beside it, and the first that answers is taken.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

__all__ = ["open_socket", "resolve"]

#: Seconds that an address has for itself.
STAGGER = 0.25

# What socket.getaddrinfo returns, one a row.
_Address: TypeAlias = tuple[Any, Any, int, str, Any]
_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}


def open_socket(host: str, port: int, due: float, options: Iterable[tuple[int, int, int]] = ()) -> socket.socket:
    """Connect to a host; the socket that comes back blocks.

    Args:
        host: A name or an address.
        port: The TCP port.
        due: When it has to be done, by the monotonic clock.
        options: Set on the socket before it connects.

    Raises:
        socket.gaierror: The name cannot be resolved.
        TimeoutError: The time was up, in the look-up or in connecting.
        OSError: No address takes the connection; the error of the last one.
    """
    waiting = iter(_by_turns(resolve(host, port, due)))
    following = next(waiting, None)
    failure: OSError | None = None
    start_next = time.monotonic()
    with contextlib.ExitStack() as losers, selectors.DefaultSelector() as selector:
        while following is not None or selector.get_map():
            now = time.monotonic()
            if now >= due:
                raise TimeoutError(f"no address of {host} took the connection in time")
            if following is not None and (now >= start_next or not selector.get_map()):
                try:
                    sock = _begin(following, options)
                except OSError as error:
                    failure = error  # the next one need not wait
                else:
                    losers.callback(sock.close)
                    selector.register(sock, selectors.EVENT_WRITE)
                    start_next = now + STAGGER
                following = next(waiting, None)
                continue
            until = due if following is None else min(due, start_next)
            for key, _ in selector.select(None if until == float("inf") else until - now):
                sock = key.fileobj  # type: ignore[assignment]
                selector.unregister(sock)
                if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    failure, start_next = OSError(code, os.strerror(code)), now  # likewise
                    continue
                won = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
                won.setblocking(True)  # noqa: FBT003 - socket's own signature
                return won
    raise failure or OSError(f"{host} has no address")


def resolve(host: str, port: int, due: float) -> Sequence[_Address]:
    """Look a name up. The system's look-up cannot be interrupted: past the time, a thread is left to its end.

    Raises:
        socket.gaierror: The name cannot be resolved.
        TimeoutError: The time was up.
    """
    host = host.strip("[]")
    version = _version(host)
    if version == 4:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))]
    if version == 6:  # which may name an interface
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    found: queue.SimpleQueue[Sequence[_Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            found.put(error)

    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    try:
        result = found.get(timeout=max(0.0, due - time.monotonic()))
    except queue.Empty:
        raise TimeoutError(f"the name server did not answer for {host} in time") from None
    if isinstance(result, Exception):
        raise result
    return result


def _version(host: str) -> int | None:
    """Return the version of an IP address; None: it is a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _by_turns(addresses: Sequence[_Address]) -> list[_Address]:
    """Put the families in turns, beginning with the one that the system prefers."""
    families: dict[Any, list[_Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


def _begin(address: _Address, options: Iterable[tuple[int, int, int]]) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.setblocking(False)  # noqa: FBT003 - socket's own signature
        code = sock.connect_ex(where)
        if code not in _UNDER_WAY:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock
