"""Meetings as assets: their addresses, and what a DAG that is scheduled by them reads its events with.

Airflow imports this module wherever a DAG file makes an asset, of whatever kind: it must stay light.
"""

from __future__ import annotations

import contextlib
import re
import time
import zlib
from collections.abc import Mapping
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
#: Ids that are kept of each DAG: the latest, so many; of all DAGs together, so many (a value of the store has a limit).
_KEPT, _KEPT_OF_ALL = 100, 900


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
    """Return the asset of a connection's meetings: an outlet of tasks that write them, a schedule of DAGs that react.

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
    after a clear. Where Airflow cannot be asked that way for a while (3.2 and newer), what the runs have left in the
    asset's state store tells (3.3), as far as it goes: a hundred events of a DAG. Airflow below 3.2 has neither; there,
    nothing is repeated but what says so itself.

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
            (event.timestamp, event_id, payload) for event in triggering[asset] for event_id, payload in _told(event)
        ]
        told.sort(key=lambda one: (one[0], bool(one[2].get("repeat"))))
        store, receipts = _receipts(asset)
        old = delivered_elsewhere(receipts, *own)
        history = asset_history(asset.name, asset.uri, told[-1][0], _HISTORY + len(told)) if told else None
        for event in history or ():
            runs = {(one.dag_id, one.run_id) for one in event.created_dagruns}
            if any(dag_id == own[0] and run_id != own[1] for dag_id, run_id in runs):
                old |= {event_id for event_id, _ in _told(event) if _is_earlier(event, event_id, told)}
        if not history:  # the original of what says that it is a repeat has a run, most probably
            new = {event_id for _, event_id, payload in told if not payload.get("repeat")}
            old |= {event_id for _, event_id, _ in told if event_id not in new}
        for moment, event_id, payload in told:
            if event_id not in old:
                found.setdefault(event_id, (moment, payload))
        delivered = {event_id: event_id not in old for _, event_id, _ in told}
        if store is not None and own[0] is not None:
            with contextlib.suppress(Exception):  # a receipt that is lost costs a repeat, and no run
                receipts = with_receipt(receipts, str(own[0]), str(own[1]), delivered, time.time())
                if receipts is not None:
                    store.set(RECEIPTS, receipts)
    return [payload for _, payload in sorted(found.values(), key=lambda one: one[0])]


def _receipts(asset: Any) -> tuple[Any, Any]:
    """Return the state store of an asset, and what runs have left in it: it tells the watch which events to repeat."""
    from airflow_provider_meetings.version_compat import asset_state_store  # noqa: PLC0415 - light, see above

    with contextlib.suppress(Exception):
        if str(asset.uri).startswith(f"{SCHEME}://") and (store := asset_state_store(asset.name, asset.uri)):
            return store, store.get(RECEIPTS)
    return None, None


def delivered_elsewhere(receipts: Any, dag_id: str | None, run_id: str | None) -> set[str]:
    """Return the ids of events that other runs of this DAG have been given, as far as the receipts go."""
    own = receipts.get(dag_id) if isinstance(receipts, dict) else None
    pairs = zip(own["ids"], own.get("runs", ()), strict=False) if own else ()
    return {event_id for event_id, run in pairs if run not in {None, _short(run_id)}}


def with_receipt(
    receipts: Any, dag_id: str, run_id: str, event_ids: Mapping[str, bool], now: float
) -> dict[str, Any] | None:
    """Add what a run has received; None: it is noted already.

    Args:
        receipts: What the store has: by DAG, the ids of the last events, a digest of the run that was given each
            (None: none of those that are known), and when that was.
        dag_id: The run's DAG.
        run_id: The run.
        event_ids: The ids of the run's events, oldest first, and whether the run was given each.
        now: Seconds since the epoch.
    """
    known: Mapping[str, Any] = receipts if isinstance(receipts, dict) else {}
    own: Mapping[str, Any] = known.get(dag_id) or {"ids": [], "runs": []}
    runs: dict[str, str | None] = dict(zip(own["ids"], own["runs"], strict=False))
    before = dict(runs)
    for event_id, given in event_ids.items():
        runs[event_id] = _short(run_id) if given else runs.get(event_id)
    if dag_id in known and runs == before:
        return None
    written = {**known, dag_id: {"ids": [*runs], "runs": [*runs.values()], "at": now}}
    kept = max(1, min(_KEPT, _KEPT_OF_ALL // len(written)))
    return {
        name: {**receipt, "ids": receipt["ids"][-kept:], "runs": receipt["runs"][-kept:]}
        for name, receipt in written.items()
    }


def _short(run_id: Any) -> str:
    return f"{zlib.crc32(str(run_id).encode()):08x}"


def _is_earlier(event: Any, event_id: str, told: list[tuple[Any, str, dict[str, Any]]]) -> bool:
    return all(event.timestamp < moment for moment, other_id, _ in told if other_id == event_id)


def _told(event: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the id and the payload of an event of ours; nothing of any other."""
    payload = (event.extra or {}).get("payload")
    if isinstance(payload, dict) and isinstance(payload.get("event_id"), str) and "kind" in payload:
        return [(payload["event_id"], payload)]
    return []
