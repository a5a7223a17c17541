"""Meetings as assets: their addresses, and what a DAG that is scheduled by them reads its events with.

Airflow imports this module wherever a DAG file makes an asset, of whatever kind: it must stay light.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Asset

__all__ = ["check_uri", "meeting_events", "meetings_asset", "meetings_uri", "to_openlineage_dataset"]

SCHEME = "meetings"

# As Airflow has it.
_CONNECTION = re.compile(r"[\w#!()\-.:/\\]+")
_VIEW = re.compile(r"(/[A-Za-z0-9._~-]+)*", re.ASCII)
_EXAMPLE = f"an address of meetings is {SCHEME}://<connection id>, or {SCHEME}://<connection id>/<a name of yours>"
#: How many of an asset's last events are looked through for the original of a repeat. The trigger fires no more than
#: fifty before it knows that they are stored, so a repeat is never much farther away from its original.
_HISTORY = 500
#: The key in an asset's state store under which runs leave what they have received: Airflow does not tell a trigger.
RECEIPTS = "meetings/received"
#: Ids that are kept of each DAG: the latest.
_KEPT = 100


def meetings_uri(meetings_conn_id: str, view: str | None = None) -> str:
    """Return the address of a connection's meetings, or of some of them under a name.

    Args:
        meetings_conn_id: The connection.
        view: A name for some of its meetings, of letters, digits and ``. _ ~ -``, in parts with ``/`` between them.

    Raises:
        ValueError: One of the two cannot be part of an address.
    """
    path = f"/{view.strip('/')}" if view else "/"
    return check_uri(SplitResult(SCHEME, quote(meetings_conn_id, safe=""), path, "", "")).geturl()


def check_uri(uri: SplitResult) -> SplitResult:
    """Check an address of the scheme ``meetings``, and return it in the one way to write it; for Airflow.

    Raises:
        ValueError: It is not the address of a connection's meetings.
    """
    problem = ""
    if not uri.netloc or not unquote(uri.netloc).strip():
        problem = "there is no connection in it"
    elif "@" in uri.netloc:
        problem = "user and password belong into the connection, not into an address"
    elif not _CONNECTION.fullmatch(unquote(uri.netloc)):
        problem = f"{unquote(uri.netloc)!r} cannot be the id of a connection"
    elif uri.query or uri.fragment:
        problem = "the filters belong into the trigger; give what they leave a name in the path"
    elif not _VIEW.fullmatch(uri.path.rstrip("/")):
        problem = f"{uri.path!r} is not a name of letters, digits and . _ ~ -"
    if problem:
        raise ValueError(f"{uri.geturl()!r}: {problem}; {_EXAMPLE}.")
    return uri._replace(netloc=quote(unquote(uri.netloc), safe=""), path=uri.path.rstrip("/") or "/")


def to_openlineage_dataset(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - the provider's signature
    """Return an asset of meetings as an OpenLineage dataset; for the provider of OpenLineage.

    The namespace is ``meetings://<connection id>``, the name that of the view, or ``/`` for all meetings.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - light, see above

    uri = check_uri(urlsplit(asset.uri))
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.strip("/") or "/")


def meetings_asset(meetings_conn_id: str, view: str | None = None, *, trigger: Any = None, **kwargs: Any) -> Asset:
    """Return the asset of a connection's meetings: an outlet for who writes them, and a schedule for who reacts.

    Args:
        meetings_conn_id: The connection.
        view: A name for some of its meetings; assets that are watched for different things need different ones.
        trigger: A :class:`~airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger` (Airflow 3) that watches
            it: a DAG that is scheduled by the asset then runs by itself.
        kwargs: Further arguments of Airflow's ``Asset``: ``name``, ``group``, ``extra``.

    Raises:
        ValueError: The address would not be one.
        MeetingsConfigurationError: The trigger watches another connection.
    """
    from airflow.providers.common.compat.sdk import Asset  # noqa: PLC0415 - light, see above

    uri = meetings_uri(meetings_conn_id, view)
    if trigger is not None:
        from airflow.sdk import AssetWatcher  # noqa: PLC0415 - likewise

        if trigger.meetings_conn_id != meetings_conn_id:
            from airflow_provider_meetings.exceptions import MeetingsConfigurationError  # noqa: PLC0415 - likewise

            raise MeetingsConfigurationError(
                f"The asset is of connection {meetings_conn_id!r}, its trigger watches {trigger.meetings_conn_id!r}."
            )
        kwargs["watchers"] = [AssetWatcher(name=uri, trigger=trigger)]
    return Asset(uri=uri, **kwargs)


def meeting_events(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what happened to the meetings whose assets have started this run: oldest first, and nothing twice.

    Several events may start one run, and an event may arrive again, in the same run or in another one. What belongs to
    this run is told by the asset's own history: a repeat is an event whose id an earlier one has that has started
    another run of this DAG. So each event belongs to one run, and that run gets it as often as it asks, in each try and
    after a clear. Airflow below 3.2 cannot be asked that way; there, nothing is repeated but what says so itself.

    Args:
        context: The task's context.

    Returns:
        The payloads as :class:`~airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger` describes them.
        Nothing for a run that was started by hand, and nothing of events that have another source.
    """
    from airflow_provider_meetings.version_compat import asset_history  # noqa: PLC0415 - light, see above

    run = context.get("dag_run")
    own = (getattr(run, "dag_id", None), getattr(run, "run_id", None))
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    triggering = context.get("triggering_asset_events") or {}
    for asset in triggering:
        told = [
            (event.timestamp, event_id, payload)
            for event in triggering[asset]
            for event_id, payload in _told(event)
            if not payload.get("repeat")  # it takes others along into this run; its original has a run, this or another
        ]
        _acknowledge(asset, own[0], [event_id for event in triggering[asset] for event_id, _ in _told(event)])
        if not told:
            continue
        old: set[str] = set()
        for event in asset_history(asset.name, asset.uri, max(one[0] for one in told), _HISTORY + len(told)):
            runs = {(one.dag_id, one.run_id) for one in event.created_dagruns}
            if any(dag_id == own[0] and run_id != own[1] for dag_id, run_id in runs):
                old |= {event_id for event_id, _ in _told(event) if _is_earlier(event, event_id, told)}
        for moment, event_id, payload in sorted(told, key=lambda one: one[0]):
            if event_id not in old:
                found.setdefault(event_id, (moment, payload))
    return [payload for _, payload in sorted(found.values(), key=lambda one: one[0])]


def _acknowledge(asset: Any, dag_id: Any, event_ids: list[str]) -> None:
    """Tell the watch of an asset which events have become a run, so that it repeats no others."""
    from airflow_provider_meetings.version_compat import asset_state_store  # noqa: PLC0415 - light, see above

    store = asset_state_store(asset.name, asset.uri)
    if store is None or dag_id is None or not str(asset.uri).startswith(f"{SCHEME}://"):
        return
    with contextlib.suppress(Exception):  # a receipt that is lost costs a repeat, and no run
        receipts = with_receipt(store.get(RECEIPTS), dag_id, event_ids, time.time())
        if receipts is not None:
            store.set(RECEIPTS, receipts)


def with_receipt(receipts: Any, dag_id: str, event_ids: Iterable[str], now: float) -> dict[str, Any] | None:
    """Add what a run has received; None: it is noted already.

    Args:
        receipts: What the store has: by DAG, the ids of the last events and when that was.
        dag_id: The run's DAG.
        event_ids: The ids of the run's events, oldest first.
        now: Seconds since the epoch.
    """
    known: Mapping[str, Any] = receipts if isinstance(receipts, dict) else {}
    old = known[dag_id]["ids"] if dag_id in known else []
    new = [event_id for event_id in dict.fromkeys(event_ids) if event_id not in old]
    if dag_id in known and not new:
        return None
    return {**known, dag_id: {"ids": [*old, *new][-_KEPT:], "at": now}}


def _is_earlier(event: Any, event_id: str, told: list[tuple[Any, str, dict[str, Any]]]) -> bool:
    return all(event.timestamp < moment for moment, other_id, _ in told if other_id == event_id)


def _told(event: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the id and the payload of an event of ours; nothing of any other."""
    payload = (event.extra or {}).get("payload")
    if isinstance(payload, dict) and isinstance(payload.get("event_id"), str) and "kind" in payload:
        return [(payload["event_id"], payload)]
    return []
