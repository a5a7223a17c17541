"""What must not be shared with a child process: sockets, and locks that a thread of the parent may hold for ever."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forgetful", "forget_in_children"]


class Forgetful(Protocol):
    """What a child process has to begin anew with."""

    def forget(self) -> None:
        """Replace what belongs to the parent, without touching it."""


_objects: WeakSet[Forgetful] = WeakSet()


def forget_in_children(one: Forgetful) -> None:
    """Have an object forget in each child, before anything else runs there, for as long as the object lives."""
    _objects.add(one)


def _forget_all() -> None:
    for one in list(_objects):
        one.forget()


os.register_at_fork(after_in_child=_forget_all)
