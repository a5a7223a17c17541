"""What differs between the Airflow versions that this provider runs on (2.11 to 3.3), in one place.

Imported when a DAG file is parsed: what is heavy is imported where it is used.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.triggers.base import BaseTrigger

__all__ = [
    "RETRY_POLICY",
    "aget_connection",
    "asset_history",
    "asset_state_store",
    "asset_stores",
    "can_ask",
    "event_trigger_class",
    "first_reschedule",
    "is_deferral_timeout",
    "mask_secret",
    "max_stored_bytes",
    "never_expire",
    "park_for_answer",
    "push_to_database",
    "scheduler_starts_triggers",
    "show_form",
    "shows_pages",
    "stores_links",
    "timer",
    "unguarded",
    "with_secrets",
    "xcom_of",
]


_T = TypeVar("_T")
_log = logging.getLogger(__name__)

# Seconds. As core.retry has it for every other wait, which this module stands below of.
_LONGEST_DELAY = 3600.0


async def aget_connection(conn_id: str) -> Any:
    """Look a connection up without blocking the event loop. ``BaseHook.aget_connection`` is there from 3.1 on."""
    from airflow.providers.common.compat.sdk import BaseHook  # noqa: PLC0415

    if hasattr(BaseHook, "aget_connection"):
        return await BaseHook.aget_connection(conn_id)
    from asgiref.sync import sync_to_async  # noqa: PLC0415 - only there where it is needed

    return await sync_to_async(BaseHook.get_connection)(conn_id)


async def with_secrets(read: Callable[[Any], _T], conn: Any) -> _T:
    """Call what reads a connection, and has its secrets masked, from the event loop.

    The triggerer of 3.0 learns of a secret by a call that is an error on the loop; reading the extras is one already.
    """
    from airflow.providers.common.compat.sdk import BaseHook  # noqa: PLC0415

    if hasattr(BaseHook, "aget_connection"):
        return read(conn)
    from asgiref.sync import sync_to_async  # noqa: PLC0415 - only there where it is needed

    return await sync_to_async(read)(conn)


def first_reschedule(context: Any, retries: int | None) -> Any:
    """Return when a sensor's task first freed its slot in this wait, or None. Airflow 2 has it in its database only."""
    ti = context.get("ti")
    if ti is None or hasattr(ti, "get_first_reschedule_date"):
        return ti and ti.get_first_reschedule_date(context)
    from airflow.sensors import base  # type: ignore[attr-defined,unused-ignore]  # noqa: PLC0415

    names = {name: getattr(ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
    # As Airflow 2 counts: a clear starts a new wait, a retry does not.
    return base._orig_start_date(**names, try_number=(ti.max_tries or 0) - (retries or 0) + 1)  # noqa: SLF001


def is_deferral_timeout(error: BaseException) -> bool:
    """Whether this is what Airflow raises in a task that is resumed because its time in the triggerer is over."""
    for module in ("airflow.sdk.exceptions", "airflow.exceptions"):  # 3.2+, 3.0 and 3.1
        try:
            return isinstance(error, import_module(module).TaskDeferralTimeout)
        except (ImportError, AttributeError):
            continue
    # Airflow 2 raises what it raises when a trigger has failed; only the text says which of the two it was.
    is_deferral = isinstance(error, import_module("airflow.exceptions").TaskDeferralError)
    return is_deferral and str(error) == "Trigger/execution timeout"


def scheduler_starts_triggers() -> bool:
    """Whether a task can start in the triggerer: 2.11 can, 3.1 and 3.2 have it switched off, 3.3 can again.

    3.0 has the code of 2.11, half moved to the task SDK; tasks start on a worker there as well.
    """
    from airflow import __version__  # noqa: PLC0415

    version = tuple(int(part) for part in __version__.split(".")[:2])
    return version < (3, 0) or version >= (3, 3)


def mask_secret(secret: str) -> None:
    """Have Airflow put stars in the place of a secret wherever it is logged; older Airflows keep this elsewhere."""
    for module in ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker"):  # 3.1+, 3.0
        try:
            mask = import_module(module).mask_secret
        except (ImportError, AttributeError):
            continue
        mask(secret)
        return
    import_module("airflow.utils.log.secrets_masker").mask_secret(secret)


def never_expire() -> timedelta | None:
    """Return the retention under which the task state store (3.3+) keeps a value as long as the DAG run."""
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE  # noqa: PLC0415
    except ImportError:
        return None
    return NEVER_EXPIRE


def max_stored_bytes() -> int:
    """Return how long a value of the task state store (3.3+) may be, as JSON."""
    from airflow.providers.common.compat.sdk import conf  # noqa: PLC0415

    limit = conf.getint("state_store", "max_value_storage_bytes", fallback=_DEFAULT_STORED_BYTES)
    return limit if limit > 0 else _UNLIMITED_BYTES


# Airflow's default; and what is enough where there is no limit.
_DEFAULT_STORED_BYTES = 65_535
_UNLIMITED_BYTES = 1_000_000


def timer(seconds: float) -> BaseTrigger:
    """Return a trigger that fires after that many seconds. It moved to the standard provider in Airflow 3."""
    try:
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger  # noqa: PLC0415
    except ImportError:
        from airflow.triggers.temporal import (  # type: ignore[import-not-found,no-redef]  # noqa: PLC0415
            TimeDeltaTrigger,
        )
    return TimeDeltaTrigger(timedelta(seconds=seconds))


def unguarded(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return an ``execute`` of a base class of Airflow's without its guard.

    Airflow 2 takes a subclass's call of it for one from outside a task: it warns, or refuses where
    ``allow_nested_operators`` is false.
    """
    plain: Callable[..., Any] = getattr(execute, "__wrapped__", execute)
    return plain


def can_ask() -> bool:
    """Whether a task can ask a person: required actions came with 3.1."""
    try:
        import_module("airflow.sdk.execution_time.hitl")
        import_module("airflow.providers.standard.triggers.hitl")
    except ImportError:
        return False
    return True


def _awaiting_input() -> Any:
    """Return what parks a task in a state of its own (3.3+); None: there is none."""
    return getattr(import_module("airflow.sdk.exceptions"), "TaskAwaitingInput", None)


def park_for_answer(
    operator: Any,
    ti_id: Any,
    *,
    form: Mapping[str, Any],
    method_name: str,
    kwargs: dict[str, Any],
    timeout: timedelta | None = None,
    answered: bool = False,
) -> NoReturn:
    """Free the worker until a form that :func:`show_form` has shown is answered, or the time for that is over.

    From 3.3 on the task has a state of its own for that; before, a trigger of the standard provider looks for answers.

    Args:
        operator: The operator that is running.
        ti_id: The task instance's id.
        form: What was shown.
        method_name: The operator's method that goes on.
        kwargs: What it gets besides ``event``.
        timeout: How long a person has time; None: for ever.
        answered: The answer may be there already. Only the trigger looks for such a one.
    """
    waiting = _awaiting_input()
    if waiting is not None and not answered:
        raise waiting(method_name=method_name, kwargs=kwargs, timeout=timeout)
    from airflow.providers.standard.triggers.hitl import HITLTrigger  # noqa: PLC0415

    until = None if timeout is None else datetime.now(UTC) + timeout
    asked = {name: form[name] for name in ("options", "defaults", "multiple", "params")}
    operator.defer(
        trigger=HITLTrigger(ti_id=ti_id, timeout_datetime=until, **asked), method_name=method_name, kwargs=kwargs
    )
    raise AssertionError("defer does not return")


def show_form(ti_id: Any, form: Mapping[str, Any], *, first: bool) -> Mapping[str, Any]:
    """Show a form as a required action, and return what people see by it.

    Airflow (3.1 to 3.3) keeps the form that a task instance has shown first: a later one, of another try or after a
    clear, takes away the answer to it, and changes no word of it.

    Args:
        ti_id: The task instance's id.
        form: ``subject``, ``body``, ``options`` and the rest that Airflow's ``upsert_hitl_detail`` takes.
        first: It is the task instance's first try, which can have shown no other.
    """
    from airflow.sdk.execution_time import comms, hitl, task_runner  # noqa: PLC0415

    supervisor = None if first else getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None:
        hitl.upsert_hitl_detail(ti_id=ti_id, **form)
        return form
    # As upsert_hitl_detail does, which keeps the supervisor's reply to itself; that tells what is shown.
    reply = supervisor.send(msg=comms.CreateHITLDetailPayload(ti_id=ti_id, assigned_users=[], **form))
    return {name: getattr(reply, name, form[name]) for name in form}


def stores_links() -> bool:
    """Whether Airflow asks for a task's links when it ends, on the worker (3.0+), not when a user looks at them."""
    from airflow.providers.common.compat.sdk import BaseOperatorLink  # noqa: PLC0415

    return hasattr(BaseOperatorLink, "xcom_key")


def xcom_of(ti_key: Any, key: str) -> Any:
    """Read what a task instance has pushed, in the webserver of Airflow 2; None: nothing."""
    from airflow.providers.common.compat.sdk import XCom  # noqa: PLC0415

    return XCom.get_value(ti_key=ti_key, key=key)


def shows_pages() -> bool:
    """Whether Airflow's UI shows the Meetings pages: from 3.1 on, unless ``[meetings] ui`` says otherwise."""
    from airflow import __version__  # noqa: PLC0415
    from airflow.providers.common.compat.sdk import conf  # noqa: PLC0415

    version = tuple(int(part) for part in __version__.split(".")[:2])
    return version >= (3, 1) and conf.getboolean("meetings", "ui", fallback=True)


def push_to_database(ti: Any, key: str, value: Any) -> None:
    """Push plain JSON to XCom so that it is in Airflow's own database, whatever the XCom backend: the pages read that.

    Airflow stores the links of operators this way.
    """
    from airflow.providers.common.compat.sdk import XCom  # noqa: PLC0415

    store = getattr(XCom, "_set_xcom_in_db", None)
    if store is None or not type(ti).__module__.startswith("airflow.sdk."):
        ti.xcom_push(key=key, value=value)
        return
    names = {name: getattr(ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
    store(key=key, value=value, **names)


def event_trigger_class() -> tuple[type[BaseTrigger], bool]:
    """Return the base of triggers that watch assets, and whether there is one: ``BaseEventTrigger`` came with 3.0."""
    try:
        from airflow.triggers.base import BaseEventTrigger  # noqa: PLC0415
    except ImportError:
        from airflow.triggers.base import BaseTrigger  # noqa: PLC0415

        return BaseTrigger, False
    return BaseEventTrigger, True


def asset_stores(trigger: Any) -> list[Any]:
    """Return the state stores (3.3+) of the assets that a trigger watches, always in the same order; none before."""
    accessors = getattr(trigger, "asset_state_store", None)
    if accessors is None:
        return []
    # One trigger may watch several assets, and only the accessors know which they are.
    by_name = getattr(accessors, "_by_name", {}) | getattr(accessors, "_by_uri", {})
    return [by_name[name] for name in sorted(by_name)] or [accessors]


def asset_state_store(name: str, uri: str) -> Any:
    """Return an asset's state store (3.3+), in a task; None before."""
    try:
        from airflow.sdk.execution_time.context import AssetStateStoreAccessor  # noqa: PLC0415
    except ImportError:
        return None
    return AssetStateStoreAccessor(name=name) if name else AssetStateStoreAccessor(uri=uri)


def asset_history(name: str, uri: str, before: Any, limit: int) -> list[Any] | None:
    """Return the last events of an asset before a moment, as Airflow stored them, latest first.

    None where Airflow cannot be asked that way: before 3.2, outside of a task, or while one of these events has started
    a run that has not begun (Airflow's answer is then an error 500, whichever DAG the run is of).
    """
    try:
        from airflow.sdk.execution_time.context import InletEventsAccessor  # noqa: PLC0415
    except ImportError:
        return None
    try:
        events = InletEventsAccessor(asset_name=name, asset_uri=uri)
        return list(events.before(before.isoformat()).ascending(ascending=False).limit(limit))
    except Exception as error:  # noqa: BLE001 - a run without its events helps nobody
        _log.warning("Airflow cannot tell the earlier events of %s: %s", uri, error)
        return None


#: The policy that an operator has unless its author gives another one. None before Airflow 3.3: there a task's own
#: ``retry_delay`` is all there is.
RETRY_POLICY: Any = None

try:  # Airflow 3.3+
    from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy
except ImportError:
    pass
else:

    class ServerDelay(RetryPolicy):
        """A retry that happens anyway happens when the vendor takes requests again, not before."""

        def evaluate(
            self,
            exception: BaseException,
            try_number: int,  # noqa: ARG002 - Airflow's signature
            max_tries: int,  # noqa: ARG002
            context: Any = None,  # noqa: ARG002
        ) -> RetryDecision:
            """Take the delay that the vendor asked for, where it asked; never more than its longest window."""
            seconds = getattr(exception, "retry_after", None)
            if not seconds:
                return RetryDecision.default()
            delay = timedelta(seconds=min(max(0.0, seconds), _LONGEST_DELAY))
            return RetryDecision.retry(delay, "the vendor said when to come back")

        def __repr__(self) -> str:
            return "ServerDelay()"

    RETRY_POLICY = ServerDelay()
