"""The idempotency key of a row's create: the same for each try of the same row in the same task instance."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_meetings.exactly_once.journal import header_safe
from airflow_provider_meetings.sets.rows import Row

__all__ = ["RowKeys"]


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Makes the keys of a task instance's rows.

    Attributes:
        task: What identifies the task instance: dag, run, task, and more where it is one of several.
        with_body: The payload is part of the key, so that one that changes is not taken for a misused key. Only where
            a journal remembers the keys that were sent: without one, another key could make a second meeting.
    """

    task: str
    with_body: bool

    @classmethod
    def of_task(cls, ti: Any, *, durable: bool, iteration: Any = None) -> RowKeys:
        """Make the keys of a task instance. Never of ``ti.id``, which is new for each try, nor of the try's number.

        Args:
            ti: The task instance; None: the operator is called by hand, and each call is a task of its own.
            durable: Whether a journal remembers the keys that were sent.
            iteration: The iteration of a loop (Airflow 3.4), which is a task of its own. None: it is in no loop.
        """
        if ti is None:
            return cls(str(uuid.uuid4()), with_body=True)
        parts = [ti.dag_id, ti.run_id, ti.task_id]
        map_index = getattr(ti, "map_index", -1)
        if map_index not in {None, -1}:
            parts.append(str(map_index))
        if iteration is not None:
            parts.append(f"loop-{iteration}")
        return cls("/".join(parts), with_body=durable)

    def key(self, row: Row, generation: int) -> str:
        """Return the key of a row's create: at most 512 printable ASCII characters."""
        parts = [self.task, _digest(row.key)]
        if self.with_body:
            parts.append(_digest(row.body))
        if generation > 1:
            parts.append(str(generation))
        return header_safe("/".join(parts))


def _digest(value: tuple[str, ...] | Mapping[str, Any]) -> str:
    """Return a fingerprint that is short, and long enough for the rows of one task instance."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
